"""Judges the out-of-fold predictions: where a job of a multirun ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import polars as pl

from mlframe.contracts import DEFAULT_METRICS, Figure, Interval, Judged, Predictions, Step
from mlframe.errors import ConfigError, UnknownNameError
from mlframe.pipeline import Learning
from mlframe.steps.records import declared_figures


class Score(Step):
    """Gives `scores`: the figures of the out-of-fold predictions, and the metric that decides."""

    summary = "judges the out-of-fold predictions"
    reads = ("evaluators", "goal.metric")
    needs = ("oof", "learning")
    gives = {"scores": "json"}

    def key(self, context: Any) -> Any:
        """Return whether figures get intervals: a job of a sweep is compared by its folds, and there are many."""
        return context.until

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Ask each evaluator for its figures."""
        learning = Learning.from_record(inputs["learning"])
        declared = declared_figures(context, learning.task)
        metric = the_metric(context.config["goal"].get("metric"), learning.task, declared)
        judges = [evaluator for _, evaluator in context.components("evaluators") if learning.task in evaluator.tasks]
        folds: list[dict[str, Interval]] = []
        oof: pl.DataFrame = inputs["oof"]
        for (_,), frame in oof.group_by("fold", maintain_order=True):
            said = Predictions(frame, learning.task, learning.classes, "folds")
            judged = Judged(said, pictures=False, intervals=context.until is None)
            folds.append({name: value for judge in judges for name, value in judge.evaluate(judged).figures.items()})
        repeats = oof.height / max(oof["row_id"].n_unique(), 1)
        figures = {name: mean_of([fold[name] for fold in folds if name in fold], repeats) for name in declared}
        return {
            "scores": {
                "metric": metric,
                "figures": {name: asdict(value) for name, value in figures.items() if value is not None},
                "per_fold": [fold[metric].value for fold in folds if metric in fold],
                "declared": {name: asdict(figure) for name, figure in declared.items()},
            }
        }

    def summarize(self, **given: Any) -> Mapping[str, Any]:
        """Return metric, score and figures."""
        scores = given["scores"]
        found = scores["figures"].get(scores["metric"])
        return {
            "metric": scores["metric"],
            "score": None if found is None else found["value"],
            "better": scores["declared"][scores["metric"]]["better"],
            "per_fold": scores["per_fold"],
            "figures": {"folds": scores["figures"]},
        }


def mean_of(values: Sequence[Interval], repeats: float = 1.0) -> Interval | None:
    """Return the mean over folds; the rows of folds are distinct, so half-widths combine in quadrature.

    Scores of different folds come from different models and are never ranked against each other.

    Args:
        values: one a fold.
        repeats: how often each row was validated. Cutting the same rows again adds no rows: the interval is that of
            one repeat, while the mean is steadier.
    """
    if not values:
        return None
    count = len(values)
    mean = sum(value.value for value in values) / count
    known = [value for value in values if value.low is not None and value.high is not None]
    if len(known) < count:
        return Interval(mean)
    share = math.sqrt(repeats) / count
    below = math.sqrt(sum((value.value - float(value.low or 0.0)) ** 2 for value in known)) * share
    above = math.sqrt(sum((float(value.high or 0.0) - value.value) ** 2 for value in known)) * share
    return Interval(mean, mean - below, mean + above)


def the_metric(name: str | None, task: str, declared: Mapping[str, Figure]) -> str:
    """Return the figure that decides.

    Raises:
        UnknownNameError: no evaluator of the run declares it for this task.
        ConfigError: it is there for the holdout only.
    """
    metric = name or DEFAULT_METRICS[task]
    if metric not in declared:
        raise UnknownNameError.from_name(
            f"figure for {task}", metric, declared, where="goal.metric", remedy="figures are declared by evaluators"
        )
    if declared[metric].holdout_only:
        raise ConfigError(
            f"{metric} needs the rows themselves, so folds cannot be compared by it",
            value=metric,
            where="goal.metric",
            hint=f"make it a target (goal.targets.{metric}=…), and pick another figure as the metric",
        )
    return metric
