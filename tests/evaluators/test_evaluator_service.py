from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from mlframe.evaluators.service import ServiceEvaluator, _median_interval
from mlframe.testing import make_judged
from mlframe.testing.data import TablePipeline


class Counting(TablePipeline):
    """Remembers how many rows each call had."""

    def __init__(self, predictions) -> None:
        super().__init__(predictions)
        self.calls: list[int] = []

    def outputs(self, frame: pl.DataFrame):
        self.calls.append(frame.height)
        return super().outputs(frame)


def test_figures_are_those_of_the_pipeline(tmp_path) -> None:
    judged = make_judged("binary", 50)
    pipeline = Counting(judged.predictions)
    found = ServiceEvaluator(seconds=0.05, batch=120).evaluate(replace(judged, pipeline=pipeline))
    assert set(found.figures) == {"latency_ms", "throughput", "size_mb"}
    for name in ("latency_ms", "throughput"):
        figure = found.figures[name]
        assert 0 < figure.low <= figure.value <= figure.high
    pipeline.save(tmp_path)
    assert found.figures["size_mb"].value == pytest.approx((tmp_path / "pipeline.parquet").stat().st_size / 1e6)
    singles, batches = pipeline.calls[:-7], pipeline.calls[-7:]
    assert set(singles) == {1}
    assert len(singles) >= 23, "three to warm up, twenty at least to measure"
    assert batches[0] == 120, "holdout rows are repeated"
    table = found.tables["service"]
    assert table["unit"].to_list() == ["ms", "ms", "rows/s", "MB"]
    assert table["measurements"][0] == len(singles) - 3
    assert "measured on this machine" in found.findings[0].text


def test_nothing_is_measured_without_a_pipeline_and_no_intervals_unless_wanted() -> None:
    judged = make_judged("regression", 50)
    assert ServiceEvaluator().evaluate(replace(judged, pipeline=None)).figures == {}
    plain = ServiceEvaluator(seconds=0.02).evaluate(replace(judged, intervals=False, pictures=False))
    assert all(figure.low is None for figure in plain.figures.values())
    assert not plain.charts


@pytest.mark.parametrize("count", [20, 57, 300])
def test_the_interval_of_a_median_holds_it_in_95_of_100(count: int) -> None:
    low, high = _median_interval(np.arange(count))
    assert low == count - 1 - high
    # It misses when at most `low` values fall on one side of the median.
    assert 1 - 2 * binom.cdf(low, count, 0.5) >= 0.95
    assert 1 - 2 * binom.cdf(low + 1, count, 0.5) < 0.95, "a narrower one would do"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("evaluators.service.seconds=0", "service: seconds must be 0.01 or more"),
        ("evaluators.service.batch=0", "service: batch must be 1 or more"),
    ],
)
def test_impossible_parameters_are_refused_at_the_door(run_cli, override: str, words: str) -> None:
    done = run_cli("plan", "data=churn", "evaluators=[classification,service]", override)
    assert done.code == 2
    assert words in done.err
