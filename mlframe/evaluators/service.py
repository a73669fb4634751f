"""What a prediction costs: time of a single row, rows a second, size on disk."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from mlframe.contracts import TASKS, Chart, Evaluation, Evaluator, Figure, Finding, Interval, Judged
from mlframe.evaluators.losses import at_least

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    Array = npt.NDArray[Any]

__all__ = ["ServiceEvaluator"]

FIGURES = (
    Figure(
        "latency_ms", "lower", "ms", TASKS, "Time of a prediction for a single row, half of the calls are faster",
        holdout_only=True, measured=True, low=0,
    ),
    Figure(
        "throughput", "higher", "rows/s", TASKS, "Rows predicted a second when many come at once",
        holdout_only=True, measured=True, low=0,
    ),
    Figure(
        "size_mb", "lower", "MB", TASKS, "Size of the saved pipeline", holdout_only=True, measured=True, low=0
    ),
)  # fmt: skip
WARM = 3
CALLS = (20, 300)
"""Least and most calls with a single row."""
BATCHES = 6
"""The range of six measurements holds the median with 97 % certainty, whatever the distribution."""


class ServiceEvaluator(Evaluator):
    """Measure the fitted pipeline at work on holdout rows, after a warm-up.

    Times are read off a clock: they differ from run to run and from machine to machine, and other programs on the machine
    make them worse. They are those of the pipeline in this process, without a server around it. Intervals are free of
    assumptions about the distribution: of the median latency by its ranks, of the throughput the range of six batches.
    Nothing is measured without the pipeline, so folds have no such figures.

    Args:
        seconds: time for calls with a single row, about.
        batch: rows in a batch; holdout rows are repeated when there are fewer.
    """

    tasks = TASKS

    def __init__(self, seconds: float = 0.3, batch: int = 1000) -> None:
        at_least("service", 0.01, seconds=seconds)
        at_least("service", 1, batch=batch)
        self.seconds, self.batch = seconds, batch

    def declares(self) -> Sequence[Figure]:
        """Return latency, throughput and size."""
        return FIGURES

    def evaluate(self, judged: Judged) -> Evaluation:
        """Return the three figures; the distribution of the latency when pictures are wanted."""
        if judged.pipeline is None or judged.table is None or not len(judged.table):
            return Evaluation()
        frame = judged.table.frame
        outputs = judged.pipeline.outputs
        calls = self._single(outputs, frame)
        rates, rows = self._batches(outputs, frame)
        size = _size(judged.pipeline)
        low, high = _median_interval(calls) if judged.intervals else (None, None)
        ends = (min(rates), max(rates)) if judged.intervals else (None, None)
        figures = {
            "latency_ms": Interval(float(np.median(calls)), low, high),
            "throughput": Interval(float(np.median(rates)), *ends),
            "size_mb": Interval(size),
        }
        if not judged.pictures:
            return Evaluation(figures)
        slow = float(np.percentile(calls, 99))
        table = pl.DataFrame(
            {
                "measured": [
                    "one row, median",
                    "one row, 99 of 100 calls are faster",
                    f"batch of {rows}",
                    "saved pipeline",
                ],
                "value": [figures["latency_ms"].value, slow, figures["throughput"].value, size],
                "unit": ["ms", "ms", "rows/s", "MB"],
                "measurements": [len(calls), len(calls), len(rates), 1],
            }
        )
        text = (
            f"one row takes {figures['latency_ms'].value:.2g} ms (99 of 100 calls at most {slow:.2g} ms), a batch runs at"
            f" {figures['throughput'].value:,.0f} rows/s, the saved pipeline has {size:.2g} MB; measured on this machine"
        )
        chart = _chart(calls, slow)
        return Evaluation(figures, [chart] if chart else [], {"service": table}, [Finding("info", text)])

    def _single(self, outputs: Callable[[pl.DataFrame], Any], frame: pl.DataFrame) -> Array:
        """Return the time of each call with a single row, in milliseconds; the rows take turns."""
        rows = [frame.slice(k % frame.height, 1) for k in range(CALLS[1])]
        for row in rows[:WARM]:
            outputs(row)
        took: list[float] = []
        end = time.perf_counter() + self.seconds
        for row in rows:
            began = time.perf_counter()
            if len(took) >= CALLS[0] and began > end:
                break
            outputs(row)
            took.append((time.perf_counter() - began) * 1000)
        return np.array(took)

    def _batches(self, outputs: Callable[[pl.DataFrame], Any], frame: pl.DataFrame) -> tuple[list[float], int]:
        """Return rows a second of each batch, and the rows of a batch."""
        rows = frame[np.arange(self.batch) % frame.height]
        began = time.perf_counter()
        outputs(rows)
        # A pipeline for which the batches would take long gets smaller ones.
        once = time.perf_counter() - began
        if once * BATCHES > 2 * self.seconds:
            rows = rows.head(max(1, math.floor(self.batch * 2 * self.seconds / (once * BATCHES))))
        rates = []
        for _ in range(BATCHES):
            began = time.perf_counter()
            outputs(rows)
            rates.append(rows.height / max(time.perf_counter() - began, 1e-9))
        return rates, rows.height


def _size(pipeline: Any) -> float:
    """Save the pipeline in a folder of its own and return its size in megabytes (10**6 bytes)."""
    with tempfile.TemporaryDirectory(prefix="mlframe-size-") as folder:
        pipeline.save(Path(folder))
        return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file()) / 1e6


def _median_interval(values: Array) -> tuple[float, float]:
    """Return the 95 % interval of a median by the ranks of the binomial distribution."""
    from scipy.special import bdtrik

    count = len(values)
    rank = max(0, math.floor(float(bdtrik(0.025, count, 0.5))))
    ordered = np.sort(values)
    return float(ordered[rank]), float(ordered[count - 1 - rank])


def _chart(calls: Array, slow: float) -> Chart | None:
    from mlframe.charts import plots

    inner = calls[calls <= slow]
    if not np.ptp(inner) > 0:
        return None
    counts, edges = np.histogram(inner, bins=24)
    return plots.histogram(
        "latency",
        "Time of a single row",
        f"{len(calls)} calls with one row: the median is {np.median(calls):.2g} ms, 99 of 100 take at most {slow:.2g} ms."
        " The slowest percent is not drawn.",
        edges,
        [("calls", counts / len(calls))],
        x="milliseconds",
        y="share of calls",
    )
