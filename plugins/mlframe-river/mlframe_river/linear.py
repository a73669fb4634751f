"""River's linear models, behind a scaler that learns along."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from river import linear_model, optim
from sklearn.base import BaseEstimator, RegressorMixin

from mlframe_river.base import OnlineClassifier, rows_of

__all__ = ["OnlineLinear", "OnlineLogistic"]

Array = npt.NDArray[Any]
FAR = 10.0
"""Standardized values beyond this are cut: one strange row must not throw the weights away."""


class Scaler:
    """Mean and deviation of each feature so far (Welford 1962)."""

    def __init__(self) -> None:
        self.count = 0.0
        self.mean: dict[int, float] = {}
        self.spread: dict[int, float] = {}

    def learn(self, row: dict[int, float], weight: float) -> None:
        """Learn a row."""
        if weight <= 0:
            return
        self.count += weight
        for name, value in row.items():
            before = self.mean.get(name, 0.0)
            self.mean[name] = before + (value - before) * weight / self.count
            self.spread[name] = self.spread.get(name, 0.0) + weight * (value - before) * (value - self.mean[name])

    def scale(self, row: dict[int, float]) -> dict[int, float]:
        """Return the row in deviations from the mean."""
        found = {}
        for name, value in row.items():
            deviation = (self.spread.get(name, 0.0) / self.count) ** 0.5 if self.count else 0.0
            scaled = (value - self.mean.get(name, 0.0)) / deviation if deviation > 0 else 0.0
            found[name] = min(FAR, max(-FAR, scaled))
        return found


class OnlineLogistic(OnlineClassifier):
    """Logistic regression, one against the rest in more than two classes, each by River's `LogisticRegression`.

    Args:
        learning_rate: step of the stochastic gradient.
        l2: pull of the weights towards zero.
        passes: how often the rows of a first training are gone through.
    """

    def __init__(self, learning_rate: float = 0.05, l2: float = 0.0, passes: int = 1) -> None:
        self.learning_rate = learning_rate
        self.l2 = l2
        self.passes = passes

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> OnlineLogistic:
        """Learn the rows in their order, `passes` times."""
        super().fit(X, y, sample_weight)
        for _ in range(self.passes - 1):
            self.partial_fit(X, y, sample_weight)
        return self

    def _begin(self, X: Any) -> None:
        self.scaler_ = Scaler()
        self.models_: dict[int, Any] = {}

    def model(self, code: int) -> Any:
        """Return the model that tells a class from the rest."""
        if code not in self.models_:
            self.models_[code] = linear_model.LogisticRegression(optim.SGD(self.learning_rate), l2=self.l2)
        return self.models_[code]

    def _learn(self, row: dict[int, float], code: int, weight: float) -> None:
        self.scaler_.learn(row, weight)
        scaled = self.scaler_.scale(row)
        codes = [int(value) for value in self.classes_]
        for other in codes[1:] if len(codes) == 2 else codes:
            self.model(other).learn_one(scaled, other == code, w=weight)

    def _answer(self, row: dict[int, float]) -> dict[int, float]:
        scaled = self.scaler_.scale(row)
        codes = [int(value) for value in self.classes_]
        if len(codes) == 2:
            high = float(self.model(codes[1]).predict_proba_one(scaled)[True])
            return {codes[0]: 1 - high, codes[1]: high}
        return {code: float(self.model(code).predict_proba_one(scaled)[True]) for code in codes}


class OnlineLinear(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Linear regression by River's `LinearRegression`, on a standardized target.

    Args:
        learning_rate: step of the stochastic gradient.
        l2: pull of the weights towards zero.
        passes: how often the rows of a first training are gone through.
    """

    def __init__(self, learning_rate: float = 0.05, l2: float = 0.0, passes: int = 1) -> None:
        self.learning_rate = learning_rate
        self.l2 = l2
        self.passes = passes

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> OnlineLinear:
        """Forget everything, then learn the rows one by one in their order, `passes` times."""
        self.n_features_in_ = np.shape(X)[1]
        self.scaler_, self.target_ = Scaler(), Scaler()
        self.model_ = self.new_model()
        for _ in range(self.passes):
            self.partial_fit(X, y, sample_weight)
        return self

    def new_model(self) -> Any:
        """Return River's model before it has learned anything."""
        return linear_model.LinearRegression(optim.SGD(self.learning_rate), l2=self.l2)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> OnlineLinear:
        """Learn more rows."""
        weights = np.ones(np.shape(X)[0]) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        for row, value, weight in zip(rows_of(X), np.asarray(y).tolist(), weights.tolist(), strict=True):
            self.scaler_.learn(row, weight)
            self.target_.learn({0: value}, weight)
            self.model_.learn_one(self.scaler_.scale(row), self.target_.scale({0: value})[0], w=weight)
        return self

    def predict(self, X: Any) -> Array:
        """Return a value for each row."""
        mean = self.target_.mean.get(0, 0.0)
        deviation = (self.target_.spread.get(0, 0.0) / self.target_.count) ** 0.5 if self.target_.count else 0.0
        said = [float(self.model_.predict_one(self.scaler_.scale(row))) for row in rows_of(X)]
        return mean + deviation * np.array(said, dtype=np.float64)
