"""What the benchmarks compute beside running both sides: cuts, scores, ranks, the text that they read and write."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a function that imports a module of benchmarks/."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(ROOT / "benchmarks")):
            del sys.modules[name]


def test_the_cut_is_by_seed_or_by_time(bench) -> None:
    best = bench("best")
    rows = pl.DataFrame({"x": range(100)})
    train, test = best.cut(rows, ordered=True)
    assert test["x"].to_list() == list(range(80, 100))
    train, test = best.cut(rows, ordered=False)
    assert len(test) == 20
    assert test["x"].to_list() != list(range(80, 100))
    assert sorted([*train["x"], *test["x"]]) == list(range(100))
    assert best.cut(rows, ordered=False)[1].equals(test)


def test_every_case_can_be_read_and_has_its_target(bench) -> None:
    for name, case in bench("best").CASES.items():
        rows = case.read(name)
        assert rows["target"].null_count() == 0
        assert (rows["target"].dtype == pl.String) == (case.task != "regression")
        assert not set(case.drop) & set(rows.columns)


def test_scores_know_classes_whatever_their_order(bench) -> None:
    score = bench("best").score
    target = pl.Series(["no", "yes", "no", "yes"])
    said = pl.DataFrame({"p_yes": [0.1, 0.9, 0.4, 0.3], "p_no": [0.9, 0.1, 0.6, 0.7]})
    assert score("binary", target, said) == pytest.approx(0.75)
    assert score("multiclass", target, said) == pytest.approx(-np.log([0.9, 0.9, 0.6, 0.3]).mean())
    assert score("regression", pl.Series([1.0, 3.0]), pl.DataFrame({"y_pred": [1.0, 5.0]})) == pytest.approx(2**0.5)


def test_mean_ranks_follow_the_figure_s_direction_and_share_ties(bench) -> None:
    best = bench("best")
    made = [
        best.Result("a", "binary", {"one": best.Score(0.9, 1), "two": best.Score(0.8, 1), "three": best.Score(0.8, 1)}),
        best.Result("b", "regression", {"one": best.Score(9, 1), "two": best.Score(2, 1), "three": best.Score(3, 1)}),
    ]
    assert best.ranks(made) == {"one": 2.0, "two": 1.75, "three": 2.25}
    assert "| a | ROC AUC | **0.9000** | 0.8000 | 0.8000 | - |" in best.table(made)
    assert "| mean rank | 1 is best | 2.00 | 1.75 | 2.25 |" in best.table(made)


def test_a_sweep_s_scores_are_read_from_what_it_prints(bench) -> None:
    printed = (
        "job 0: seed=1\n  roc_auc 0.8467, 1.2 s\njob 1: seed=2\n  FAILED: no\njob 2\n  roc_auc 0.9000, 3.0 s, from\n"
    )
    assert bench("sweep").scores_of(printed) == ["0.8467", "0.9000"]


@pytest.mark.parametrize("figure", ["roc_auc", "rmse"])
def test_an_ensemble_that_is_better_has_a_gain_above_zero(bench, figure: str) -> None:
    rng = np.random.default_rng(0)
    y, noise = rng.normal(size=400), rng.normal(size=400)
    if figure == "rmse":
        frames = [pl.DataFrame({"y": y, "y_pred": y + share * noise}) for share in (0.1, 1.0)]
    else:
        p = [1 / (1 + np.exp(-(y + share * noise))) for share in (0.1, 2.0)]
        label = np.where(y > 0, "yes", "no")
        frames = [pl.DataFrame({"y": label, "y_pred": label, "p_no": 1 - one, "p_yes": one}) for one in p]
    found = bench("ensemble").gain(figure, *frames)
    assert found.low > 0
    assert bench("ensemble").gain(figure, *frames[::-1]).high < 0


def test_the_section_of_models_is_replaced_and_nothing_else(bench) -> None:
    models, run = bench("models"), bench("run")
    page = run.PAGE.read_text(encoding="utf-8")
    made = models.replaced(page, f"{run.MODELS}\n\nnew\n")
    assert made.endswith(f"{run.MODELS}\n\nnew\n")
    assert made.count(run.MODELS) == 1
    assert made.partition(run.MODELS)[0] == page.partition(run.MODELS)[0]
