"""The monitor `service`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from mlframe.monitors.service import ServiceMonitor
from mlframe.testing import MonitorSuite, make_reference, make_window


class TestConformance(MonitorSuite):
    @pytest.fixture
    def component(self):
        return {"name": "service", "price_per_hour": 0.5, "currency": "EUR"}


def requests(reference, window, sizes, latencies):
    """Give a window of requests with so many rows and milliseconds each, a second apart."""
    rows = [
        (f"r{n}", row, n, ms) for n, (size, ms) in enumerate(zip(sizes, latencies, strict=True)) for row in range(size)
    ]
    frame = pl.DataFrame(rows, schema=["request_id", "row", "n", "latency_ms"], orient="row").with_columns(
        pl.lit(reference.reference).alias("version"),
        pl.lit("champion").alias("role"),
        (pl.lit(window.since) + pl.duration(seconds=pl.col("n"))).cast(pl.Datetime("us", "UTC")).alias("time"),
    )
    return replace(window, predictions=frame.lazy(), rows=len(frame), now=window.until + timedelta(days=1))


@pytest.fixture
def reference(tmp_path):
    return make_reference(tmp_path)


def test_figures_are_those_of_requests_and_not_of_rows(reference):
    sizes = [1] * 90 + [100] * 10
    latencies = np.linspace(1, 100, 100)
    found = ServiceMonitor().observe(reference, requests(reference, make_window(), sizes, latencies)).figures
    assert found["requests"].value == 100
    assert found["latency_p50_ms"].value == pytest.approx(50, abs=1)
    assert found["latency_p99_ms"].value == pytest.approx(99, abs=1)
    assert found["rows_per_request"].value == pytest.approx(10.9)
    assert found["rows_per_request_p95"].value == 100


def test_cost_is_paid_for_the_whole_window(reference):
    window = requests(reference, make_window(), [1] * 50, [1.0] * 50)
    span = (window.until - window.since).total_seconds()
    history = [{"figures": {}, "state": None, "rows": 1, "version": "v", "since": window.since, "until": window.until}]
    found = ServiceMonitor(price_per_hour=0.4, machines=2).observe(reference, replace(window, before=history))
    assert found.figures["cost_per_1000"].value == pytest.approx(0.4 * 2 * span / 3600 / 50 * 1000)
    assert "cost_per_1000" not in ServiceMonitor().observe(reference, window).figures


def test_rows_without_latency_tell_nothing(reference):
    window = make_window()
    blank = replace(
        window, predictions=window.predictions.with_columns(pl.lit(None, dtype=pl.Float32).alias("latency_ms"))
    )
    found = ServiceMonitor().observe(reference, blank)
    assert found.figures == {}
    assert found.alarms == ()
    assert "tell no latency" in found.notes[0]


@pytest.mark.parametrize(("usual", "alarms"), [(2.0, ["service/latency"]), (8.0, [])])
def test_latency_is_compared_with_what_was_usual(reference, usual, alarms):
    window = requests(reference, make_window(), [1] * 200, [10.0] * 200)
    history = [{"figures": {"latency_p95_ms": {"value": usual, "low": None, "high": None}}} for _ in range(4)]
    found = ServiceMonitor().observe(reference, replace(window, before=history))
    assert [alarm.key for alarm in found.alarms] == alarms


@pytest.mark.parametrize(("target", "severity"), [(4.0, "problem"), (8.0, "warning"), (20.0, None)])
def test_latency_is_held_to_the_goals_target(reference, target, severity):
    held = replace(reference, goal={"targets": {"latency_ms": target}})
    window = requests(held, make_window(), [1] * 200, [10.0] * 200)
    found = ServiceMonitor().observe(held, window)
    assert [alarm.severity for alarm in found.alarms] == ([severity] if severity else [])


def failures(window, version="tiny/7", **counts):
    """Give a window in which so many requests had a status, such as s503=12."""
    rows = [(window.since, version, "predict", int(name[1:]), count) for name, count in counts.items()]
    schema = {"time": pl.Datetime("us", "UTC"), "version": pl.String, "route": pl.String}
    schema |= {"status": pl.UInt16, "requests": pl.UInt32}
    return replace(window, failures=pl.LazyFrame(rows, schema=schema, orient="row"))


@pytest.mark.parametrize(("failed", "severity"), [(0, None), (3, None), (30, "warning"), (200, "problem")])
def test_requests_that_the_server_fails_at_are_an_alarm(reference, failed, severity):
    window = requests(reference, make_window(), [1] * 800, [1.0] * 800)
    found = ServiceMonitor().observe(reference, failures(window, s503=failed))
    assert found.figures["error_rate"].value == pytest.approx(failed / (800 + failed))
    assert found.figures["refused_rate"].value == 0
    assert [(alarm.key, alarm.severity) for alarm in found.alarms] == (
        [("service/errors", severity)] if severity else []
    )


@pytest.mark.parametrize(("usual", "windows", "alarms"), [(0.02, 4, ["service/refused"]), (0.18, 4, []), (0.02, 2, [])])
def test_refused_requests_are_compared_with_what_was_usual(reference, usual, windows, alarms):
    window = failures(requests(reference, make_window(), [1] * 800, [1.0] * 800), s422=200)
    history = [{"figures": {"refused_rate": {"value": usual, "low": None, "high": None}}} for _ in range(windows)]
    found = ServiceMonitor().observe(reference, replace(window, before=history))
    assert [alarm.key for alarm in found.alarms] == alarms
    assert "200 times 422" in found.notes[-1]


def test_a_version_that_was_just_promoted_is_not_blamed_for_what_failed_before(reference):
    window = failures(requests(reference, make_window(), [1] * 20, [1.0] * 20), version="tiny/6", s503=100)
    found = ServiceMonitor().observe(reference, window)
    assert found.figures["error_rate"].value == 0
    assert found.alarms == []


def test_of_rows_of_a_file_nobody_knows_what_failed(reference):
    found = ServiceMonitor().observe(reference, requests(reference, make_window(), [1] * 200, [1.0] * 200))
    assert not {"error_rate", "refused_rate"} & set(found.figures)
