"""River's linear models behind a scaler that learns along: each row is learned by itself, in the order in which it comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from river import linear_model, optim
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from mlframe_river.learning import Scaler, share_of

__all__ = ["OnlineLinear", "OnlineLogistic", "check"]

Array = npt.NDArray[Any]
STEEPEST = {"logistic": 0.25, "squared": 2.0}
"""Largest second derivative of River's losses: a step of 1 / (it * squared length of the row) never goes too far."""


def check(target: Any, parameters: Mapping[str, Any]) -> list[str]:
    """Find parameters that nothing can be learned with."""
    mistakes = []
    rate, l2, passes = (
        parameters.get(name, default) for name, default in (("learning_rate", 0.1), ("l2", 0.0), ("passes", 1))
    )
    if not 0 < rate < 1:
        mistakes.append(f"learning_rate must be a share above 0 and below 1, got {rate!r}")
    if not l2 >= 0:
        mistakes.append(f"l2 must be 0 or more, got {l2!r}")
    if passes < 1:
        mistakes.append(f"passes must be 1 or more, got {passes!r}")
    return mistakes


class _Online(BaseEstimator):  # type: ignore[misc]
    """What both have in common; subclasses learn one row.

    Args:
        learning_rate: share of a full step that a row makes, above 0 and below 1.
        l2: pull of the weights towards zero.
        passes: how often the rows of a first training are gone through.
    """

    def __init__(self, learning_rate: float = 0.1, l2: float = 0.0, passes: int = 1) -> None:
        self.learning_rate = learning_rate
        self.l2 = l2
        self.passes = passes

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Forget everything, then learn the rows one by one in their order, `passes` times."""
        self.n_features_in_ = np.shape(X)[1]
        self.scaler_ = Scaler(self.n_features_in_)
        self._begin(y)
        for _ in range(self.passes):
            self.partial_fit(X, y, sample_weight)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Learn more rows, one by one in their order; rows of weight 0 teach nothing."""
        y = np.asarray(y)
        weights = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        self._meet(y, weights)
        for row, value, weight in zip(np.asarray(X, dtype=np.float64), y.tolist(), weights.tolist(), strict=True):
            if weight > 0:
                self.scaler_.learn(row, weight)
                self._learn(self.scaler_.scale(row), value, weight)
        return self

    def new_model(self) -> Any:
        """Return River's model before it has learned anything."""
        raise NotImplementedError

    def _step(self, model: Any, row: Array, value: Any, weight: float, steepest: float) -> None:
        """Let a model of River's learn a row; the weight that it is given makes the step as long as it should be."""
        length = 1.0 + float(row @ row)  # the constant feature of the intercept is 1
        wanted = share_of(self.learning_rate, weight) / (self.learning_rate * steepest * length)
        model.learn_one(dict(enumerate(row.tolist())), value, w=wanted)

    def _scores(self, model: Any, scaled: Array) -> Array:
        """Return what a model of River's says of rows before its link: as `predict_one`, of all rows at once."""
        weights = np.zeros(self.n_features_in_)
        for name, value in model.weights.items():
            weights[name] = value
        return np.asarray((scaled * weights).sum(axis=1) + model.intercept)

    def _optimizer(self) -> dict[str, Any]:
        return {"optimizer": optim.SGD(self.learning_rate), "intercept_lr": self.learning_rate, "l2": self.l2}

    def _begin(self, y: Any) -> None:
        raise NotImplementedError

    def _meet(self, y: Array, weights: Array) -> None:
        """Look at targets before they are learned."""

    def _learn(self, row: Array, value: Any, weight: float) -> None:
        raise NotImplementedError


class OnlineLogistic(ClassifierMixin, _Online):  # type: ignore[misc]
    """Logistic regression, one against the rest in more than two classes, each by River's `LogisticRegression`.

    Args:
        learning_rate: share of a full step that a row makes, above 0 and below 1.
        l2: pull of the weights towards zero.
        passes: how often the rows of a first training are gone through.
    """

    def predict(self, X: Any) -> Array:
        """Return the likeliest class of each row."""
        found: Array = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return found

    def predict_proba(self, X: Any) -> Array:
        """Return probabilities, shape (rows, classes)."""
        scaled = self.scaler_.scale(np.asarray(X, dtype=np.float64))
        codes = [int(code) for code in self.classes_]
        models = [self.model(code) for code in (codes[1:] if len(codes) == 2 else codes)]
        given = np.column_stack([expit(self._scores(model, scaled)) for model in models])
        if len(codes) == 2:
            return np.hstack([1 - given, given])
        totals = given.sum(axis=1, keepdims=True)
        return np.where(totals > 0, given / np.where(totals > 0, totals, 1.0), self.counts_ / self.counts_.sum())

    def new_model(self) -> Any:
        """Return River's model before it has learned anything."""
        return linear_model.LogisticRegression(**self._optimizer())

    def model(self, code: int) -> Any:
        """Return the model that tells a class from the rest."""
        if code not in self.models_:
            self.models_[code] = self.new_model()
        return self.models_[code]

    def _begin(self, y: Any) -> None:
        self.classes_: Array = np.unique(y)
        self.counts_: Array = np.zeros(len(self.classes_))
        self.models_: dict[int, Any] = {}

    def _meet(self, y: Array, weights: Array) -> None:
        """Count the classes; one that comes later is added."""
        classes = np.union1d(self.classes_, y)
        counts = np.zeros(len(classes))
        counts[np.searchsorted(classes, self.classes_)] = self.counts_
        np.add.at(counts, np.searchsorted(classes, y), weights)
        self.classes_, self.counts_ = classes, counts

    def _learn(self, row: Array, value: Any, weight: float) -> None:
        codes = [int(code) for code in self.classes_]
        for code in codes[1:] if len(codes) == 2 else codes:
            self._step(self.model(code), row, value == code, weight, STEEPEST["logistic"])


class OnlineLinear(RegressorMixin, _Online):  # type: ignore[misc]
    """Linear regression by River's `LinearRegression`, on a target that is standardized as it comes.

    Args:
        learning_rate: share of a full step that a row makes, above 0 and below 1.
        l2: pull of the weights towards zero.
        passes: how often the rows of a first training are gone through.
    """

    def predict(self, X: Any) -> Array:
        """Return a value for each row."""
        said = self._scores(self.model_, self.scaler_.scale(np.asarray(X, dtype=np.float64)))
        return np.asarray(self.target_.mean[0] + self.target_.deviation[0] * said)

    def new_model(self) -> Any:
        """Return River's model before it has learned anything."""
        return linear_model.LinearRegression(**self._optimizer())

    def _begin(self, y: Any) -> None:
        self.target_, self.model_ = Scaler(1), self.new_model()

    def _learn(self, row: Array, value: Any, weight: float) -> None:
        target = np.array([value], dtype=np.float64)
        self.target_.learn(target, weight)
        self._step(self.model_, row, float(self.target_.scale(target)[0]), weight, STEEPEST["squared"])
