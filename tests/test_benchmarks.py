"""What the benchmarks compute beside running both sides: cuts, scores, ranks, the text that they read and write."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlframe.store.store import Store

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


# ------------------------------------------------------------------------------------------------ serving


def test_the_served_table_is_seeded_and_can_be_learned(bench) -> None:
    serving = bench("serving")
    made = serving.table(500)
    assert made.equals(serving.table(500))
    assert made.columns == [*serving.COLUMNS, "target"]
    assert made["target"].mean() == pytest.approx(0.5, abs=0.25)
    row = made.select(serving.COLUMNS).to_dicts()[0]
    for side in serving.SIDES.values():
        json.dumps(side.body(row))
    inputs = serving.v2(row)["inputs"]
    assert [item["name"] for item in inputs] == serving.COLUMNS
    assert [item["data"] for item in inputs] == [[value] for value in row.values()]


def test_the_table_of_servers_names_what_went_wrong(bench) -> None:
    serving = bench("serving")
    good = serving.Result(rate=5432.1, p50_one=1.234, p50_half=2.0, p99_half=9.0, start=2.5, memory=301.4)
    bad = serving.Result(faults=["3 requests were not answered with 200"])
    head, rule, first, second, fault = serving.show({"ours": good, "theirs": bad}).splitlines()
    assert first == "| ours | 5,432 | 1.23 ms | 2.00 / 9.00 ms | 2.5 s | 301 MB |"
    assert {line.count("|") for line in (head, rule, first, second)} == {7}
    assert fault == "- theirs: 3 requests were not answered with 200"


def test_a_servers_memory_is_that_of_all_its_processes(bench) -> None:
    serving = bench("serving")
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'b = bytes(50 << 20); print(1, flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        parent, child = serving.family(process.pid)
        assert (parent, child > 0) == (process.pid, True)
        assert serving.memory(process.pid) > serving.memory(child) > 3
        process.communicate(b"\n")
    assert serving.memory(process.pid) == 0


def test_a_soak_counts_what_the_log_lacks(bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soak = bench("soak")
    logged = pl.LazyFrame({"request_id": ["soak-1", "soak-2", "soak-2", "other"], "version": ["table/1"] * 4})
    monkeypatch.setattr("mlframe.store.predictions.scan_predictions", lambda store, name: logged)
    Store.open(str(tmp_path / ".mlframe")).close()
    for answered, exact, words in (
        ({"soak-1": "table/1", "soak-3": "table/1"}, True, ["1 requests are missing, 1 stand there twice"]),
        ({"soak-1": "table/1", "soak-3": "table/1"}, False, []),
        ({"soak-1": "table/2"}, False, ["stand under another version, such as soak-1"]),
    ):
        seen = soak.Seen(answered=dict(answered))
        soak.check_log(tmp_path, seen, exact)
        assert len(seen.faults) == len(words)
        assert all(word in fault for word, fault in zip(words, seen.faults, strict=True))


# ------------------------------------------------------------------------------------------------ drift


def test_the_rates_of_drift_count_windows_with_alarms(bench) -> None:
    drift = bench("drift")
    assert drift.power(3, 1000, 0.5, known=3000).startswith("| 0.5 | 1,000 | 3 | **100.0%** |")
    assert drift.power(3, 1000, 0.0, known=3000) == "| 0 | 1,000 | 3 | **0.0%** | 0.0% |"
    assert drift.false_alarms("churn", 1, 200).startswith("| churn | 1 | 200 | 19 | 0 | **0.0%** |")


def test_our_side_of_drift_finds_the_column_that_moved(bench, tmp_path: Path) -> None:
    drift, side = bench("drift"), bench("drift_side")
    files = [str(tmp_path / name) for name in ("reference.parquet", "window.parquet")]
    drift.table(2000, 0).write_parquet(files[0])
    drift.table(2000, 1, drift.SHIFT).write_parquet(files[1])
    assert side.mlframe(*files)["moved"] == ["x0"]
    assert side.exact(*files)["seconds"] > 0


def test_training_again_is_judged_by_gain_and_trainings(bench) -> None:
    simulate = bench("simulate")

    def record(gain: float, trainings: int) -> dict[str, Any]:
        triggered = {"name": "triggered", "against_static": {"value": gain}, "trainings": trainings}
        return {"strategies": [triggered, {"name": "every_day", "trainings": 854}]}

    said = [simulate.verdict(record(*given)) for given in ((0.083, 85), (0.083, 86), (0.079, 60))]
    assert [text.rpartition(": ")[2] for text in said] == ["reached", "not reached", "not reached"]
