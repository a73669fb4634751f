"""The monitor `drift`: every alarm has a twin with its cause removed that shows none."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from mlframe.errors import ParameterError
from mlframe.monitors.drift import DriftMonitor
from mlframe.testing import make_reference, make_window


@pytest.fixture
def reference(tmp_path):
    return make_reference(tmp_path)


def observe(reference, window, **options):
    return DriftMonitor(**options).observe(reference, window)


def keys(found, *severities):
    wanted = severities or ("info", "warning", "problem")
    return [alarm.key for alarm in found.alarms if alarm.severity in wanted]


def shifted(by):
    return lambda frame: frame.with_columns(pl.col("amount") + by)


def test_nothing_that_changed_is_no_alarm(reference):
    found = observe(reference, make_window())
    assert keys(found) == []
    assert found.figures["drift_share"].value == 0
    assert found.figures["drift_auc"].value < 0.6
    assert "1,000 rows are compared with the 3,000 that tiny/7 was trained on" in found.notes[0]


def test_a_column_that_moved_is_told_with_numbers_cause_and_action(reference):
    found = observe(reference, make_window(change=shifted(20)))
    alarm = next(item for item in found.alarms if item.column == "amount")
    assert alarm.key == "drift/column/amount"
    assert alarm.severity == "problem"
    assert re.search(r"median (69|70)", alarm.text)
    assert "predictions depend on it by 60%" in alarm.text
    assert "higher by 1.1 standard deviations" in alarm.cause
    assert alarm.action
    assert alarm.evidence["q"] < 1e-6
    assert alarm.evidence["rank"] == 1
    assert "drift/prediction" in keys(found)
    assert "amount" in next(item for item in found.alarms if item.key == "drift/prediction").cause
    table = found.tables["drift"]
    assert table["column"][0] == "amount"
    assert table.filter(pl.col("moved"))["column"].to_list() == ["amount", "prediction (p_yes)"]


def test_a_tiny_shift_in_many_rows_is_no_alarm(reference):
    window = make_window(rows=60_000, change=shifted(0.6))
    found = observe(reference, window, sample=0)
    amount = found.tables["drift"].filter(pl.col("column") == "amount")
    assert amount["effect"][0] < 0.1
    assert keys(found) == []


def test_noise_in_a_hundred_rows_is_no_alarm(reference):
    alarmed = [seed for seed in range(20) if keys(observe(reference, make_window(rows=100, seed=seed + 5), sample=0))]
    assert len(alarmed) <= 1


def test_a_handful_of_rows_says_nothing(reference):
    found = observe(reference, make_window(rows=49, change=shifted(500)))
    assert (keys(found), dict(found.figures)) == ([], {})
    assert "not told of 49 rows: 50 or more are wanted" in found.notes[0]
    assert "drift/column/amount" in keys(observe(reference, make_window(rows=50, change=shifted(500))))


def test_the_beginning_is_found_within_the_window(reference):
    def later(frame):
        half = pl.int_range(pl.len()) >= pl.len() // 2
        return frame.with_columns(pl.when(half).then(pl.col("amount") + 60).otherwise(pl.col("amount")))

    window = make_window(change=later)
    alarm = next(item for item in observe(reference, window).alarms if item.column == "amount")
    assert alarm.since == window.since + timedelta(hours=12)
    whole = next(item for item in observe(reference, make_window(change=shifted(60))).alarms if item.column == "amount")
    assert whole.since == window.since
    untimed = make_window(change=shifted(60), timed=False)
    assert next(item for item in observe(reference, untimed).alarms if item.column == "amount").since == window.since


@pytest.mark.parametrize(
    ("change", "column", "words"),
    [
        (lambda f: f.with_columns(pl.col("amount") * 1000), "amount", "about 1,000 times as large"),
        (lambda f: f.with_columns(pl.lit(50.0).alias("amount")), "amount", "Only one value arrives"),
        (lambda f: f.with_columns(pl.lit(None, pl.Float64).alias("amount")), "amount", "no longer arrive"),
        (lambda f: f.with_columns(((pl.col("amount") - 50) * 3 + 50).alias("amount")), "amount", "wider spread"),
        (
            lambda f: f.with_columns(
                pl.when(pl.int_range(pl.len()) % 5 == 0).then(pl.lit("gold")).otherwise("colour").alias("colour")
            ),
            "colour",
            "'gold'",
        ),
        (
            lambda f: f.with_columns(pl.when(pl.col("colour").is_not_null()).then(pl.lit("red")).alias("colour")),
            "colour",
            "mix of what is asked",
        ),
        (lambda f: f.with_columns(pl.col("note") + " " + pl.col("note")), "note", "another length"),
        (lambda f: f.with_columns(pl.col("note").str.replace_all("e", "i")), "note", "Other words"),
        (lambda f: f.with_columns(pl.col("ordered") + pl.duration(days=9000)), "ordered", "where none can"),
    ],
)
def test_the_likely_cause_is_named(reference, change, column, words):
    found = observe(reference, make_window(change=change), sample=0)
    alarm = next(item for item in found.alarms if item.column == column)
    assert words in alarm.cause, alarm.cause
    json.dumps(dict(alarm.evidence), allow_nan=False)


def test_dates_that_move_on_with_time_are_no_drift(reference):
    window = make_window(change=lambda f: f.with_columns(pl.col("ordered") + pl.duration(days=200)))
    assert keys(observe(reference, window, sample=0)) == []


def test_a_column_that_predictions_hardly_use_is_only_told(reference):
    window = make_window(change=lambda f: f.with_columns(pl.col("visits") + 5))
    assert keys(observe(reference, window)) == ["drift/column/visits"]
    assert keys(observe(reference, window), "warning", "problem") == []
    unranked = replace(reference, baseline={**reference.baseline, "importance": {}})
    found = observe(unranked, window)
    assert keys(found, "warning", "problem") == ["drift/column/visits"]
    assert any("ranked by distance alone" in note for note in found.notes)


def test_columns_that_moved_only_together_are_found_by_the_classifier(reference):
    def paired(frame):
        # Both columns keep their values, but the highest of one stand with the lowest of the other.
        order = frame["amount"].fill_null(0).arg_sort()
        visits = frame["visits"].sort(descending=True).to_numpy()
        paired = np.empty_like(visits)
        paired[order.to_numpy()] = visits
        return frame.with_columns(pl.Series("visits", paired))

    found = observe(reference, make_window(change=paired))
    assert keys(found) == ["drift/together"]
    alarm = found.alarms[0]
    assert alarm.evidence["auc"] > 0.65
    assert "visits" in list(alarm.evidence["columns"])[:3]
    assert keys(observe(reference, make_window(change=paired), sample=0)) == []


def test_digests_of_private_columns_are_not_taken_for_values(tmp_path):
    reference = make_reference(tmp_path)
    records = [{**r, "tags": ("pii",)} if r["name"] in ("note", "colour") else r for r in reference.inputs]
    from mlframe.steps.baseline import column_sketches
    from mlframe.testing import make_table

    baseline = {**reference.baseline, "columns": column_sketches(make_table(3000).frame, records)}
    private = replace(reference, inputs=records, baseline=baseline)
    window = make_window()
    logged = window.predictions.with_columns(
        pl.when(pl.col(name).is_not_null()).then(pl.lit("0123456789abcdef0123456789abcdef")).alias(name)
        for name in ("note", "colour")
    )
    found = observe(private, replace(window, predictions=logged), sample=0)
    assert keys(found) == []
    assert any("colour, note" in note and "digests" in note for note in found.notes)
    # The same texts from a file can be compared: by lengths and hashed words.
    other = make_window(change=lambda f: f.with_columns(pl.col("note").str.replace_all("e", "i")))
    assert "drift/column/note" in keys(observe(private, other, sample=0))
    gone = logged.with_columns(pl.lit(None, pl.String).alias("note"))
    assert "drift/column/note" in keys(observe(private, replace(window, predictions=gone), sample=0))


def test_rows_of_other_versions_and_of_shadows_do_not_count(reference):
    window = make_window()
    other = make_window(change=shifted(500), seed=3).predictions
    for column, value in (("version", "tiny/6"), ("role", "shadow")):
        strange = other.with_columns(pl.lit(value).alias(column))
        found = observe(reference, replace(window, predictions=pl.concat([window.predictions, strange])), sample=0)
        assert keys(found) == []
    none = observe(reference, replace(window, predictions=other.with_columns(pl.lit("tiny/6").alias("version"))))
    assert keys(none) == []
    assert "none of the window's rows" in none.notes[0]


def test_a_window_is_read_in_parts_with_the_same_outcome(reference, monkeypatch):
    window = make_window(rows=2500, change=shifted(20))
    whole = observe(reference, window, sample=0)
    parts = replace(window)
    calls = []

    def small(self, frame, rows=200_000):
        every = frame.collect()
        for begin in range(0, len(every), 300):
            calls.append(begin)
            yield every[begin : begin + 300]

    monkeypatch.setattr(type(window), "batches", small)
    split = observe(reference, parts, sample=0)
    assert len(calls) > 8
    assert keys(split) == keys(whole)
    a, b = (found.tables["drift"].drop("wasserstein", "wasserstein_in_deviations") for found in (split, whole))
    assert a.equals(b)


def test_columns_that_the_log_had_to_rename_are_found(reference):
    window = make_window(change=shifted(20))
    renamed = replace(window, predictions=window.predictions.rename({"amount": "input.amount"}))
    records = [{**r, "logged": "input.amount"} if r["name"] == "amount" else r for r in reference.inputs]
    assert "drift/column/amount" in keys(observe(replace(reference, inputs=records), renamed))


def test_a_column_that_the_window_lacks_is_told(reference):
    window = make_window()
    found = observe(
        reference, replace(window, predictions=window.predictions.drop("amount", "y_pred", "p_yes", "p_no"))
    )
    assert keys(found) == []
    assert any("do not have" in note or "does not have these columns: amount" in note for note in found.notes)
    assert "The window has no predictions to compare." in found.notes
    assert "drift_prediction" not in found.figures


def test_a_baseline_of_another_format_is_told(reference):
    old = replace(reference, baseline={"rows": 5, "columns": {"amount": {"kind": "numeric", "missing": 0.0}}})
    found = observe(old, make_window())
    assert (keys(found), dict(found.figures)) == ([], {})
    assert "format 1" in found.notes[0]


@pytest.mark.parametrize(
    "options",
    [
        {"effect": 0},
        {"effect": 1.5},
        {"strong": 0.01},
        {"false_discovery": 0},
        {"correction": "none"},
        {"auc": 0.5},
        {"sample": -1},
    ],
)
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(ParameterError) as caught:
        DriftMonitor(**options)
    assert f"monitors.drift.{next(iter(options))}" in str(caught.value)
