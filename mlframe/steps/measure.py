"""What a candidate costs, and how outputs are scored by the figure that decides."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from mlframe import stats
from mlframe.contracts import Judged, Predictions
from mlframe.pipeline import Learning, Pipeline, decide
from mlframe.steps.records import declared_figures
from mlframe.steps.score import the_metric

__all__ = ["SURE_TRIES", "latency", "scorer"]

TRIES = 3
"""Rows that are predicted one by one to see how long that takes."""
SURE_TRIES = 15
"""The same where members are kept or dropped by it."""


def latency(pipeline: Pipeline, frame: pl.DataFrame, tries: int = TRIES) -> float:
    """Return the milliseconds that one row takes, from frame to prediction: the minimum of some tries.

    Whatever else the machine does only ever adds time, so the minimum is nearest to what the pipeline itself takes.

    Args:
        pipeline: the fitted pipeline.
        frame: rows to predict one by one.
        tries: how many.
    """
    taken = []
    for row in range(tries):
        began = time.perf_counter()
        pipeline.outputs(frame[row % frame.height : row % frame.height + 1])
        taken.append(time.perf_counter() - began)
    return 1000 * min(taken)


def scorer(
    context: Any, learning: Learning, target: pl.Series, weight: Any, fold: Any
) -> tuple[str, Callable[[Any], float]]:
    """Return the figure that decides, and a function that gives it for outputs: the mean over folds, higher is better.

    Args:
        context: the run.
        learning: task and classes.
        target: class names or values, shape (rows,).
        weight: shape (rows,).
        fold: the fold of each row, shape (rows,).
    """
    declared = declared_figures(context, learning.task)
    metric = the_metric(context.config["goal"].get("metric"), learning.task, declared)
    sign = 1.0 if declared[metric].better == "higher" else -1.0
    places = [np.flatnonzero(fold == number) for number in np.unique(fold)]
    codes = learning.codes(target)
    known = metric in (stats.CLASSIFICATION if learning.classes else stats.REGRESSION)

    def quick(outputs: Any, rows: Any) -> float:
        scores = stats.Scores(outputs.argmax(axis=1), outputs) if learning.classes else stats.Scores(outputs)
        return stats.figures(codes[rows], scores, weight[rows], only=[metric])[metric]

    evaluator = next(
        item
        for _, item in context.components("evaluators")
        if learning.task in item.tasks and metric in {figure.name for figure in item.declares()}
    )

    def asked(outputs: Any, rows: Any) -> float:
        frame = pl.DataFrame({"y": target.gather(rows), "weight": weight[rows]})
        frame = pl.concat([frame, decide(outputs, learning)], how="horizontal")
        said = Predictions(frame, learning.task, learning.classes, "folds")
        found = evaluator.evaluate(Judged(said, pictures=False, intervals=False)).figures.get(metric)
        return float("nan") if found is None else found.value

    def score(outputs: Any) -> float:
        # The built-in evaluators take these figures from `stats`, too; without a frame they cost a tenth.
        values = [(quick if known else asked)(outputs[rows], rows) for rows in places]
        values = [value for value in values if np.isfinite(value)]
        return sign * sum(values) / len(values) if values else -np.inf

    return metric, score
