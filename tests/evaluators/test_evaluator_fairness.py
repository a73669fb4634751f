from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from mlframe.contracts import Judged, Predictions
from mlframe.evaluators.fairness import FairnessEvaluator
from mlframe.table import ROW, Table, describe_columns


def judged(task: str, rows: int = 1_200, *, shift: float = 0.0, role: str = "feature", small: int = 0) -> Judged:
    """Groups a and b (and a few of c); `shift` moves what is said of b."""
    rng = np.random.default_rng(1)
    group = np.where(rng.random(rows) < 0.6, "a", "b")
    group[:small] = "c"
    frame = pl.DataFrame({"group": group, "x": rng.random(rows)})
    common = {"row_id": np.arange(rows, dtype=np.uint32), "fold": np.full(rows, -1, dtype=np.int32)}
    weight = {"weight": rng.uniform(0.5, 2.0, rows)}
    moved = shift * (group == "b")
    if task == "regression":
        y = rng.normal(0, 2, rows)
        said = Predictions(
            pl.DataFrame({**common, "y": y, "y_pred": y + rng.normal(0, 1, rows) + moved, **weight}),
            task,
            (),
            "holdout",
        )
    else:
        names = ("no", "yes") if task == "binary" else ("high", "low", "yes")
        y = rng.integers(0, len(names), rows)
        raw = rng.exponential(0.4, (rows, len(names)))
        raw[np.arange(rows), y] += 1
        raw[:, -1] *= 1 - moved
        proba = raw / raw.sum(axis=1, keepdims=True)
        label = np.array(names)
        said = Predictions(
            pl.DataFrame(
                {
                    **common,
                    "y": label[y],
                    "y_pred": label[proba.argmax(axis=1)],
                    **{f"p_{name}": proba[:, k] for k, name in enumerate(names)},
                    **weight,
                }
            ),
            task,
            names,
            "holdout",
        )
    columns = describe_columns(frame, {"group": {"tags": ["protected"], "role": role}})
    return Judged(said, None, Table(frame.with_row_index(ROW), columns))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_group_that_is_treated_worse_widens_the_gap(task: str) -> None:
    fair = FairnessEvaluator(bootstrap=200).evaluate(judged(task)).figures["fairness_gap"]
    found = FairnessEvaluator(bootstrap=200).evaluate(judged(task, shift=0.6))
    unfair = found.figures["fairness_gap"]
    assert fair.value < 0.12
    assert unfair.value > 0.2
    assert fair.low <= fair.value <= fair.high
    assert unfair.low > fair.value
    assert any(item.severity in ("warning", "problem") and item.column == "group" for item in found.findings)
    assert "group = 'b'" in found.charts[0].alt


def test_the_gap_is_the_difference_of_true_positive_rates() -> None:
    given = judged("binary", shift=0.4)
    said, group = given.predictions, given.table.frame["group"].to_numpy()
    rate = {
        name: np.average(
            (said.y_pred == 1)[(said.y == 1) & (group == name)], weights=said.weight[(said.y == 1) & (group == name)]
        )
        for name in "ab"
    }
    found = FairnessEvaluator(bootstrap=0).evaluate(given)
    assert found.figures["fairness_gap"].value == pytest.approx(abs(rate["a"] - rate["b"]))
    assert found.figures["fairness_gap"].low is None
    table = found.tables["fairness"]
    assert table.filter(pl.col("group") == "group = 'b'")["true_positive_rate"][0] == pytest.approx(rate["b"])
    compared = found.tables["fairness_compared"].filter(pl.col("number") == "true_positive_rate")
    assert compared["compared_with"].to_list() == ["group = 'a'"]
    assert compared["ratio"][0] == pytest.approx(rate["b"] / rate["a"])


def test_the_gap_of_values_is_in_standard_deviations_of_the_target() -> None:
    given = judged("regression", shift=0.5)
    said, group = given.predictions, given.table.frame["group"].to_numpy()
    error = said.y_pred - said.y
    means = [np.average(error[group == name], weights=said.weight[group == name]) for name in "ab"]
    deviation = np.sqrt(np.cov(said.y, aweights=said.weight, ddof=0))
    found = FairnessEvaluator(bootstrap=0).evaluate(given).figures["fairness_gap"]
    assert found.value == pytest.approx(abs(means[0] - means[1]) / deviation)


def test_rows_without_weight_judge_nothing() -> None:
    for task in ("binary", "regression"):
        given = judged(task)
        said = replace(given.predictions, frame=given.predictions.frame.with_columns(pl.lit(0.0).alias("weight")))
        assert FairnessEvaluator().evaluate(replace(given, predictions=said)).figures == {}


def test_the_four_fifths_rule() -> None:
    found = FairnessEvaluator().evaluate(judged("binary", shift=0.9)).findings
    assert found[0].severity == "problem"
    assert "four-fifths rule: group = 'b' is called yes 0" in found[0].text
    assert not any("four-fifths" in item.text for item in FairnessEvaluator().evaluate(judged("binary")).findings)


def test_small_groups_are_named_and_not_judged() -> None:
    found = FairnessEvaluator().evaluate(judged("binary", small=5))
    assert "= 'c'" not in found.tables["fairness"]["group"].str.join(" ")[0]
    assert found.tables["fairness"].height == 2
    assert any("too few holdout rows" in item.text and "= 'c' (5)" in item.text for item in found.findings)
    alone = FairnessEvaluator(least=2_000).evaluate(judged("binary"))
    assert alone.figures == {}
    assert "too few" in alone.findings[0].text


def test_a_protected_column_that_the_model_never_sees_is_judged() -> None:
    assert "fairness_gap" in FairnessEvaluator(bootstrap=20).evaluate(judged("binary", role="ignore")).figures


def test_without_protected_columns_there_is_nothing() -> None:
    given = judged("binary")
    columns = tuple(replace(column, tags=()) for column in given.table.columns)
    found = FairnessEvaluator().evaluate(replace(given, table=replace(given.table, columns=columns)))
    assert (found.figures, list(found.charts), dict(found.tables), list(found.findings)) == ({}, [], {}, [])


def test_a_target_can_hold_the_gap_and_the_metric_cannot(run_cli) -> None:
    judges = "evaluators=[classification,fairness]"
    done = run_cli("plan", "data=churn", judges, "goal.targets.fairness_gap=0.2")
    assert done.code == 0, done.err
    quick = ("data=churn", "model=dummy", "splitter=holdout", "fit.threshold=none", "trackers=[]")
    done = run_cli(*quick, judges, "goal.metric=fairness_gap")
    assert done.code == 2
    assert "fairness_gap needs the rows themselves" in done.err
    assert "goal.targets.fairness_gap" in done.err
    done = run_cli("plan", "data=churn", judges, "evaluators.fairness.least=1")
    assert done.code == 2
    assert "fairness: least must be 2 or more" in done.err
