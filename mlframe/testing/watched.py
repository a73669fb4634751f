"""A model at work, made up: what is known of its version, and windows of what it answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mlframe.contracts import Reference, Window
from mlframe.steps.baseline import SAMPLE, column_sketches, prediction_sketches
from mlframe.testing.data import CLASSES, make_table

__all__ = ["ScoringPipeline", "make_reference", "make_window"]

SINCE = datetime(2026, 1, 5, tzinfo=UTC)
TRAINED = 3000
MEANING = {"amount": 0.6, "colour": 0.35, "note": 0.05}
"""What the answers of `ScoringPipeline` depend on, about."""


class ScoringPipeline:
    """A pipeline that computes its answers from `amount` and `colour`, as the labels of `make_table` come about.

    Args:
        task: one of `mlframe.contracts.TASKS`.
    """

    def __init__(self, task: str = "binary") -> None:
        self.task, self.classes = task, CLASSES[task]
        self.inputs = list(_features(task))

    def outputs(self, frame: pl.DataFrame) -> npt.NDArray[Any]:
        """Return probabilities (rows, classes) or values (rows,)."""
        amount = frame["amount"].cast(pl.Float64).fill_null(50.0).to_numpy()
        signal = amount / 20 + 1.5 * (frame["colour"].cast(pl.String).fill_null("") == "red").to_numpy()
        if self.task == "regression":
            return np.asarray(signal * 10)
        far = np.clip(signal - 3.2, -20, 20)
        if self.task == "binary":
            yes = 1 / (1 + np.exp(-2 * far))
            return np.column_stack([1 - yes, yes])
        scores = np.exp(np.column_stack([2 * far, -2 * far, np.full(len(far), 0.5)]))
        return np.asarray(scores / scores.sum(axis=1, keepdims=True))

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return y_pred and one `p_<class>` a class."""
        found = self.outputs(frame)
        if not self.classes:
            return pl.DataFrame({"y_pred": found})
        said = pl.DataFrame({"y_pred": np.array(self.classes)[found.argmax(axis=1)]})
        return said.with_columns(pl.Series(f"p_{name}", found[:, place]) for place, name in enumerate(self.classes))


def make_reference(folder: Path, task: str = "binary", **changes: Any) -> Reference:
    """Make what a monitor knows of a version, trained on `make_table`.

    Args:
        folder: where the bundle's files are written.
        task: one of `mlframe.contracts.TASKS`.
        changes: fields of the reference to replace.
    """
    from mlframe import stats

    table, pipeline = make_table(TRAINED, task), ScoringPipeline(task)
    records = [{**record, "logged": record["name"]} for record in _features(task).values()]
    said = pipeline.predict(make_table(TRAINED // 2, task, seed=1).frame)
    baseline = {
        "format": 2,
        "rows": len(table),
        "columns": column_sketches(table.frame, records),
        "predictions": {"part": "holdout", "rows": len(said), "columns": prediction_sketches(said, task)},
        "importance": {record["name"]: MEANING.get(record["name"], 0.0) for record in records},
    }
    stats.comparable(table.frame.head(1000), records).write_ipc(folder / SAMPLE)
    metric = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}[task]
    known: dict[str, Any] = {
        "reference": "tiny/7",
        "bundle": folder,
        "created": SINCE - timedelta(days=30),
        "task": task,
        "classes": CLASSES[task],
        "positive": "yes" if task == "binary" else None,
        "inputs": records,
        "baseline": baseline,
        "rules": {"amount": {"nullable": True, "min": -1000}},
        "figures": {
            metric: {"value": {"binary": 0.9, "multiclass": 0.7, "regression": 6.4}[task], "low": None, "high": None}
        },
        "goal": {"metric": metric, "targets": {}, "value": {}},
        "opener": lambda: pipeline,
        "beside": {SAMPLE: folder / SAMPLE},
    }
    return Reference(**{**known, **changes})


def make_window(
    task: str = "binary",
    rows: int = 1000,
    *,
    seed: int = 1,
    change: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
    labels: float = 0.0,
    timed: bool = True,
    before: tuple[Mapping[str, Any], ...] = (),
) -> Window:
    """Make a day of answers of `tiny/7`, evenly over the day.

    Args:
        task: one of `mlframe.contracts.TASKS`.
        rows: how many.
        seed: other seeds give other rows of the same population as `make_reference`'s.
        change: what happens to the rows, in order of time, before they are scored.
        labels: share of rows whose truth is known.
        timed: whether rows have times of their own; those of a file that tells none have one moment.
        before: records of earlier windows.
    """
    # A table of the reference's size: notes end with the row's number, and longer numbers would be another population.
    table = make_table(TRAINED, task, seed)
    drawn = np.random.default_rng(seed).choice(TRAINED, rows, replace=rows > TRAINED)
    table = table.take(np.sort(drawn))
    frame = table.frame if change is None else change(table.frame)
    names = list(_features(task))
    at = pl.Series(
        "time", [SINCE + (k + 0.5) / rows * timedelta(days=1) for k in range(rows)], pl.Datetime("us", "UTC")
    )
    meta = {
        "request_id": pl.Series("request_id", [f"r{k}" for k in range(rows)]),
        "row": pl.Series("row", np.zeros(rows, dtype=np.uint32)),
        "time": at if timed else pl.Series("time", [SINCE + timedelta(hours=12)] * rows, at.dtype),
        "version": pl.Series("version", ["tiny/7"] * rows),
        "role": pl.Series("role", ["champion"] * rows),
        "caller": pl.Series("caller", ["someone"] * rows),
        "latency_ms": pl.Series("latency_ms", np.linspace(1, 3, rows).astype(np.float32)),
    }
    said = ScoringPipeline(task).predict(frame)
    predictions = pl.DataFrame(list(meta.values())).hstack(frame.select(names)).hstack(said)
    known = predictions.head(round(labels * rows)).select("request_id", "row", "time", "caller")
    feedback = known.with_columns(
        pl.col("time") + timedelta(hours=1),
        label=table.frame["label"].head(len(known)),
        outcome=pl.lit(None, pl.String),
    ).select("request_id", "row", "time", "label", "outcome", "caller")
    until = SINCE + timedelta(days=1)
    return Window("tiny", SINCE, until, until + timedelta(hours=2), rows, predictions.lazy(), feedback.lazy(), before)


def _features(task: str) -> dict[str, dict[str, Any]]:
    return {record["name"]: record for record in make_table(5, task).column_records() if record["role"] == "feature"}
