from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlframe.contracts import Judged, Predictions
from mlframe.evaluators.dependence import dependence_chart
from mlframe.evaluators.importance import ImportanceEvaluator
from mlframe.evaluators.permutation import Sample, related_columns
from mlframe.table import ROW, Table, describe_columns
from mlframe.testing import make_table


class Rule:
    """Answers from the columns a and b alone; c is noise that is never looked at."""

    def __init__(self, task: str, gains: dict[str, float] | None = None) -> None:
        self.task, self.gains, self.rows = task, gains, 0

    def gain(self) -> dict[str, float] | None:
        return self.gains

    def contributions(self, frame: pl.DataFrame) -> tuple[np.ndarray[Any, Any], list[str]] | None:
        return None

    def outputs(self, frame: pl.DataFrame) -> np.ndarray[Any, Any]:
        self.rows += frame.height
        raw = (2 * frame["a"] + frame["b"].fill_null(0)).to_numpy()
        if self.task == "regression":
            return raw
        p = 1 / (1 + np.exp(-raw))
        return np.stack([1 - p, p], axis=1)


def judged(task: str, rule: Rule, rows: int = 600) -> Judged:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({name: rng.normal(size=rows) for name in "abc"})
    table = Table(frame.with_row_index(ROW), describe_columns(frame, {}))
    out = rule.outputs(frame)
    common = {"row_id": table.row_ids, "fold": np.full(rows, -1, dtype=np.int32), "weight": np.ones(rows)}
    if task == "regression":
        said = Predictions(pl.DataFrame({**common, "y": out, "y_pred": out}), task, (), "holdout")
    else:
        y = np.where(rng.random(rows) < out[:, 1], "yes", "no")
        both = {"y": y, "y_pred": np.where(out[:, 1] > 0.5, "yes", "no"), "p_no": out[:, 0], "p_yes": out[:, 1]}
        said = Predictions(pl.DataFrame({**common, **both}), task, ("no", "yes"), "holdout")
    rule.rows = 0
    return Judged(said, rule, table)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_importance_ranks_columns_by_use(task: str) -> None:
    found = ImportanceEvaluator(repeats=3, curves=2).evaluate(judged(task, Rule(task)))
    table = found.tables["importance"]
    assert table["column"].to_list() == ["a", "b", "c"]
    assert table["permutation"][1] > 0.01
    assert table["permutation"][2] == pytest.approx(0, abs=1e-9)
    assert [chart.name for chart in found.charts] == ["permutation_importance", "dependence_1", "dependence_2"]
    assert (table["low"] <= table["permutation"]).all()
    assert table["low"][0] > 0
    assert found.figures == {}


def test_a_column_without_gain_is_not_shuffled_and_rows_are_capped() -> None:
    rule = Rule("binary", {"a": 3.0, "b": 1.0})
    found = ImportanceEvaluator(rows=100, repeats=2, curves=0).evaluate(judged("binary", rule))
    assert rule.rows == 100 * (1 + 2 * 2)
    assert found.tables["importance"].sort("column")["gain"].to_list() == [0.75, 0.25, 0.0]
    assert {chart.name for chart in found.charts} == {"permutation_importance", "gain_importance"}


def test_importance_is_equal_for_equal_seeds() -> None:
    tables = [
        ImportanceEvaluator(rows=100, seed=seed).evaluate(judged("binary", Rule("binary"))).tables["importance"]
        for seed in (1, 1, 2)
    ]
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])


def test_importance_needs_the_pipeline_and_pictures() -> None:
    full = judged("binary", Rule("binary"))
    assert ImportanceEvaluator().evaluate(Judged(full.predictions)).tables == {}
    assert (
        ImportanceEvaluator().evaluate(Judged(full.predictions, full.pipeline, full.table, pictures=False)).tables == {}
    )
    assert ImportanceEvaluator().declares() == ()


