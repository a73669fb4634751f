"""Judges the out-of-fold predictions: where a job of a multirun ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mlframe.contracts import Figure, Interval, Judged, Predictions, Step
from mlframe.errors import UnknownNameError
from mlframe.pipeline import Learning
from mlframe.steps.records import declared_figures

DEFAULT_METRICS = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}


class Score(Step):
    """Gives `scores`: the figures of the out-of-fold predictions, and the metric that decides."""

    summary = "judges the out-of-fold predictions"
    reads = ("evaluators", "goal.metric")
    needs = ("oof", "learning")
    gives = {"scores": "json"}

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Ask each evaluator for its figures."""
        learning = Learning.from_record(inputs["learning"])
        declared = declared_figures(context, learning.task)
        metric = the_metric(context.config["goal"].get("metric"), learning.task, declared)
        judged = Judged(Predictions(inputs["oof"], learning.task, learning.classes, "folds"), pictures=False)
        figures: dict[str, Interval] = {}
        for _, evaluator in context.components("evaluators"):
            if learning.task in evaluator.tasks:
                figures.update(evaluator.evaluate(judged).figures)
        spread = per_fold(context, judged, metric, learning)
        return {
            "scores": {
                "metric": metric,
                "figures": {name: asdict(value) for name, value in figures.items()},
                "per_fold": spread,
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


def per_fold(context: Any, judged: Judged, metric: str, learning: Learning) -> list[float]:
    """Return the deciding figure fold by fold, without intervals."""
    values = []
    frame = judged.predictions.frame
    for fold in sorted(frame["fold"].unique().to_list()):
        part = Predictions(frame.filter(frame["fold"] == fold), learning.task, learning.classes, "folds")
        for _, evaluator in context.components("evaluators"):
            if learning.task in evaluator.tasks and metric in {figure.name for figure in evaluator.declares()}:
                found = evaluator.evaluate(Judged(part, pictures=False, intervals=False)).figures.get(metric)
                values.append(float("nan") if found is None else found.value)
    return values


def the_metric(name: str | None, task: str, declared: Mapping[str, Figure]) -> str:
    """Return the figure that decides.

    Raises:
        UnknownNameError: no evaluator of the run declares it for this task.
    """
    metric = name or DEFAULT_METRICS[task]
    if metric not in declared:
        raise UnknownNameError.from_name(
            f"figure for {task}", metric, declared, where="goal.metric", remedy="figures are declared by evaluators"
        )
    return metric
