from __future__ import annotations

import math
import shutil
import subprocess
from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st
from wire_bench import needs

from mlframe.serving.metrics import SECONDS, STALE, Metrics, quantile


def value(text: bytes, name: str) -> float:
    """Give the value of one line."""
    lines = [line.rpartition(" ") for line in text.decode().splitlines()]
    (found,) = [number for key, _, number in lines if key == name]
    return float(found)


def busy(folder, worker: str) -> Metrics:
    metrics = Metrics(folder, worker)
    for _ in range(3):
        metrics.request("predict", 200, "email/7", 0.0031, rows=2)
    metrics.request("predict", 422, None, 0.0002)
    metrics.request("infer", 503, 'odd"\\\nname/1', 99.0)
    metrics.batch(5)
    metrics.queue, metrics.running, metrics.lost, metrics.reload_errors = 4, 2, 7, 1
    metrics.models = [("email/7", "champion", True)]
    return metrics


def test_workers_count_as_one_also_those_that_have_ended(tmp_path, monkeypatch):
    ended, other, asked = (busy(tmp_path, name) for name in ("0-11", "1-12", "0-13"))
    monkeypatch.setattr("time.time", lambda: 1e9)
    ended.flush()
    monkeypatch.setattr("time.time", lambda: 1e9 + STALE + 1)
    other.flush()
    (tmp_path / "2-14.metrics").write_bytes(b"torn")
    text = asked.text()
    assert value(text, 'mlframe_requests_total{route="predict",status="200",version="email/7"}') == 9
    assert value(text, 'mlframe_requests_total{route="infer",status="503",version="odd\\"\\\\\\nname/1"}') == 3
    assert value(text, 'mlframe_rows_total{version="email/7"}') == 18
    assert value(text, 'mlframe_request_duration_seconds_count{route="predict"}') == 12
    assert value(text, 'mlframe_request_duration_seconds_sum{route="infer"}') == 297
    assert value(text, 'mlframe_request_duration_seconds_bucket{route="predict",le="0.0005"}') == 3
    assert value(text, 'mlframe_request_duration_seconds_bucket{route="infer",le="10"}') == 0
    assert value(text, 'mlframe_batch_rows_bucket{le="4"}') == 0
    assert value(text, 'mlframe_batch_rows_bucket{le="8"}') == 3
    assert value(text, "mlframe_batch_rows_sum") == 15
    assert value(text, "mlframe_log_lost_rows_total") == 21
    # What is so now is told of the workers that serve now.
    assert value(text, "mlframe_queue_rows") == 8
    assert value(text, "mlframe_workers") == 2
    assert value(text, 'mlframe_model_info{version="email/7",role="champion",fast="yes"}') == 1


def test_a_full_disk_costs_nothing_but_freshness(tmp_path):
    metrics = busy(tmp_path, "0-1")
    shutil.rmtree(tmp_path)
    metrics.flush()
    assert value(metrics.text(), "mlframe_workers") == 1


def test_minutes_older_than_an_hour_are_forgotten(tmp_path, monkeypatch):
    metrics = Metrics(tmp_path, "0-1")
    for minute in range(200):
        monkeypatch.setattr("time.time", lambda minute=minute: 60.0 * minute)
        metrics.request("predict", 500 if minute % 2 else 404, "a/1", 0.001)
    counts = metrics.counts()
    assert sorted(counts.minutes) == list(range(140, 200))
    recent = counts.recent(10, 60.0 * 199)
    assert (recent.requests, recent.refused, recent.failed) == (10, 5, 5)


@needs("promtool")
def test_promtool_finds_nothing_to_mend(tmp_path):
    for metrics in (Metrics(tmp_path / "new", "0-1"), busy(tmp_path / "busy", "0-1")):
        done = subprocess.run(["promtool", "check", "metrics"], input=metrics.text(), capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@given(st.lists(st.floats(1e-5, 20), min_size=1, max_size=200), st.floats(0.01, 1))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(tmp_path_factory, seconds, share):
    metrics = Metrics(tmp_path_factory.getbasetemp() / "quantiles", "0-1")
    for item in seconds:
        metrics.request("x", 200, "a/1", item)
    true = sorted(seconds)[math.ceil(share * len(seconds)) - 1]
    place = bisect_left(SECONDS, true)
    found = quantile(metrics.counts().durations["x"], share)
    low, high = ([0.0, *SECONDS][place], SECONDS[place]) if place < len(SECONDS) else (SECONDS[-1], SECONDS[-1])
    assert low <= found <= high


def test_nothing_has_no_quantile():
    assert quantile([0] * (len(SECONDS) + 2), 0.5) is None
