"""Fits a featurizer and a model on each fold; nothing is ever fitted on rows that it is judged on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from mlframe.config.goal import check_ranges
from mlframe.config.schema import pick
from mlframe.contracts import Combiner, Judged, Predictions, Step, Told
from mlframe.errors import UnknownNameError
from mlframe.pipeline import Learning, Node, Pipeline, as_predictions
from mlframe.pipeline.tree import Part
from mlframe.registry import apart, held_nodes
from mlframe.runner.keys import component_identity
from mlframe.steps.candidate import Candidate, Featurized, check_finite, judged_rows
from mlframe.steps.ensemble import combine_members
from mlframe.steps.finish import RAW, check_finish, finish, finishes
from mlframe.steps.measure import latency
from mlframe.steps.records import declared_figures
from mlframe.steps.score import the_metric
from mlframe.steps.split import unpack

__all__ = ["Candidate", "Featurized", "Fit", "check_finite", "check_goal"]


class Fit(Step):
    """Gives `oof` (out-of-fold predictions), `members` (the folds' pipelines) and `fitting` (rounds and durations)."""

    summary = "fits a featurizer and a model on each fold"
    reads = (
        "featurizer",
        "model",
        "ensembler",
        "splitter",
        "fit.early_stopping",
        "fit.stop_share",
        "fit.stop_rounds",
        "fit.calibration",
        "fit.threshold",
        "seed",
    )
    needs = ("labelled", "labels", "learning", "split")
    gives = {"oof": "frame", "members": "pipeline", "fitting": "json"}

    def key(self, context: Any) -> Any:
        """Return what a threshold and an ensembler of members depend on beside what `reads` names."""
        config = context.config
        extra: dict[str, Any] = {"value": config["goal"].get("value")} if config["fit"]["threshold"] == "value" else {}
        if config["ensembler"].get("seconds") is not None:
            extra["refit"] = config["fit"]["refit"]  # what is kept for fitting again is missing for fitting members
        item = context.plugins.registry.get("ensembler", config["ensembler"]["name"])
        for name, group in item.component.holds.items():
            judges = component_identity(context.plugins, "evaluators", config)
            extra["evaluators"] = [config["goal"].get("metric"), pick(config, "evaluators"), judges]
            for place, node in held_nodes(config["ensembler"].get(name), name):
                own, others = apart(node)
                nodes = {group: own, **others}
                extra[place] = [component_identity(context.plugins, key, {key: inner}) for key, inner in nodes.items()]
        return extra or None

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Fit fold by fold."""
        check_goal(context, inputs["learning"]["task"])
        check_finish(context, inputs["learning"]["task"])
        if finishes(context.config):
            raw, _ = context.under(RAW, "oof", "members", "fitting")
            return finish(context, Learning.from_record(inputs["learning"]), raw)
        ensembler = context.component("ensembler")
        if isinstance(ensembler, Combiner):
            return combine_members(context, ensembler, **inputs)
        candidate = Candidate.of(context, **inputs)
        cut = unpack(inputs["split"])
        members: list[Part] = []
        parts: list[pl.DataFrame] = []
        fitting: dict[str, Any] = {"folds": []}
        hits = 0
        for index, (train, valid) in enumerate(cut.folds):
            context.progress(index, len(cut.folds), f"fold {index + 1} of {len(cut.folds)}")
            featurized, cached = candidate.featurize(train, valid)
            hits += cached
            began = time.perf_counter()
            # The first fold speaks for the rounds of all: the others cost as much and say the same.
            member, rounds = candidate.fit(featurized, train, told=rounds_told(context) if index == 0 else None)
            outputs = member.outputs(judged_rows(featurized), len(candidate.learning.classes))
            check_finite(outputs, context)
            labels = candidate.labels[valid]
            parts.append(
                as_predictions(
                    outputs,
                    candidate.table.row_ids[valid],
                    labels["target"],
                    labels["weight"].to_numpy(),
                    index,
                    candidate.learning,
                    "folds",
                ).frame
            )
            members.append(member)
            if context.checkpoint is not None and index + 1 < len(cut.folds):
                tell(context, candidate.learning, parts)
            fitting["folds"].append(
                {
                    "featurize": featurized.seconds,
                    "fit": time.perf_counter() - began,
                    "rounds": rounds,
                    "features": len(featurized.learned.names),
                    "valid_share": len(valid) / (len(train) + len(valid)),
                }
            )
        if hits:
            context.say(f"featurized folds from the cache: {hits} of {len(cut.folds)}")
        pipeline = Pipeline(Node("mean", members), candidate.learning, candidate.inputs())
        fitting["latency_ms"] = latency(Pipeline(members[0], candidate.learning), candidate.table.frame)
        return {"oof": pl.concat(parts), "members": pipeline, "fitting": fitting}

    def summarize(self, **given: Any) -> Mapping[str, Any]:
        """Return what fitting cost, and what one prediction costs."""
        fitting = given["fitting"]
        shares = [fold["valid_share"] for fold in fitting["folds"]]
        return {
            "fitting": {
                "seconds": sum(fold["featurize"] + fold["fit"] for fold in fitting["folds"]),
                "featurize_seconds": sum(fold["featurize"] for fold in fitting["folds"]),
                "latency_ms": fitting["latency_ms"],
                "valid_share": sum(shares) / len(shares),
            }
        }


def tell(context: Any, learning: Learning, folds: Sequence[pl.DataFrame]) -> None:
    """Tell whoever compares candidates the mean score of the folds so far.

    Raises:
        Pruned: others are so far ahead that the rest is not worth its time.
    """
    declared = declared_figures(context, learning.task)
    metric = the_metric(context.config["goal"].get("metric"), learning.task, declared)
    scores = []
    for _, evaluator in context.components("evaluators"):
        if learning.task in evaluator.tasks and metric in {figure.name for figure in evaluator.declares()}:
            for frame in folds:
                said = Predictions(frame, learning.task, learning.classes, "folds")
                found = evaluator.evaluate(Judged(said, pictures=False, intervals=False)).figures.get(metric)
                scores += [] if found is None else [found.value]
    if len(scores) == len(folds):
        context.checkpoint(f"fold {len(folds) - 1}", sum(scores) / len(scores), declared[metric].better == "higher")


def rounds_told(context: Any) -> Told | None:
    """Return what a boosted model tells its rounds to, None when nobody asks."""
    checkpoint = context.checkpoint
    if checkpoint is None:
        return None
    model = context.config["model"]["name"]  # another library's loss may be another figure
    return lambda number, value, higher: checkpoint(f"round {number} of {model}", value, higher)


def check_goal(context: Any, task: str) -> None:
    """Refuse figures of the goal that no evaluator gives for this task or that cannot be so, before anything is fitted.

    Raises:
        UnknownNameError: names the figure and those that there are.
        ParameterError: what is wanted of a figure lies beyond its range.
    """
    goal, declared = context.config["goal"], declared_figures(context, task)
    metric = the_metric(goal.get("metric"), task, declared) if declared else None
    for name in goal.get("targets") or {} if declared else ():
        if name not in declared:
            raise UnknownNameError.from_name(f"figure for {task}", name, declared, where=f"goal.targets.{name}")
    for error in check_ranges(goal, declared, metric):
        raise error
