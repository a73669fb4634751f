"""The monitor `estimated`: close to the truth while what held holds, honest about how close, silent where it knows nothing."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from mlframe.monitors.estimated import EstimatedMonitor
from mlframe.monitors.performance import PerformanceMonitor
from mlframe.testing import make_reference, make_window


def past(reference, task, windows=2):
    """Look at labelled windows, as the step does."""
    before = []
    for seed in range(2, 2 + windows):
        window = make_window(task, labels=1.0, seed=seed, before=tuple(before))
        seen = [monitor.observe(reference, window) for monitor in (EstimatedMonitor(), PerformanceMonitor())]
        figures = {
            name: {"value": item.value, "low": item.low, "high": item.high}
            for one in seen
            for name, item in one.figures.items()
        }
        state = json.loads(json.dumps(seen[0].state, allow_nan=False))
        before.append({"version": "tiny/7", "rows": 1000, "figures": figures, "state": state})
    return tuple(before)


@pytest.mark.parametrize(
    ("task", "figure"),
    [("binary", "roc_auc"), ("binary", "accuracy"), ("multiclass", "log_loss"), ("regression", "mae")],
)
def test_an_estimate_holds_the_truth(tmp_path, task, figure):
    reference = make_reference(tmp_path, task)
    before = past(reference, task, 3)
    found = EstimatedMonitor().observe(reference, make_window(task, before=before, seed=9))
    truth = PerformanceMonitor().observe(reference, make_window(task, labels=1.0, seed=9)).figures[figure].value
    estimate = found.figures[f"estimated_{figure}"]
    assert estimate.low <= truth <= estimate.high
    assert estimate.high - estimate.low < 0.6 * abs(truth)


def test_before_anything_was_learned_it_says_so_and_raises_nothing(tmp_path):
    reference = make_reference(tmp_path, figures={"roc_auc": {"value": 0.999, "low": None, "high": None}})
    found = EstimatedMonitor().observe(reference, make_window())
    assert any("taken at their word" in note for note in found.notes)
    assert any("nobody knows how far off" in note for note in found.notes)
    assert not found.alarms


def harder(frame):
    """Bring rows into the middle, where the model is not sure."""
    return frame.with_columns(pl.lit(64.0).alias("amount"), pl.lit("blue").alias("colour"))


def test_harder_rows_are_a_warning_and_rows_as_before_none(tmp_path):
    reference = make_reference(tmp_path, goal={"metric": "log_loss", "targets": {}, "value": {}})
    reference = replace(reference, figures={"log_loss": {"value": 0.35, "low": 0.33, "high": 0.37}})
    before = past(reference, "binary", 3)
    found = EstimatedMonitor().observe(reference, make_window(change=harder, before=before))
    assert [alarm.key for alarm in found.alarms] == ["estimated/log_loss"]
    assert found.alarms[0].severity == "warning"
    assert not EstimatedMonitor().observe(reference, make_window(before=before)).alarms


def test_estimates_are_held_against_labels(tmp_path):
    reference = make_reference(tmp_path)
    before = past(reference, "binary", 3)
    found = EstimatedMonitor().observe(reference, make_window(before=before))
    assert 0 < found.figures["estimate_error"].value < 0.05
    assert any("off by" in note for note in found.notes)
    far = tuple(
        {**row, "figures": {**row["figures"], "roc_auc": {"value": 0.6, "low": None, "high": None}}} for row in before
    )
    wide = EstimatedMonitor().observe(reference, make_window(before=far)).figures["estimated_roc_auc"]
    assert wide.high - wide.low > 2 * (found.figures["estimated_roc_auc"].high - found.figures["estimated_roc_auc"].low)


def test_many_classes_take_no_more_memory(tmp_path):
    classes = tuple(f"c{k}" for k in range(60))
    reference = make_reference(tmp_path, "multiclass", classes=classes)
    window = make_window("multiclass", rows=20_000)
    proba = np.random.default_rng(0).dirichlet(np.ones(60), 20_000)
    columns = [pl.Series(f"p_{name}", proba[:, k]) for k, name in enumerate(classes)]
    said = pl.Series("y_pred", [classes[k] for k in proba.argmax(axis=1)])
    window = replace(window, predictions=window.predictions.with_columns(said, *columns))
    tracemalloc.start()
    found = EstimatedMonitor(resamples=20).observe(reference, window)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0 < found.figures["estimated_accuracy"].value < 0.2
    assert peak < 600e6


def test_windows_of_another_version_teach_nothing(tmp_path):
    reference = make_reference(tmp_path)
    other = tuple({**row, "version": "tiny/6"} for row in past(reference, "binary"))
    found = EstimatedMonitor().observe(reference, make_window(before=other))
    assert any("taken at their word" in note for note in found.notes)
