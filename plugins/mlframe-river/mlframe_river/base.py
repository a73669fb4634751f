"""What River's learners have in common: rows as mappings, codes as classes, an answer where nothing was learned yet."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin

__all__ = ["OnlineClassifier", "rows_of"]

Array = npt.NDArray[Any]


def rows_of(matrix: Any) -> Any:
    """Give each row as River wants it: feature number to value."""
    for row in np.asarray(matrix, dtype=np.float64).tolist():
        yield dict(enumerate(row))


class OnlineClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that can learn on; subclasses learn one row and answer one row."""

    classes_: Array
    counts_: Array

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Forget everything, then learn the rows one by one in their order."""
        self.classes_ = np.unique(y)
        self.counts_ = np.zeros(len(self.classes_))
        self.n_features_in_ = np.shape(X)[1]
        self._begin(X)
        return self.partial_fit(X, y, sample_weight)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Learn more rows; a class that comes later is added."""
        y = np.asarray(y)
        new = np.setdiff1d(y, self.classes_)
        if len(new):
            classes = np.union1d(self.classes_, new)
            counts = np.zeros(len(classes))
            counts[np.searchsorted(classes, self.classes_)] = self.counts_
            self.classes_, self.counts_ = classes, counts
        weights = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        np.add.at(self.counts_, np.searchsorted(self.classes_, y), weights)
        for row, code, weight in zip(rows_of(X), y.tolist(), weights.tolist(), strict=True):
            self._learn(row, int(code), weight)
        return self

    def predict(self, X: Any) -> Array:
        """Return the likeliest class of each row."""
        found: Array = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return found

    def predict_proba(self, X: Any) -> Array:
        """Return probabilities, shape (rows, classes)."""
        given = np.zeros((np.shape(X)[0], len(self.classes_)))
        for at, row in enumerate(rows_of(X)):
            said = self._answer(row)
            given[at] = [said.get(int(code), 0.0) for code in self.classes_]
        totals = given.sum(axis=1, keepdims=True)
        usual = self.counts_ / self.counts_.sum()
        usable = np.isfinite(totals) & (totals > 0)
        return np.where(usable, np.where(usable, given, 1.0) / np.where(usable, totals, 1.0), usual)

    def _begin(self, X: Any) -> None:
        raise NotImplementedError

    def _learn(self, row: dict[int, float], code: int, weight: float) -> None:
        raise NotImplementedError

    def _answer(self, row: dict[int, float]) -> dict[int, float]:
        raise NotImplementedError
