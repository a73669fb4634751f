"""The monitor `quality`: every alarm has a twin with its cause removed that shows none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from mlframe.monitors.known import known_columns
from mlframe.monitors.quality import QualityMonitor
from mlframe.testing import MonitorSuite, make_reference, make_window


class TestConformance(MonitorSuite):
    @pytest.fixture
    def component(self):
        return "quality"


@pytest.fixture
def reference(tmp_path):
    return make_reference(tmp_path)


def changed(window, *expressions):
    return replace(window, predictions=window.predictions.with_columns(*expressions))


def keys(found):
    return sorted(alarm.key for alarm in found.alarms)


def observe(reference, window, **options):
    return QualityMonitor(**options).observe(reference, window)


def test_rows_like_those_of_training_are_no_alarm(reference):
    assert keys(observe(reference, make_window())) == []


def test_missing_values(reference):
    window = make_window()
    half = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col("amount")).alias("amount")
    found = observe(reference, changed(window, half))
    assert keys(found) == ["quality/missing/amount"]
    (alarm,) = found.alarms
    assert (alarm.severity, alarm.column) == ("problem", "amount")
    assert alarm.evidence["share"] == pytest.approx(0.54, abs=0.05)
    assert keys(observe(reference, changed(window, half), missing=0.9)) == []


def test_new_categories_and_numbers_out_of_range(reference):
    window = make_window()
    new = pl.when(pl.int_range(pl.len()) % 10 == 0).then(pl.lit("purple")).otherwise(pl.col("colour")).alias("colour")
    assert keys(observe(reference, changed(window, new))) == ["quality/unseen/colour"]
    found = observe(reference, changed(window, pl.col("amount") + 1000))
    assert keys(found) == ["quality/unseen/amount"]
    assert found.alarms[0].evidence["above"] > found.alarms[0].evidence["below"] == 0


@pytest.mark.parametrize(
    ("rule", "wrong", "right"),
    [
        ({"max": 50}, 51, 50),
        ({"min": 1}, 0, 1),
        ({"above": 1}, 1, 2),
        ({"below": 9}, 9, 8),
        ({"allowed": [1, 2]}, 3, 2),
        ({"forbidden": [3]}, 3, 2),
        ({"nullable": False}, None, 2),
    ],
)
def test_rules_of_the_bundle(reference, rule, wrong, right):
    held = replace(reference, rules={"visits": rule}, baseline={"rows": 0, "columns": {}})
    window = make_window()
    for value, alarms in ((wrong, [f"quality/rule/visits/{next(iter(rule))}"]), (right, [])):
        found = observe(held, changed(window, pl.lit(value, dtype=pl.Int64).alias("visits")))
        assert keys(found) == alarms


def test_patterns_and_lengths_of_texts(reference):
    held = replace(reference, rules={"colour": {"pattern": "[a-z]+", "max_length": 6}}, baseline={})
    window = make_window()
    assert keys(observe(held, changed(window, pl.lit("red").alias("colour")))) == []
    assert keys(observe(held, changed(window, pl.lit("7").alias("colour")))) == ["quality/rule/colour/pattern"]
    assert keys(observe(held, changed(window, pl.lit("crimsons").alias("colour")))) == [
        "quality/rule/colour/max_length"
    ]


def earlier(window, count, rows, **figures):
    span = window.until - window.since
    return [
        {
            "since": window.since - (n + 1) * span,
            "until": window.since - n * span,
            "version": "v",
            "rows": rows,
            "figures": {name: {"value": value, "low": None, "high": None} for name, value in figures.items()},
            "state": {"gap": 1e9},
        }
        for n in range(count)
    ]


@pytest.mark.parametrize(("before", "alarms"), [(10, True), (100_000, True), (0.8, False), (1.9, False)])
def test_volume_is_compared_with_earlier_windows(reference, before, alarms):
    window = make_window()
    window = replace(window, now=window.until + timedelta(days=1))
    rows = int(before if before >= 10 else before * window.rows)
    found = observe(reference, replace(window, before=earlier(window, 6, rows)))
    assert ("quality/volume" in keys(found)) == alarms
    few = observe(reference, replace(window, before=earlier(window, 4, rows)))
    assert "quality/volume" not in keys(few), "four windows are no history"


@pytest.mark.parametrize(
    ("usual", "windows", "silent", "alarm"),
    [
        (60.0, 6, 0.5, True),
        (60.0, 6, 0.0, False),  # callers that go on
        (60.0, 4, 0.5, False),  # no history yet
        (1e9, 6, 0.5, False),  # silences that are usual
    ],
)
def test_a_silence_is_compared_with_earlier_ones(reference, usual, windows, silent, alarm):
    window = make_window()
    window = replace(window, now=window.until + timedelta(days=1))
    last = window.until - silent * (window.until - window.since) - timedelta(seconds=1)
    stopped = changed(window, pl.col("time").clip(upper_bound=last))
    before = [{**row, "state": {"gap": usual}} for row in earlier(window, windows, window.rows)]
    found = observe(reference, replace(stopped, before=before))
    assert ("quality/freshness" in keys(found)) == alarm
    assert found.figures["silence_s"].value >= silent * (window.until - window.since).total_seconds()
    if alarm:
        evidence = next(one for one in found.alarms if one.key == "quality/freshness").evidence
        assert evidence["longest_before_s"] == usual


@pytest.mark.parametrize(("seconds", "alarm"), [(3600, True), (5, False), (-5, False)])
def test_times_after_now_are_a_clock_that_is_ahead(reference, seconds, alarm):
    window = make_window()
    found = observe(reference, replace(window, now=last_of(window) - timedelta(seconds=seconds)))
    assert ("quality/clock" in keys(found)) == alarm
    if alarm:
        (clock,) = (one for one in found.alarms if one.key == "quality/clock")
        assert 1 <= clock.evidence["count"] <= clock.evidence["rows"] == window.rows


def last_of(window):
    return window.predictions.select(pl.col("time").max()).collect().item()


def test_rows_that_repeat_themselves(reference):
    window = make_window()
    inputs = [column["logged"] if "logged" in column else column["name"] for column in reference.inputs]
    same = changed(window, *(pl.col(name).first() for name in inputs))
    history = earlier(window, 6, window.rows, duplicate_share=0.02)
    assert "quality/duplicates" in keys(observe(reference, replace(same, before=history)))
    assert "quality/duplicates" not in keys(observe(reference, replace(window, before=history)))


def test_baselines_of_older_bundles_are_read():
    old = {
        "rows": 100,
        "columns": {
            "a": {"missing": 0.1, "kind": "numeric", "edges": [1.0, 2.0, 9.0], "counts": [40, 50]},
            "b": {"missing": 0.0, "kind": "categorical", "counts": {"x": 99, "y": 1}},
            "c": {"missing": 0.0, "kind": "categorical", "counts": {"x": 50}},
            "d": {"missing": 0.5, "kind": "text", "length": [1, 2, 3, 4, 5]},
        },
    }
    known = known_columns(old)
    assert (known["a"].low, known["a"].high, known["a"].missing) == (1.0, 9.0, 0.1)
    assert (known["b"].names, known["b"].rare) == (("x", "y"), 0.01)
    assert known["c"].names is None, "half of the rows have other names"
    assert known["d"].missing == 0.5
