"""A candidate: a featurizer and a model as the config picks them, fitted on the rows that a fold allows."""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from mlframe.contracts import Combination, Features, Featurizer, Stop, Told, Trainer, Wants, Wrapper
from mlframe.errors import ConfigError, StepError
from mlframe.pipeline import Learning, Member, Node, Rows, fit_estimator, takes_weight, wants_of
from mlframe.pipeline.tree import Part
from mlframe.registry import SEED_PARAMETERS
from mlframe.runner.keys import digest
from mlframe.table import Table

__all__ = ["Candidate", "Featurized", "check_finite", "judged_rows"]


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
        seconds: what making it took; kept with it, so that a candidate's cost does not depend on who came first.
    """

    featurizer: Featurizer
    learned: Features
    stop: Features | None
    judged: Features
    learn_rows: Any
    stop_rows: Any
    seconds: float = 0.0


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
        able = can and (not hasattr(adapter, "stops") or adapter.stops(self.estimator()))
        if mode == "required" and not able:
            remedy = "change the model's parameters" if can else "pick a boosted model such as lgbm"
            raise ConfigError(
                f"model={self.model} cannot stop early{' with these parameters' if can else ''}",
                value=mode,
                where="fit.early_stopping",
                hint=f"set fit.early_stopping=auto, or {remedy}",
            )
        return bool(able and mode != "none")

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
        began = time.perf_counter()
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
        seen = featurizer.transform(self.table.take(judged).frame)
        return Featurized(featurizer, learned, stop, seen, learn, watch, time.perf_counter() - began)

    def fit(
        self, featurized: Featurized, train: Any, rounds: int | None = None, told: Told | None = None
    ) -> tuple[Part, int | None]:
        """Fit the model on featurized rows, as often as the ensembler wants it.

        Args:
            featurized: the rows as numbers.
            train: positions of all train rows.
            rounds: train exactly so many rounds instead of stopping early.
            told: told of the rounds of a boosted model that stops early.

        Returns:
            The fitted model or models, and the rounds used (the median of several; None when the model has none).
        """
        trainer = _FoldTrainer(self, featurized, rounds, told)
        wrapper: Wrapper = self.context.component("ensembler")
        part = trainer.tree(wrapper.wrap(trainer))
        return part, round(statistics.median(trainer.used)) if trainer.used else None


class _FoldTrainer(Trainer):
    """Fits a candidate's model on one fold's featurized rows."""

    def __init__(self, candidate: Candidate, featurized: Featurized, rounds: int | None, told: Told | None) -> None:
        self.candidate, self.featurized, self.told = candidate, featurized, told
        self.model, self.task = candidate.model, candidate.learning.task
        self.classes, self.width = len(candidate.learning.classes), len(featurized.learned.names)
        self.target = candidate.target[featurized.learn_rows]
        self.fixed = rounds
        weight = candidate.labels["weight"].to_numpy()
        self.weighted = bool((weight != 1.0).any())
        self.weight = weight[featurized.learn_rows] if self.weighted else None
        self.takes_weight = takes_weight(candidate.estimator(), candidate.adapter())
        self.members: list[Member] = []
        self.used: list[int] = []

    def fit(self, *, rows: Any = None, weight: Any = None, columns: Any = None, seed: int | None = None) -> int:
        estimator, adapter = self.candidate.estimator(), self.candidate.adapter()
        if self.fixed is not None:
            estimator = adapter.with_rounds(estimator, self.fixed)
        if seed is not None:
            known = estimator.get_params()
            estimator.set_params(**{name: seed for name in SEED_PARAMETERS if name in known})
        features, target = columns_of(self.featurized.learned, columns), self.target
        weight = self.weight if weight is None else weight
        if rows is not None:
            matrix: Any = features.matrix
            features, target = replace(features, matrix=matrix[rows]), target[rows]
            weight = None if weight is None else weight[rows]
        fit_estimator(estimator, adapter, features, target, weight, self._stop(columns), f"model={self.model}")
        self.told = None  # the first fit speaks for all
        if adapter is not None and hasattr(adapter, "rounds"):
            self.used.append(adapter.rounds(estimator))
        self.members.append(
            Member(
                self.featurized.featurizer,
                estimator,
                self.model,
                features.names,
                features.origins,
                adapter,
                None if columns is None else tuple(int(column) for column in columns),
            )
        )
        return len(self.members) - 1

    def outputs(self, part: int) -> Any:
        rows = Rows(None, {id(self.featurized.featurizer): self.featurized.learned})
        return self.members[part].outputs(rows, self.classes)

    def tree(self, combination: Combination) -> Part:
        """Return what was fitted, combined; parts of weight 0 are left out."""
        return combined_tree(combination, self.members, None)

    def _stop(self, columns: Any) -> Stop | None:
        fold = self.featurized
        if fold.stop is None or self.fixed is not None:
            return None
        weight = self.candidate.labels["weight"].to_numpy()[fold.stop_rows] if self.weighted else None
        rounds = self.candidate.context.config["fit"]["stop_rounds"]
        matrix = columns_of(fold.stop, columns).matrix
        return Stop(matrix, self.candidate.target[fold.stop_rows], weight, rounds, self.told)


def combined_tree(combination: Combination, parts: Sequence[Part], final: Member | None) -> Part:
    """Return a tree of parts; those of weight 0 are left out, and one alone with nothing to learn is itself."""
    weights = combination.weights or (1.0,) * len(parts)
    kept = [index for index, weight in enumerate(weights) if weight > 0]
    if len(kept) == 1 and final is None and combination.rule in ("mean", "median"):
        return parts[kept[0]]
    chosen = None if combination.weights is None else tuple(weights[index] for index in kept)
    return Node(combination.rule, [parts[index] for index in kept], chosen, final)


def columns_of(features: Features, columns: Any) -> Features:
    """Return some of the features, in the order given; None returns all."""
    if columns is None:
        return features
    matrix: Any = features.matrix
    place = {int(column): index for index, column in enumerate(columns)}
    return Features(
        matrix[:, columns],
        tuple(features.names[column] for column in columns),
        tuple(features.origins[column] for column in columns),
        tuple(place[column] for column in features.categorical if column in place),
    )


def judged_rows(featurized: Featurized) -> Rows:
    """Return a fold's judged rows for the tree that was fitted on the fold."""
    return Rows(None, {id(featurized.featurizer): featurized.judged})


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