class Telling(Rule):
    """Also tells what each column adds to the raw score."""

    def contributions(self, frame: pl.DataFrame) -> tuple[np.ndarray[Any, Any], list[str]]:
        parts = [2 * frame["a"], frame["b"].fill_null(0), 0 * frame["c"], 0 * frame["c"]]
        return np.stack([part.to_numpy() for part in parts], axis=1), ["a", "b", "c"]


def test_contributions_are_measured_by_column() -> None:
    found = ImportanceEvaluator(curves=0).evaluate(judged("binary", Telling("binary")))
    table = found.tables["importance"]
    # The mean of |x| of a normal variable is 0.798.
    assert table["shap"].to_list() == pytest.approx([2 * 0.798, 0.798, 0], abs=0.1)
    assert (table["shap_low"] <= table["shap"]).all()
    assert {chart.name for chart in found.charts} == {"permutation_importance", "shap_importance"}
    plain = ImportanceEvaluator(curves=0).evaluate(judged("binary", Rule("binary")))
    assert "shap" not in plain.tables["importance"].columns


def test_advice_says_keep_drop_and_try() -> None:
    given = judged("regression", Rule("regression", {"a": 3.0, "b": 1.0}))
    assert given.table is not None
    frame = given.table.frame.with_columns((pl.col("a") * 1.01).alias("twin"))
    table = Table(frame, describe_columns(frame.drop(ROW), {}))
    rule = Rule("regression", {"a": 3.0, "b": 1.0, "twin": 0.5})
    texts = [
        f.text
        for f in ImportanceEvaluator(repeats=2, curves=0).evaluate(replace(given, table=table, pipeline=rule)).findings
    ]
    assert any(text.startswith("keep: shuffling 'a' raises the rmse by ") for text in texts)
    assert "drop: the model never uses 'c'" in texts
    tried = next(text for text in texts if text.startswith("try: "))
    assert "'a' and 'twin'" in tried
    assert not any(text.startswith("drop: shuffling 'twin'") for text in texts), "one of a pair is not idle"
    idle = [
        f for f in ImportanceEvaluator(curves=0).evaluate(judged("binary", Rule("binary"))).findings if f.column == "c"
    ]
    assert idle[0].text.startswith("drop: shuffling 'c' changes nothing")
    assert idle[0].text.endswith("the interval includes 0")


def test_a_column_that_misleads_is_to_be_left_out() -> None:
    given = judged("binary", Rule("binary"))
    assert given.table is not None
    # The truth goes against b: what the rule makes of it makes it worse.
    p = 1 / (1 + np.exp(-3 * (given.table.frame["a"] - given.table.frame["b"]).to_numpy()))
    y = pl.Series("y", np.where(np.random.default_rng(1).random(len(p)) < p, "yes", "no"))
    said = replace(given.predictions, frame=given.predictions.frame.with_columns(y))
    texts = [f.text for f in ImportanceEvaluator(curves=0).evaluate(replace(given, predictions=said)).findings]
    assert any(text.startswith("try: leave out 'b': the log loss is lower when it is shuffled, by -") for text in texts)


def test_related_columns_of_every_kind_are_joined() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=800)
    word = np.array(["low", "middle", "high"])[np.digitize(x, [-0.5, 0.5])]
    frame = pl.DataFrame(
        {"x": x, "square": x**2, "minus": -x + 0.05 * rng.normal(size=800), "word": word, "z": rng.random(800)}
    )
    table = Table(frame.with_row_index(ROW), describe_columns(frame, {}))
    found = related_columns(table, frame.columns, 0.7)
    assert [set(names) for names, _ in found] == [{"x", "minus", "word"}]
    assert 0.7 <= found[0][1] <= 1
    assert related_columns(table, frame.columns, 1.0) == []
    assert related_columns(table, ["z"], 0.1) == []


