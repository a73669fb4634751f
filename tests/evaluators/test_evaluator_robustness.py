from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlframe.contracts import Judged, Predictions
from mlframe.evaluators.damage import KINDS, damaged
from mlframe.evaluators.losses import change_of_loss, loss_of_guessing
from mlframe.evaluators.robustness import RobustnessEvaluator
from mlframe.stats import Scores, figures
from mlframe.table import ROW, Table, describe_columns
from mlframe.testing import make_judged, make_table


class Leaning:
    """Leans on the category `plan`, a little on the number `x`, never on `note`."""

    def __init__(self, task: str, *, fragile: bool = False) -> None:
        self.task, self.fragile = task, fragile

    def gain(self) -> None:
        return None

    def outputs(self, frame: pl.DataFrame) -> np.ndarray[Any, Any]:
        if self.fragile and frame["plan"].null_count():
            raise KeyError("no such plan: None")
        raw = 6 * (frame["plan"] == "pro").fill_null(False).to_numpy() + 0.2 * frame["x"].fill_null(0).to_numpy() - 3
        if self.task == "regression":
            return raw
        p = 1 / (1 + np.exp(-raw))
        return np.stack([1 - p, p], axis=1)


def judged(task: str, *, fragile: bool = False, rows: int = 500) -> Judged:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "plan": rng.choice(["basic", "pro"], rows),
            "x": rng.normal(size=rows),
            "note": [f"a note of some words {k}" for k in range(rows)],
        }
    )
    table = Table(frame.with_row_index(ROW), describe_columns(frame, {}))
    pipeline = Leaning(task, fragile=fragile)
    out = pipeline.outputs(frame)
    common = {"row_id": table.row_ids, "fold": np.full(rows, -1, dtype=np.int32), "weight": rng.uniform(0.5, 2, rows)}
    if task == "regression":
        said = Predictions(
            pl.DataFrame({**common, "y": out + rng.normal(0, 0.1, rows), "y_pred": out}), task, (), "holdout"
        )
    else:
        y = np.where(rng.random(rows) < out[:, 1], "yes", "no")
        both = {"y": y, "y_pred": np.where(out[:, 1] > 0.5, "yes", "no"), "p_no": out[:, 0], "p_yes": out[:, 1]}
        said = Predictions(pl.DataFrame({**common, **both}), task, ("no", "yes"), "holdout")
    return Judged(said, pipeline, table)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_column_that_the_model_leans_on_is_named(task: str) -> None:
    found = RobustnessEvaluator().evaluate(judged(task))
    first = found.findings[0]
    assert (first.severity, first.column) == ("problem", "plan")
    assert "no better than guessing" in first.text
    table = found.tables["robustness"]
    assert set(table.select("column", "damage").iter_rows()) == {
        ("plan", "missing"), ("plan", "unseen"), ("plan", "shuffled"),
        ("x", "missing"), ("x", "noise"), ("note", "missing"), ("note", "typos"),
    }  # fmt: skip
    assert table["column"][0] == "plan"
    note = table.filter(pl.col("column") == "note")
    assert note["rise"].to_list() == [0, 0]
    assert note["moved"].to_list() == [0, 0]
    assert not any(item.column == "note" for item in found.findings)
    assert "missing in plan" in found.charts[0].alt or "in plan" in found.charts[0].alt


def test_a_pipeline_that_fails_is_a_finding() -> None:
    found = RobustnessEvaluator().evaluate(judged("binary", fragile=True))
    assert found.findings[0].severity == "problem"
    assert (
        "the pipeline fails when every value goes missing in plan: KeyError: 'no such plan: None'"
        in found.findings[0].text
    )
    row = found.tables["robustness"].row(0, named=True)
    assert (row["column"], row["damage"], row["fails"], row["rise"]) == ("plan", "missing", True, None)


def test_equal_seeds_give_equal_damage() -> None:
    one, same, other = (
        RobustnessEvaluator(rows=200, seed=s).evaluate(judged("binary")).tables["robustness"] for s in (1, 1, 2)
    )
    assert one.equals(same)
    assert not one.equals(other)


def test_a_sturdy_model_is_told_so() -> None:
    found = RobustnessEvaluator().evaluate(make_judged("multiclass"))
    assert [item.severity for item in found.findings] == ["info"]
    assert "no damage" in found.findings[0].text


def test_nothing_without_pipeline_or_pictures() -> None:
    full = judged("binary")
    for less in (replace(full, pipeline=None), replace(full, pictures=False), replace(full, table=None)):
        assert not RobustnessEvaluator().evaluate(less).tables


def test_each_kind_of_column_has_damage_in_its_own_type() -> None:
    table = make_table(60)
    frame = table.frame.with_columns(
        pl.col("colour").cast(pl.Categorical).alias("as_category"), pl.col("visits").cast(pl.UInt8).alias("small")
    )
    columns = describe_columns(frame, {"note": {"kind": "text"}})
    for column in columns:
        series = frame[column.name]
        for kind, values in damaged(series, column, 0.5, np.random.default_rng(0)):
            assert kind in KINDS
            assert len(values) == len(series)
            assert values.dtype == series.dtype
            if kind == "missing":
                assert values.null_count() == len(values)
            elif kind in ("noise", "typos"):
                assert values.null_count() == series.null_count()
                assert not values.equals(series)


def test_a_number_of_few_values_is_shuffled_and_gets_no_noise() -> None:
    frame = pl.DataFrame({"flag": [0, 1] * 30, "size": range(60)})
    kinds = {
        column.name: [kind for kind, _ in damaged(frame[column.name], column, 0.5, np.random.default_rng(0))]
        for column in describe_columns(frame, {})
    }
    assert kinds == {"flag": ["missing", "shuffled"], "size": ["missing", "noise"]}


@given(seed=st.integers(0, 500), classes=st.sampled_from([0, 2, 3]))
@settings(max_examples=20, deadline=None)
def test_changes_of_loss_equal_the_figures(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.uniform(0.5, 2, 80)
    if classes:
        y = rng.integers(0, classes, 80)
        outputs = [rng.dirichlet(np.ones(classes), 80) for _ in range(2)]
        name = "log_loss"
        scores = [Scores(part.argmax(axis=1), part) for part in outputs]
    else:
        y = rng.normal(size=80)
        outputs = [y + rng.normal(size=80) for _ in range(2)]
        name = "rmse"
        scores = [Scores(part) for part in outputs]
    found = change_of_loss(outputs[0], outputs[1], y, weight)
    want = [figures(y, part, weight, only=[name])[name] for part in scores]
    assert (found.before, found.after) == pytest.approx(tuple(want))
    assert found.low < found.value < found.high
    constant = (
        np.tile(np.bincount(y, weight, classes) / weight.sum(), (80, 1))
        if classes
        else np.full(80, np.average(y, weights=weight))
    )
    guess = Scores(constant.argmax(axis=1), constant) if classes else Scores(constant)
    assert loss_of_guessing(y, weight, classes) == pytest.approx(figures(y, guess, weight, only=[name])[name])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("evaluators.robustness.rows=0", "robustness: rows must be 1 or more"),
        ("evaluators.robustness.noise=0", "robustness: noise must be above 0"),
        ("evaluators.robustness.columns=0", "robustness: columns must be 1 or more"),
    ],
)
def test_impossible_parameters_are_refused_at_the_door(run_cli, override: str, words: str) -> None:
    done = run_cli("plan", "data=churn", "evaluators=[classification,robustness]", override)
    assert done.code == 2
    assert words in done.err
