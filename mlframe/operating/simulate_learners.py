"""The project's own featurizer and model, as strategies of a simulation train them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mlframe.contracts import Features, Featurizer, Stop
from mlframe.errors import ConfigError
from mlframe.pipeline import Learning, Member, Rows, fit_estimator, wants_of

if TYPE_CHECKING:
    import polars as pl

    from mlframe.operating.simulate import Stream

__all__ = ["Learner", "Online"]

Array = npt.NDArray[Any]


class Learner:
    """Fits featurizer and model on rows of a stream, as the step `refit` would.

    Args:
        context: the run: builds featurizer, model and splitter.
        stream: the rows.
        model: node of the model; None takes the config's.
        featurizer: node of the featurizer; None takes the config's.
    """

    def __init__(self, context: Any, stream: Stream, model: Any = None, featurizer: Any = None) -> None:
        self.registry = context.plugins.registry
        self.config = context.config
        self.stream, self.learning = stream, stream.learning
        self.model = model or context.config["model"]
        self.featurizer = featurizer or context.config["featurizer"]
        self.adapter = self.registry.adapter("model", self.model["name"])
        self.splitter = context.component("splitter")
        self.member: Member | None = None
        self.seen = 0

    def fit(self, rows: Array, *, warm: bool = False) -> None:
        """Fit anew, or learn on from rows that are new.

        Args:
            rows: positions in the stream.
            warm: whether the fitted model learns on.
        """
        if warm and self.member is not None:
            made = self.member.featurizer
            assert made is not None
            features = made.transform(self.stream.table.take(rows).frame)
            self._learn_on(features, rows)
            return
        estimator = self.registry.create("model", self.model, task=self.learning.task)
        learn, watched = rows, rows[:0]
        if self._stops(estimator):
            share = self.config["fit"]["stop_share"]
            learn, watched = self.splitter.cut(self.stream.table, self.stream.target, self.learning.task, rows, share)
        made = self.registry.create("featurizer", self.featurizer)
        assert isinstance(made, Featurizer)
        made.fit(self.stream.table.take(learn), self.stream.target[learn], wants_of(estimator, self.adapter))
        features = made.transform(self.stream.table.take(learn).frame)
        stop = None
        if len(watched):
            seen = made.transform(self.stream.table.take(watched).frame)
            stop = Stop(
                seen.matrix, self.stream.target[watched], self._weight(watched), self.config["fit"]["stop_rounds"]
            )
        label = f"model={self.model['name']}"
        fit_estimator(estimator, self.adapter, features, self.stream.target[learn], self._weight(learn), stop, label)
        self.seen = len(rows)
        self.member = Member(made, estimator, self.model["name"], features.names, features.origins, self.adapter)

    def predict(self, frame: pl.DataFrame, truth: Array) -> tuple[Array, Array]:
        """Return codes or values, and the probability of the true class (NaN for values)."""
        assert self.member is not None
        return _read(self.member.outputs(Rows(frame), len(self.learning.classes)), self.learning, truth)

    def _learn_on(self, features: Features, rows: Array) -> None:
        assert self.member is not None
        new = self.registry.create("model", self.model, task=self.learning.task)
        target, weight = self.stream.target[rows], self._weight(rows)
        rounds = None
        if hasattr(self.adapter, "rounds"):  # as many trees for a row as the model has
            rounds = max(1, round(self.adapter.rounds(self.member.estimator) * min(1.0, len(rows) / max(1, self.seen))))
        self.member.estimator = self.adapter.learn_on(
            new, self.member.estimator, features, target, weight=weight, rounds=rounds
        )
        self.seen += len(rows)

    def _weight(self, rows: Array) -> Array | None:
        return self.stream.weight[rows] if (self.stream.weight != 1.0).any() else None

    def _stops(self, estimator: Any) -> bool:
        if self.config["fit"]["early_stopping"] == "none" or self.adapter is None:
            return False
        able = hasattr(self.adapter, "with_rounds") and hasattr(self.adapter, "fit")
        return able and (not hasattr(self.adapter, "stops") or self.adapter.stops(estimator))


class Online(Learner):
    """Learns from single labels, behind the featurizer of the first stretch."""

    features: Features

    def check(self) -> None:
        """Refuse a model that does not learn single rows, before anything is fitted.

        Raises:
            ConfigError: it has no `partial_fit`, scikit-learn's word for it.
        """
        if not hasattr(self.registry.create("model", self.model, task=self.learning.task), "partial_fit"):
            raise ConfigError(
                f"model={self.model['name']} does not learn from single labels",
                value=self.model["name"],
                where="simulate.strategies",
                hint="pick one that has partial_fit, such as mlp or bayes",
            )

    def prepare(self, frame: pl.DataFrame) -> None:
        """Turn all rows into numbers: each by itself, with what the first stretch taught the featurizer."""
        assert self.member is not None
        assert self.member.featurizer is not None
        self.features = self.member.featurizer.transform(frame)

    def learn(self, rows: Array, target: Array, weight: Array) -> None:
        """Learn from labels that have become known, the oldest first."""
        matrix: Any = self.features.matrix
        assert self.member is not None
        known = self.member.estimator  # the simulation's own, so that it may learn in place
        weights = {} if (weight == 1.0).all() else {"sample_weight": weight}
        known.partial_fit(matrix[rows], target, **weights)

    def answer(self, start: int, end: int, truth: Array) -> tuple[Array, Array]:
        """Predict rows by their positions."""
        assert self.member is not None
        matrix: Any = self.features.matrix
        return _read(self.member.answer(matrix[start:end], len(self.learning.classes)), self.learning, truth)


def _read(outputs: Array, learning: Learning, truth: Array) -> tuple[Array, Array]:
    if not learning.classes:
        return outputs, np.full(len(outputs), np.nan)
    return outputs.argmax(axis=1), outputs[np.arange(len(outputs)), truth]
