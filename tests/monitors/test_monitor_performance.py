"""The monitor `performance`: figures of labelled rows, and every alarm with a twin that shows none."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from mlframe.errors import ParameterError
from mlframe.monitors.performance import PerformanceMonitor
from mlframe.testing import make_reference, make_window

WAS = {"roc_auc": {"value": 0.93, "low": 0.92, "high": 0.94}}


@pytest.fixture
def reference(tmp_path):
    return make_reference(tmp_path, figures=WAS)


def turned(window, share, seed=0):
    """Turn the labels of some rows around: the model is wrong where it was right."""
    random = np.random.default_rng(seed)
    feedback = window.feedback.collect()
    other = pl.when(pl.col("label") == "yes").then(pl.lit("no")).otherwise(pl.lit("yes"))
    turn = pl.Series(random.random(len(feedback)) < share)
    return replace(window, feedback=feedback.with_columns(label=pl.when(turn).then(other).otherwise("label")).lazy())


def keys(found):
    return [alarm.key for alarm in found.alarms]


def test_figures_equal_those_of_the_labelled_rows(reference):
    from sklearn.metrics import roc_auc_score

    window = make_window(labels=0.6)
    found = PerformanceMonitor().observe(reference, window)
    rows = window.labelled().collect()
    assert found.figures["roc_auc"].value == pytest.approx(roc_auc_score(rows["label"] == "yes", rows["p_yes"]))
    assert found.figures["roc_auc"].low < found.figures["roc_auc"].value < found.figures["roc_auc"].high
    assert found.figures["label_maturity"].value == pytest.approx(0.6)
    assert found.figures["labelled_rows"].value == 600
    assert found.figures["label_delay_h"].value == pytest.approx(1.0)


def test_worse_labels_are_an_alarm_and_right_ones_none(reference):
    window = make_window(labels=1.0)
    found = PerformanceMonitor().observe(reference, turned(window, 0.2))
    assert keys(found) == ["performance/roc_auc"]
    assert found.alarms[0].evidence["worse_by_at_least"] > 0.05
    assert keys(PerformanceMonitor().observe(reference, window)) == []


def test_a_margin_lets_a_little_pass(reference):
    assert keys(PerformanceMonitor(margin=0.5).observe(reference, turned(make_window(labels=1.0), 0.2))) == []


def test_a_missed_target_is_a_problem_and_one_within_the_interval_is_none(reference):
    window = make_window(labels=1.0)
    missed = replace(reference, goal={"metric": "roc_auc", "targets": {"roc_auc": 0.99, "latency_ms": 5}})
    found = PerformanceMonitor().observe(missed, window)
    assert keys(found) == ["performance/target/roc_auc"]
    assert found.alarms[0].severity == "problem"
    near = replace(reference, goal={"metric": "roc_auc", "targets": {"roc_auc": 0.935}})
    assert keys(PerformanceMonitor().observe(near, window)) == []


def test_labels_that_miss_by_the_answer_are_told_and_random_ones_are_not(reference):
    window = make_window(labels=1.0)
    rows = window.labelled().collect()
    high = rows.filter((pl.col("p_yes") > 0.6) | (pl.int_range(pl.len()) % 10 == 0)).select("request_id")
    found = PerformanceMonitor().observe(
        reference, replace(window, feedback=window.feedback.join(high.lazy(), on="request_id", how="semi"))
    )
    assert any("not missing at random" in note for note in found.notes)
    assert any("weighted as all rows are answered" in note for note in found.notes)
    some = window.feedback.filter(pl.int_range(pl.len()) % 2 == 0)
    assert not any(
        "at random" in note for note in PerformanceMonitor().observe(reference, replace(window, feedback=some)).notes
    )


def test_rows_too_young_for_a_label_miss_none(reference):
    window = make_window(labels=0.5)  # the first half of the day
    young = replace(window, now=window.since + timedelta(hours=36))
    found = PerformanceMonitor(maturity="24h").observe(reference, young)
    assert found.figures["label_maturity"].value == pytest.approx(1.0)
    assert PerformanceMonitor().observe(reference, young).figures["label_maturity"].value == pytest.approx(0.5)


def test_no_label_is_a_note_and_no_figure(reference):
    found = PerformanceMonitor().observe(reference, make_window())
    assert found.figures["labelled_rows"].value == 0
    assert "roc_auc" not in found.figures
    assert not found.alarms
    assert found.notes == ["no label has come yet for 1,000 predictions"]


def test_labels_of_no_class_are_left_out_and_counted(reference):
    window = make_window(labels=1.0)
    odd = window.feedback.with_columns(
        label=pl.when(pl.int_range(pl.len()) < 7).then(pl.lit("maybe")).otherwise("label")
    )
    found = PerformanceMonitor().observe(reference, replace(window, feedback=odd))
    assert found.figures["labelled_rows"].value == 993
    assert any(note.startswith("7 labels are no class") for note in found.notes)


def test_a_group_that_gets_worse_is_named_and_others_are_not(reference):
    monitor = PerformanceMonitor(segments=["colour"])
    first = make_window(labels=1.0, seed=2)
    state = json.loads(json.dumps(monitor.observe(reference, first).state))
    before = ({"version": "tiny/7", "figures": {}, "state": state, "rows": 1000},)
    window = make_window(labels=1.0, before=before)
    assert not [key for key in keys(monitor.observe(reference, window)) if "segment" in key]
    red = window.predictions.filter(pl.col("colour") == "red").select("request_id").collect().to_series()
    other = pl.when(pl.col("label") == "yes").then(pl.lit("no")).otherwise(pl.lit("yes"))
    bad = window.feedback.with_columns(
        label=pl.when(pl.col("request_id").is_in(red.implode())).then(other).otherwise("label")
    )
    found = monitor.observe(reference, replace(window, feedback=bad))
    assert [key for key in keys(found) if "segment/colour" in key] == ["performance/segment/colour/red"]


def test_parts_of_a_number_are_the_same_in_later_windows(reference):
    monitor = PerformanceMonitor(segments=["amount"])
    state = json.loads(json.dumps(monitor.observe(reference, make_window(labels=1.0, seed=2)).state))
    before = ({"version": "tiny/7", "figures": {}, "state": state, "rows": 1000},)
    window = make_window(labels=1.0, before=before)
    found = monitor.observe(reference, window)
    assert [key for key in found.state["segments"] if "amount" in key] == [
        key for key in state["segments"] if "amount" in key
    ]
    assert not [key for key in keys(found) if "segment" in key]
    low = (
        window.predictions.filter(pl.col("amount") < state["quarters"]["amount"][0])
        .select("request_id")
        .collect()
        .to_series()
    )
    turn = pl.col("request_id").is_in(low.implode())
    other = pl.when(pl.col("label") == "yes").then(pl.lit("no")).otherwise(pl.lit("yes"))
    bad = window.feedback.with_columns(label=pl.when(turn).then(other).otherwise("label"))
    worse = [key for key in keys(monitor.observe(reference, replace(window, feedback=bad))) if "segment/amount" in key]
    assert worse == [f"performance/segment/amount/below {state['quarters']['amount'][0]:g}"]


def test_a_column_called_count_has_groups_too(reference):
    window = make_window(labels=1.0)
    named = replace(window, predictions=window.predictions.with_columns(pl.col("colour").alias("count")))
    table = PerformanceMonitor(segments=["count"]).observe(reference, named).tables["segments"]
    assert set(table.filter(pl.col("column") == "count")["value"]) > {"red"}


def test_protected_columns_are_looked_at_unasked(reference):
    table = PerformanceMonitor().observe(reference, make_window(labels=1.0)).tables["segments"]
    assert set(table["column"]) == {"member"}


def test_versions_stand_side_by_side(reference):
    window = make_window(labels=1.0)
    shadow = window.predictions.with_columns(version=pl.lit("tiny/8"), role=pl.lit("shadow"))
    found = PerformanceMonitor().observe(
        reference, replace(window, predictions=pl.concat([window.predictions, shadow]))
    )
    assert found.tables["versions"].select("version", "role", "rows").rows() == [
        ("tiny/7", "champion", 1000),
        ("tiny/8", "shadow", 1000),
    ]
    assert found.figures["labelled_rows"].value == 1000


def test_many_labels_are_sampled_and_that_is_said(reference):
    found = PerformanceMonitor(rows=1000).observe(reference, make_window(rows=4000, labels=1.0))
    assert any("sample" in note for note in found.notes)
    assert found.figures["labelled_rows"].value == pytest.approx(4000, rel=0.1)
    assert found.figures["label_maturity"].value == 1.0


@pytest.mark.parametrize(
    "bad", [{"figures": ["auc"]}, {"margin": -1}, {"maturity": "soon"}, {"least": 1}, {"groups": 0}]
)
def test_parameters_that_mean_nothing_are_refused(bad):
    with pytest.raises(ParameterError, match=r"performance|length of time"):
        PerformanceMonitor(**bad)
