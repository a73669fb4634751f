"""A neural network for regression that learns the target in units of its own spread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.neural_network import MLPRegressor

if TYPE_CHECKING:
    from mlframe.contracts import Array, Matrix

__all__ = ["ScaledMlpRegressor"]


class ScaledMlpRegressor(MLPRegressor):  # type: ignore[misc]
    """scikit-learn's MLPRegressor on a standardised target: prices in thousands would take it thousands of epochs."""

    def fit(self, X: Matrix, y: Array, sample_weight: Array | None = None) -> ScaledMlpRegressor:
        """Fit on (y - mean) / deviation."""
        self.offset_ = float(np.mean(y))
        self.spread_ = float(np.std(y)) or 1.0
        super().fit(X, (np.asarray(y) - self.offset_) / self.spread_, sample_weight=sample_weight)
        return self

    def predict(self, X: Matrix) -> Array:
        """Return values in the target's own unit, shape (rows,)."""
        scaled: Any = super().predict(X)
        return np.asarray(scaled * self.spread_ + self.offset_)
