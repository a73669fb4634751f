"""Fits a featurizer and a model on each fold; nothing is ever fitted on rows that it is judged on."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from mlframe.contracts import Features, Featurizer, Judged, Predictions, Step, Stop, Told, Wants
from mlframe.errors import ConfigError, StepError, UnknownNameError
from mlframe.pipeline import Learning, Member, Pipeline, as_predictions, fit_estimator, wants_of
from mlframe.runner.keys import digest
from mlframe.steps.records import declared_figures
from mlframe.steps.score import the_metric
from mlframe.steps.split import unpack
from mlframe.table import Table

TRIES = 5
"""Rows that are predicted one by one to see how long that takes."""


class Fit(Step):
    """Gives `oof` (out-of-fold predictions), `members` (the folds' pipelines) and `fitting` (rounds and durations)."""

    summary = "fits a featurizer and a model on each fold"
    reads = ("featurizer", "model", "splitter", "fit.early_stopping", "fit.stop_share", "fit.stop_rounds", "seed")
    needs = ("labelled", "labels", "learning", "split")
    gives = {"oof": "frame", "members": "pipeline", "fitting": "json"}

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Fit fold by fold."""
        check_goal(context, inputs["learning"]["task"])
        candidate = Candidate.of(context, **inputs)
        cut = unpack(inputs["split"])
        members: list[Member] = []
        parts: list[pl.DataFrame] = []
        fitting: dict[str, Any] = {"folds": []}
        hits = 0
        for index, (train, valid) in enumerate(cut.folds):
            began = time.perf_counter()
            context.progress(index, len(cut.folds), f"fold {index + 1} of {len(cut.folds)}")
            featurized, cached = candidate.featurize(train, valid)
            hits += cached
            made = time.perf_counter()
            # The first fold speaks for the rounds of all: the others cost as much and say the same.
            member, rounds = candidate.fit(featurized, train, told=rounds_told(context) if index == 0 else None)
            outputs = member.outputs(featurized.judged.matrix, len(candidate.learning.classes))
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
                    "featurize": made - began,
                    "fit": time.perf_counter() - made,
                    "rounds": rounds,
                    "features": len(member.names),
                    "valid_share": len(valid) / (len(train) + len(valid)),
                }
            )
        if hits:
            context.say(f"featurized folds from the cache: {hits} of {len(cut.folds)}")
        pipeline = Pipeline(members, candidate.learning, candidate.inputs())
        fitting["latency_ms"] = latency(Pipeline(members[:1], candidate.learning), candidate.table.frame)
        return {"oof": pl.concat(parts), "members": pipeline, "fitting": fitting}

    def summarize(self, **given: Any) -> Mapping[str, Any]:
        """Return what fitting cost, and what one prediction costs."""
        fitting = given["fitting"]
        shares = [fold["valid_share"] for fold in fitting["folds"]]
        return {
            "fitting": {
                "seconds": sum(fold["featurize"] + fold["fit"] for fold in fitting["folds"]),
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
    return lambda number, value, higher: checkpoint(f"round {number}", value, higher)


def latency(pipeline: Pipeline, frame: pl.DataFrame) -> float:
    """Return the milliseconds that one row takes, from frame to prediction: the quickest of a few tries."""
    taken = []
    for row in range(TRIES):
        began = time.perf_counter()
        pipeline.outputs(frame[row % frame.height : row % frame.height + 1])
        taken.append(time.perf_counter() - began)
    return 1000 * min(taken)


def check_goal(context: Any, task: str) -> None:
    """Refuse figures of the goal that no evaluator gives for this task, before anything is fitted.

    Raises:
        UnknownNameError: names the figure and those that there are.
    """
    goal, declared = context.config["goal"], declared_figures(context, task)
    if declared and goal.get("metric"):
        the_metric(goal["metric"], task, declared)
    for name in goal.get("targets") or {} if declared else ():
        if name not in declared:
            raise UnknownNameError.from_name(f"figure for {task}", name, declared, where=f"goal.targets.{name}")


@dataclass
class Featurized:
    """One fold's rows as numbers.

    Args:
        featurizer: fitted on the train rows (those that are not for stopping).
        learned: features of the rows that the model learns from.
        stop: features of the rows that tell when to stop, None without early stopping.
        judged: features of the rows that are predicted; None when there are none.
        learn_rows: positions of the rows learned from.
        stop_rows: positions of the rows for stopping.
    """

    featurizer: Featurizer
    learned: Features
    stop: Features | None
    judged: Features
    learn_rows: Any
    stop_rows: Any


@dataclass
class Candidate:
    """A featurizer and a model, and the rows they may learn from."""

    context: Any
    table: Table
    labels: pl.DataFrame
    learning: Learning
    target: Any
    table_key: str

    @classmethod
    def of(cls, context: Any, **inputs: Any) -> Candidate:
        """Build the candidate that the config picks."""
        learning = Learning.from_record(inputs["learning"])
        labels: pl.DataFrame = inputs["labels"]
        key = digest([context.keys.get("labelled"), context.keys.get("labels"), context.keys.get("learning")])
        return cls(context, inputs["labelled"], labels, learning, learning.codes(labels["target"]), key)

    def inputs(self) -> list[dict[str, Any]]:
        """Return the records of the columns that the pipeline needs."""
        return [record for record in self.table.column_records() if record["role"] == "feature"]

    @property
    def model(self) -> str:
        """Registered name of the model."""
        return str(self.context.config["model"]["name"])

    def estimator(self) -> Any:
        """Build an unfitted estimator."""
        return self.context.component("model", task=self.learning.task)

    def adapter(self) -> Any:
        """Build the model's adapter, None without one."""
        return self.context.plugins.registry.adapter("model", self.model)

    def stops_early(self, adapter: Any) -> bool:
        """Whether this model is stopped early under this config.

        Raises:
            ConfigError: `fit.early_stopping=required` and the model cannot.
        """
        mode = self.context.config["fit"]["early_stopping"]
        can = adapter is not None and hasattr(adapter, "with_rounds") and hasattr(adapter, "fit")
        if mode == "required" and not can:
            raise ConfigError(
                f"model={self.model} cannot stop early",
                value=mode,
                where="fit.early_stopping",
                hint="set fit.early_stopping=auto, or pick a boosted model such as lgbm",
            )
        return bool(can and mode != "none")

    def featurize(self, train: Any, judged: Any, *, stop: bool = True) -> tuple[Featurized, bool]:
        """Fit the featurizer on the train rows and turn all rows into numbers; the cache answers where it can.

        Returns:
            The numbers, and whether the cache had them.
        """
        estimator, adapter = self.estimator(), self.adapter()
        wants = wants_of(estimator, adapter)
        learn, watch = train, train[:0]
        if stop and self.stops_early(adapter):
            splitter = self.context.component("splitter")
            share = self.context.config["fit"]["stop_share"]
            learn, watch = splitter.cut(self.table, self.target, self.learning.task, train, share)
        config = self.context.config
        parts = [
            self.table_key,
            digest([_digest_rows(learn), _digest_rows(watch), _digest_rows(judged)]),
            wants.__dict__,
        ]
        found, cached = self.context.memo(
            "features",
            "featurized",
            [*parts, config["featurizer"], config["seed"]],
            ["featurizer"],
            lambda: self._featurize(learn, watch, judged, wants),
        )
        return found, cached

    def _featurize(self, learn: Any, watch: Any, judged: Any, wants: Wants) -> Featurized:
        featurizer: Featurizer = self.context.component("featurizer")
        rows = self.table.take(learn)
        featurizer.fit(rows, self.target[learn], wants)
        learned = featurizer.transform(rows.frame)
        if not learned.names:
            raise ConfigError(
                f"featurizer={self.context.config['featurizer']['name']} makes no feature of these columns",
                value=[column.name for column in self.table.features],
                where="data.columns",
                hint="give at least one usable column the role 'feature', or pick featurizer=auto",
            )
        stop = featurizer.transform(self.table.take(watch).frame) if len(watch) else None
        return Featurized(featurizer, learned, stop, featurizer.transform(self.table.take(judged).frame), learn, watch)

    def fit(
        self, featurized: Featurized, train: Any, rounds: int | None = None, told: Told | None = None
    ) -> tuple[Member, int | None]:
        """Fit the model on featurized rows.

        Args:
            featurized: the rows as numbers.
            train: positions of all train rows.
            rounds: train exactly so many rounds instead of stopping early.
            told: told of the rounds of a boosted model that stops early.

        Returns:
            The fitted member, and the rounds it used (None when the model has none).
        """
        estimator, adapter = self.estimator(), self.adapter()
        if rounds is not None:
            estimator = adapter.with_rounds(estimator, rounds)
        weight = self.labels["weight"].to_numpy()
        weighted = bool((weight != 1.0).any())
        stop = None
        if featurized.stop is not None and rounds is None:
            stop = Stop(
                featurized.stop.matrix,
                self.target[featurized.stop_rows],
                weight[featurized.stop_rows] if weighted else None,
                self.context.config["fit"]["stop_rounds"],
                told,
            )
        rows = featurized.learn_rows
        fit_estimator(
            estimator,
            adapter,
            featurized.learned,
            self.target[rows],
            weight[rows] if weighted else None,
            stop,
            f"model={self.model}",
        )
        features = featurized.learned
        member = Member(featurized.featurizer, estimator, self.model, features.names, features.origins, adapter)
        used = adapter.rounds(estimator) if adapter is not None and hasattr(adapter, "rounds") else None
        return member, used


def check_finite(outputs: Any, context: Any) -> None:
    """Refuse predictions that are not numbers.

    Raises:
        StepError: NaN or infinity.
    """
    if not np.isfinite(outputs).all():
        raise StepError(
            f"model={context.config['model']['name']} predicts {int((~np.isfinite(outputs)).sum()):,} values that are not finite",
            where="model",
            hint="scale the target or the features, or change the model's parameters",
        )


def _digest_rows(rows: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(rows, dtype=np.int64).tobytes()).hexdigest()
