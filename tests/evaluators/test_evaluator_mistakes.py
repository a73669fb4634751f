from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from mlframe.evaluators.mistakes import MistakesEvaluator
from mlframe.testing import make_judged, make_predictions, make_table


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_worst_rows_come_with_their_values(task: str) -> None:
    judged = make_judged(task, 300)
    found = MistakesEvaluator(rows=7).evaluate(judged)
    table = found.tables["rows/mistakes"]
    assert table.height == 7
    loss = table["absolute_error" if task == "regression" else "log_loss"]
    assert loss.is_sorted(descending=True)
    said = judged.oof.frame.filter(pl.col("row_id") == table["row_id"][0])
    assert said["y"][0] == table["truth"][0]
    source = judged.oof_table.frame.filter(pl.col("__row__") == table["row_id"][0])
    assert source["visits"][0] == table["visits"][0]
    assert source["id"][0] == table["id"][0]
    assert "label" not in table.columns
    if task == "regression":
        assert loss[0] == pytest.approx((judged.oof.y - judged.oof.y_pred).__abs__().max())
        assert "rows/label_suspects" not in found.tables
    else:
        assert table["probability_of_truth"][0] == pytest.approx(np.exp(-loss[0]))
    assert len(found.charts) == 3


def test_rows_without_weight_are_no_mistakes() -> None:
    judged = make_judged("binary", 300)
    first = MistakesEvaluator(rows=1).evaluate(judged).tables["rows/mistakes"]["row_id"][0]
    weight = pl.when(pl.col("row_id") == first).then(0.0).otherwise("weight").alias("weight")
    spared = replace(judged.oof, frame=judged.oof.frame.with_columns(weight))
    assert MistakesEvaluator(rows=1).evaluate(replace(judged, oof=spared)).tables["rows/mistakes"]["row_id"][0] != first


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_column_that_predictions_are_off_by_is_named(task: str) -> None:
    judged = make_judged(task, 1_500)
    off = (pl.Series(judged.oof_table.frame["colour"]) == "green").fill_null(False)
    frame = judged.oof.frame
    if task == "regression":
        frame = frame.with_columns(pl.when(off).then(pl.col("y_pred") + 15).otherwise("y_pred").alias("y_pred"))
    else:
        last, other = judged.oof.classes[-1], judged.oof.classes[0]
        moved = pl.when(off).then(pl.col(f"p_{last}") * 0.4).otherwise(0.0)
        frame = frame.with_columns(
            (pl.col(f"p_{last}") - moved).alias(f"p_{last}"), (pl.col(f"p_{other}") + moved).alias(f"p_{other}")
        )
    found = MistakesEvaluator().evaluate(replace(judged, oof=replace(judged.oof, frame=frame)))
    first = next(item for item in found.findings if item.severity == "warning")
    assert first.column == "colour"
    assert "colour = 'green'" in first.text
    assert "by colour" in found.charts[0].title
    table = found.tables["residuals_by_column"]
    green = table.filter((pl.col("column") == "colour") & (pl.col("group") == "= 'green'"))
    assert (green["low"] <= green["difference"]).all()
    assert green["difference"].abs().max() > 0.05


def test_honest_predictions_are_seldom_called_off() -> None:
    called = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        judged = make_judged("binary", 600, seed=seed)
        p = rng.uniform(0.1, 0.9, 600)
        y = np.where(rng.random(600) < p, "yes", "no")
        frame = judged.oof.frame.with_columns(
            pl.Series("p_yes", p), pl.Series("p_no", 1 - p), pl.Series("y", y), pl.lit(1.0).alias("weight")
        )
        found = MistakesEvaluator().evaluate(replace(judged, oof=replace(judged.oof, frame=frame)))
        called += any(item.severity == "warning" for item in found.findings)
    assert called <= 4


def test_swapped_labels_are_suspected() -> None:
    judged = make_judged("binary", 400, noise=0.2)
    own = judged.oof.proba[np.arange(400), judged.oof.y]
    sure = np.argsort(-own)[:3].tolist()
    swapped = judged.oof.frame["row_id"].is_in(sure)
    other = pl.when(pl.col("y") == "yes").then(pl.lit("no")).otherwise(pl.lit("yes"))
    frame = judged.oof.frame.with_columns(pl.when(swapped).then(other).otherwise("y").alias("y"))
    found = MistakesEvaluator().evaluate(replace(judged, oof=replace(judged.oof, frame=frame)))
    suspects = found.tables["rows/label_suspects"]
    assert set(suspects["row_id"].head(3)) == set(sure)
    assert (suspects["probability_of_likely"] > suspects["probability_of_truth"]).all()
    text = next(item.text for item in found.findings if "labels look wrong" in item.text)
    assert f"{suspects.height} of 400 labels" in text


def test_a_feature_named_like_a_result_keeps_its_values() -> None:
    judged = make_judged("binary", 100)
    frame = judged.oof_table.frame.rename({"visits": "truth"})
    columns = tuple(replace(c, name="truth") if c.name == "visits" else c for c in judged.oof_table.columns)
    table = replace(judged.oof_table, frame=frame, columns=columns)
    found = MistakesEvaluator().evaluate(replace(judged, oof_table=table)).tables["rows/mistakes"]
    assert found["truth (input)"].dtype.is_integer()


def test_nothing_without_out_of_fold_rows() -> None:
    said = make_predictions("binary", part="folds")
    judged = replace(make_judged(), oof=None, oof_table=None)
    assert not MistakesEvaluator().evaluate(judged).tables
    empty = replace(
        judged,
        oof=replace(said, frame=said.frame.clear()),
        oof_table=make_table().with_frame(make_table().frame.clear()),
    )
    assert not MistakesEvaluator().evaluate(empty).tables


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("evaluators.mistakes.rows=0", "mistakes: rows must be 1 or more"),
        ("evaluators.mistakes.bins=1", "mistakes: bins must be 2 or more"),
        ("evaluators.mistakes.columns=-1", "mistakes: columns must be 0 or more"),
    ],
)
def test_impossible_parameters_are_refused_at_the_door(run_cli, override: str, words: str) -> None:
    done = run_cli("plan", "data=churn", "evaluators=[classification,mistakes]", override)
    assert done.code == 2
    assert words in done.err
