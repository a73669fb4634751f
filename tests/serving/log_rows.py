"""A version's columns and records of its predictions, for the tests of the logs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from mlframe.pipeline import Learning, Pipeline
from mlframe.serving.prediction_log import Logged

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
SALT = bytes(range(32))


def columns(*named: tuple[str, str] | tuple[str, str, tuple[str, ...]]) -> list[dict[str, Any]]:
    return [{"name": one[0], "dtype": one[1], "tags": list(one[2]) if len(one) > 2 else []} for one in named]


def pipeline(*named: Any, classes: tuple[str, ...] = ("no", "yes"), threshold: float | None = None) -> Pipeline:
    """Give a pipeline that knows its columns and classes; nothing is predicted with it here."""
    task = {0: "regression", 2: "binary"}.get(len(classes), "multiclass")
    learning = Learning(task, "bought", classes, classes)
    return Pipeline(None, learning, columns(*named), threshold=threshold)  # type: ignore[arg-type]


SMALL = (("age", "Int64"), ("city", "String"))


def small(number: int, *, time: float = NOON, version: str = "shop/1", prefix: str = "r", **given: Any) -> Logged:
    """Give one row of `SMALL` that its number tells apart."""
    values: dict[str, Any] = {
        "columns": {"age": [number], "city": [f"city {number}"]},
        "rows": 1,
        "outputs": np.array([[0.25, 0.75]]),
        "latency": 0.0015,
    }
    return Logged(f"{prefix}{number}", time, version, "champion", **(values | given))
