"""Conformance of a monitor (hook `mlframe_monitors`)."""

# ruff: noqa: D102 (a test's name is its documentation)

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mlframe.contracts import TASKS, Alarm, Monitor, Observation, Reference, Window
from mlframe.registry import Registered, Registry
from mlframe.testing.checks import check_charts
from mlframe.testing.suite import Suite
from mlframe.testing.watched import make_reference, make_window

__all__ = ["MonitorSuite"]


class MonitorSuite(Suite):
    """A monitor gives declared figures and alarms that people can act on, and is silent where it can tell nothing.

    Override `component`; override `quiet` where a window of `make_window()` must raise an alarm.
    """

    group = "monitors"

    @pytest.fixture
    def monitor(self, registry: Registry, item: Registered, node: dict[str, Any]) -> Monitor:
        """Give the monitor."""
        made = registry.create(self.group, node)
        assert isinstance(made, Monitor)
        return made

    @pytest.fixture
    def quiet(self) -> bool:
        """Return whether rows of the training population, rightly predicted, must raise no warning."""
        return True

    def test_figures_are_declared_without_rows(self, monitor: Monitor) -> None:
        declared = list(monitor.declares())
        assert len({figure.name for figure in declared}) == len(declared)
        for figure in declared:
            assert figure.summary.strip(), f"{figure.name} needs a line that a stakeholder understands"

    @pytest.mark.parametrize("task", TASKS)
    @pytest.mark.parametrize("labels", [0.0, 0.5])
    def test_what_is_observed_keeps_the_form(
        self, monitor: Monitor, tmp_path: Path, task: str, labels: float, quiet: bool
    ) -> None:
        found = _observe(monitor, make_reference(tmp_path, task), make_window(task, labels=labels))
        loud = [alarm.text for alarm in found.alarms if alarm.severity != "info"]
        assert not (quiet and loud), "nothing has changed here"

    def test_two_looks_tell_the_same(self, monitor: Monitor, tmp_path: Path) -> None:
        reference, window = make_reference(tmp_path), make_window(labels=0.5, change=_broken)
        first, second = (_observe(monitor, reference, window) for _ in range(2))
        assert first.figures == second.figures
        assert list(first.alarms) == list(second.alarms)
        assert first.state == second.state

    def test_it_finds_its_own_state_again(self, monitor: Monitor, item: Registered, tmp_path: Path) -> None:
        reference, window = make_reference(tmp_path), make_window(labels=0.5)
        found = _observe(monitor, reference, window)
        figures = {name: {"value": f.value, "low": f.low, "high": f.high} for name, f in found.figures.items()}
        earlier = {
            "since": window.since - timedelta(days=1),
            "until": window.since,
            "version": reference.reference,
            "rows": window.rows,
            "figures": figures,
            "state": {item.component.name: json.loads(json.dumps(found.state))},
        }
        _observe(monitor, reference, replace(window, before=(earlier,) * 3))

    @pytest.mark.parametrize("rows", [1, 2, 10])
    def test_few_rows_are_no_exception(self, monitor: Monitor, tmp_path: Path, rows: int) -> None:
        _observe(monitor, make_reference(tmp_path), make_window(rows=rows))
        _observe(monitor, make_reference(tmp_path), make_window(rows=rows, labels=1.0))

    def test_rows_without_times_and_with_nothing_in_them(self, monitor: Monitor, tmp_path: Path) -> None:
        window = make_window(timed=False, change=_empty)
        _observe(monitor, make_reference(tmp_path), window)
        unknown = ("caller", "latency_ms", "y_pred", "p_no", "p_yes")
        schema = window.predictions.collect_schema()
        bare = window.predictions.with_columns(pl.lit(None, schema[name]).alias(name) for name in unknown)
        _observe(monitor, make_reference(tmp_path), replace(window, predictions=bare))

    def test_a_bundle_of_another_format_is_told(self, monitor: Monitor, tmp_path: Path) -> None:
        old = make_reference(
            tmp_path, baseline={"rows": 10, "columns": {"amount": {"missing": 0.0, "kind": "numeric"}}}
        )
        _observe(monitor, old, make_window())


def _broken(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("amount") * 1000, pl.lit("gold").alias("colour"))


def _empty(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        pl.lit(None, frame.schema[name]).alias(name) for name in ("amount", "colour", "note", "ordered")
    )


def _observe(monitor: Monitor, reference: Reference, window: Window) -> Observation:
    before = window.predictions.collect()
    found = monitor.observe(reference, window)
    assert isinstance(found, Observation)
    assert window.predictions.collect().equals(before), "the window's rows were changed"
    declared = {figure.name: figure for figure in monitor.declares()}
    for name, figure in found.figures.items():
        assert name in declared, f"figure {name!r} is not declared"
        assert declared[name].holds(figure.value), f"{name} cannot be {figure.value}"
        assert figure.low is None or figure.high is None or figure.low <= figure.high
    assert len({alarm.key for alarm in found.alarms}) == len(found.alarms), "two alarms with one key are one alarm"
    for alarm in found.alarms:
        _check_alarm(alarm)
    check_charts(found.charts)
    assert all(name.strip() and frame.height <= 10_000 for name, frame in found.tables.items())
    assert all(note.strip() for note in found.notes)
    json.dumps(found.state, allow_nan=False)
    return found


def _check_alarm(alarm: Alarm) -> None:
    assert isinstance(alarm, Alarm)
    assert alarm.severity in ("info", "warning", "problem")
    assert "/" in alarm.key, "the key begins with the monitor's name: <monitor>/<what>"
    assert alarm.text.strip()
    assert any(sign.isdigit() for sign in alarm.text), "an alarm tells its numbers"
    assert alarm.cause, "an alarm tells its likely cause"
    assert alarm.action, "an alarm tells what to do"
    assert alarm.since is None or alarm.since.tzinfo is not None
    json.dumps(dict(alarm.evidence), allow_nan=False)