class Curve:
    """Answers 3 * (x > 0), whatever the other columns say, and leans on a category."""

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def outputs(self, frame: pl.DataFrame) -> np.ndarray[Any, Any]:
        raw = (
            3.0 * (frame["x"].fill_null(-1).to_numpy() > 0)
            + (frame["kind"].cast(pl.String) == "b").fill_null(False).to_numpy()
        )
        if not self.classes:
            return raw
        p = raw / 5 + 0.1
        rest = [(1 - p) / (self.classes - 1)] * (self.classes - 1)
        return np.stack([*rest, p], axis=1)


@pytest.mark.parametrize("classes", [(), ("no", "yes"), ("a", "b", "c")])
@pytest.mark.parametrize("related", [False, True])
def test_curves_follow_the_model(classes: tuple[str, ...], related: bool) -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "x": rng.normal(size=400),
            "kind": pl.Series(rng.choice(["a", "b"], 400), dtype=pl.Enum(["a", "b"])),
            "flag": rng.random(400) > 0.5,
            "note": [f"one two three four {k}" for k in range(400)],
        }
    ).with_columns(pl.when(pl.col("x") > 2).then(None).otherwise("x").alias("x"))
    table = Table(frame.with_row_index(ROW), describe_columns(frame, {}))
    pipeline = Curve(len(classes))
    sample = Sample(pipeline, table, np.zeros(400, dtype=int), rng.uniform(0.5, 2, 400), pipeline.outputs(frame))
    chart = dependence_chart(sample, "x", classes, related, 1)
    assert chart is not None
    assert chart.svg.count("<polyline") == max(1, len(classes) - 1 if len(classes) == 2 else len(classes))
    assert ("accumulated" if related else "partial dependence") in chart.alt
    kinds = dependence_chart(sample, "kind", classes, related, 2)
    assert kinds is not None
    assert "b " in kinds.alt
    flag = dependence_chart(sample, "flag", classes, related, 3)
    assert flag is not None
    assert "true" in flag.alt
    assert dependence_chart(sample, "note", classes, related, 4) is None


def test_both_kinds_of_curves_rise_by_what_the_model_adds() -> None:
    from mlframe.evaluators.dependence import _accumulated, _partial

    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"x": rng.normal(size=500), "kind": rng.choice(["a", "b"], 500)})
    table = Table(frame.with_row_index(ROW), describe_columns(frame, {}))
    sample = Sample(Curve(0), table, np.zeros(500), np.ones(500), Curve(0).outputs(frame))
    grid = np.array([-2.0, -1.0, 1.0, 2.0])
    partial, _ = _partial(sample, frame["x"], grid.tolist())
    accumulated, error = _accumulated(sample, frame["x"], grid)
    assert partial[:, 0] - partial[0, 0] == pytest.approx([0, 0, 3, 3])
    assert accumulated[:, 0] - accumulated[0, 0] == pytest.approx([0, 0, 3, 3])
    assert error[:, 0] == pytest.approx(0)


def test_rows_of_every_kind_of_column_are_judged() -> None:
    table = make_table(100)
    pipeline = Rule("regression")
    pipeline.outputs = lambda frame: frame["visits"].to_numpy().astype(float)  # type: ignore[method-assign]
    y = table.frame["visits"].to_numpy().astype(float)
    said = pl.DataFrame({"row_id": table.row_ids, "fold": -1, "y": y, "y_pred": y, "weight": table.frame["weight"]})
    found = ImportanceEvaluator().evaluate(Judged(Predictions(said, "regression", (), "holdout"), pipeline, table))
    assert found.tables["importance"]["column"][0] == "visits"
    assert found.tables["importance"].height == len(table.features)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("evaluators.importance.curves=-1", "importance: curves must be 0 or more"),
        ("evaluators.importance.related=0", "importance: related must be above 0 and at most 1"),
        ("evaluators.importance.repeats=0", "importance: repeats must be 1 or more"),
    ],
)
def test_impossible_parameters_are_refused_at_the_door(run_cli, override: str, words: str) -> None:
    done = run_cli("plan", "data=churn", override)
    assert done.code == 2
    assert words in done.err
