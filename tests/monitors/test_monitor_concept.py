"""The monitor `concept`: only P(y|x) raises an alarm; P(x) alone does not, however much the loss grows by it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from mlframe.monitors.concept import ConceptMonitor
from mlframe.testing import make_reference, make_window

SINCE = make_window(rows=1).since


def window_of(x, y, p, before=()):
    """Make a window of one column, `amount`."""
    rows = len(x)
    base = make_window(rows=2)
    meta = {
        "request_id": [f"r{k}" for k in range(rows)],
        "row": pl.Series([0] * rows, dtype=pl.UInt32),
        "time": pl.Series([SINCE + k * timedelta(days=1) / rows for k in range(rows)], dtype=pl.Datetime("us", "UTC")),
        "version": ["tiny/7"] * rows,
        "role": ["champion"] * rows,
        "amount": x,
        "y_pred": np.where(p > 0.5, "yes", "no"),
        "p_no": 1 - p,
        "p_yes": p,
    }
    predictions = pl.DataFrame(meta)
    feedback = predictions.select(
        "request_id", "row", "time", label=pl.Series(np.where(y, "yes", "no")), outcome=pl.lit(None, pl.String)
    )
    return replace(base, rows=rows, predictions=predictions.lazy(), feedback=feedback.lazy(), before=before)


def true_share(x):
    return 1 / (1 + np.exp(-2 * x))


def draw(seed, rows=2000, spread=1.5, centre=0.0, relation=true_share):
    random = np.random.default_rng(seed)
    x = random.normal(centre, spread, rows)
    return x, random.random(rows) < relation(x), true_share(x)


def wait(found):
    return {
        "version": "tiny/7",
        "rows": 1,
        "figures": {},
        "state": json.loads(json.dumps(found.state, allow_nan=False)),
    }


@pytest.fixture
def reference(tmp_path):
    return make_reference(tmp_path)


@pytest.fixture
def before(reference):
    return (wait(ConceptMonitor().observe(reference, window_of(*draw(0)))),)


def test_the_first_labelled_rows_are_kept(reference):
    found = ConceptMonitor().observe(reference, window_of(*draw(0)))
    assert len(found.state["kept"]["rows"]) == 1000
    assert not found.figures
    assert not found.alarms


def test_nothing_that_changed_is_no_alarm(reference, before):
    loud = [seed for seed in range(1, 13) if ConceptMonitor().observe(reference, window_of(*draw(seed), before)).alarms]
    assert loud == []


def test_harder_rows_raise_the_loss_but_no_alarm(reference, before):
    found = ConceptMonitor().observe(reference, window_of(*draw(1, spread=0.4), before))
    assert found.figures["loss_change"].low > 0.03
    assert found.figures["loss_change_rows"].value > 0.8 * found.figures["loss_change"].value
    assert not found.alarms
    assert any("the rows are others" in note for note in found.notes)


def test_another_relation_on_the_same_rows_is_an_alarm(reference, before):
    found = ConceptMonitor().observe(reference, window_of(*draw(1, relation=lambda x: true_share(x - 1.5)), before))
    (alarm,) = found.alarms
    assert alarm.key == "concept/relation"
    assert found.figures["loss_change_concept"].low > 0
    assert alarm.evidence["concept"] > 3 * abs(alarm.evidence["rows"])
    assert alarm.since is not None


def test_both_together_are_told_apart(reference, before):
    found = ConceptMonitor().observe(
        reference, window_of(*draw(1, spread=0.6, relation=lambda x: true_share(x - 1.0)), before)
    )
    assert [alarm.key for alarm in found.alarms] == ["concept/relation"]
    assert found.figures["loss_change_rows"].low > 0
    assert found.figures["loss_change_concept"].low > 0


def test_rows_that_cannot_be_compared_are_a_note(reference, before):
    found = ConceptMonitor().observe(reference, window_of(*draw(1, centre=40, relation=lambda x: 0.5 + 0 * x), before))
    assert not found.alarms
    assert any("cannot be told" in note for note in found.notes)
    assert "loss_change_concept" not in found.figures


@pytest.mark.parametrize("kind", ["numeric", "datetime"])
def test_a_column_that_tells_all_new_rows_from_all_old_ones(reference, kind):
    """Rows of another range, where nothing is known of the relation: with a running number, too, nothing can be told."""
    column = {"name": "serial", "kind": kind, "dtype": "Float64", "tags": [], "logged": "serial"}
    known = replace(reference, inputs=[*reference.inputs, column])

    def serial(window, day):
        moment = pl.col("time") + timedelta(days=day)
        at = moment if kind == "datetime" else moment.dt.epoch()
        return replace(window, predictions=window.predictions.with_columns(serial=at))

    first = (wait(ConceptMonitor().observe(known, serial(window_of(*draw(0, spread=0.3)), 0))),)
    other = {"spread": 0.2, "centre": 4.0, "relation": lambda x: 0.5 + 0 * x}
    found = ConceptMonitor().observe(known, serial(window_of(*draw(1, **other), first), 7))
    assert not found.alarms
    assert found.figures["comparable_share"].value < 0.1
    same = ConceptMonitor().observe(known, serial(window_of(*draw(1, spread=0.3), first), 7))
    assert ("loss_change_concept" in same.figures) == (
        kind == "datetime"
    )  # dates move on by themselves, and are not compared


def test_detectors_go_on_from_window_to_window(reference, before):
    found = ConceptMonitor().observe(reference, window_of(*draw(1, rows=500), before))
    later = ConceptMonitor().observe(reference, window_of(*draw(2, rows=500), (*before, wait(found))))
    assert later.state["detectors"]["adwin"]["seen"] == 1000


def test_another_version_begins_anew(reference, before):
    other = tuple({**row, "version": "tiny/6"} for row in before)
    found = ConceptMonitor().observe(reference, window_of(*draw(1, relation=lambda x: true_share(x - 1.5)), other))
    assert not found.alarms
    assert found.state["kept"]["rows"]


def test_the_first_rows_outlive_the_windows_that_a_monitor_is_shown(reference, before):
    monitor, empty = ConceptMonitor(), {"version": "tiny/7", "rows": 1, "figures": {}, "state": None}
    windows = [*before, *[empty] * 250]
    for seed in (1, 2):  # one with labels, one without: either writes the rows down again
        window = window_of(*draw(seed, rows=60), tuple(windows))
        found = monitor.observe(reference, window)
        quiet = monitor.observe(reference, replace(window, feedback=window.feedback.clear()))
        assert quiet.state["kept"] == found.state["kept"]
        assert found.state["kept"]["rows"] == before[0]["state"]["kept"]["rows"]
        windows = [*windows, wait(found if seed == 1 else quiet), *[empty] * 250][-500:]
    near = monitor.observe(reference, window_of(*draw(3, rows=60), tuple(windows[-251:-100])))
    assert "kept" not in near.state
    last = monitor.observe(reference, window_of(*draw(3, relation=lambda x: true_share(x - 1.5)), tuple(windows)))
    assert [alarm.key for alarm in last.alarms] == ["concept/relation"]


def test_few_labels_a_window_add_up_over_more_windows_than_a_monitor_is_shown(reference):
    windows = []
    for seed in range(5):
        found = ConceptMonitor().observe(reference, window_of(*draw(seed, rows=45), tuple(windows[-500:])))
        windows += [wait(found), *[{"version": "tiny/7", "rows": 1, "figures": {}, "state": None}] * 150]
    assert ConceptMonitor().observe(reference, window_of(*draw(9, rows=250), tuple(windows[-500:]))).figures


def test_other_columns_are_compared_with_rows_of_their_own(reference):
    windows = [wait(ConceptMonitor(columns=2).observe(reference, make_window(labels=1.0)))]
    for seed in (2, 3):
        window = make_window(labels=1.0, seed=seed, before=tuple(windows))
        found = ConceptMonitor(columns=1).observe(reference, window)
        windows.append(wait(found))
    assert windows[1]["state"]["kept"]["columns"] == ["amount"]
    assert "loss_change_concept" in found.figures


def test_without_labels_it_can_tell_nothing(reference):
    found = ConceptMonitor().observe(reference, make_window())
    assert not found.figures
    assert not found.alarms
    assert found.notes
