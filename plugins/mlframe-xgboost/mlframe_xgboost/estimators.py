"""XGBoost's classifier for train rows that lack a class, as early folds along time may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost

if TYPE_CHECKING:
    from mlframe.contracts import Array

__all__ = ["XGBClassifier"]


class XGBClassifier(xgboost.XGBClassifier):
    """XGBoost's own, which wants the codes 0..K-1 without a gap: others are packed before it sees them."""

    codes_: Array

    def fit(self, X: Any, y: Any, *, eval_set: Any = None, **options: Any) -> XGBClassifier:
        """Fit; the classes of `eval_set` are those of `y`."""
        codes = np.unique(np.asarray(y))
        packed = [(rows, np.searchsorted(codes, truth)) for rows, truth in eval_set or ()]
        self.codes_ = np.arange(len(codes))
        super().fit(X, np.searchsorted(codes, y), eval_set=packed or None, **options)
        self.codes_ = codes
        return self

    def predict(self, X: Any, **options: Any) -> Any:
        """Return codes as `fit` was given them."""
        return self.codes_[np.asarray(super().predict(X, **options))]

    @property
    def classes_(self) -> Array:
        """The codes that the train rows held, ascending."""
        return self.codes_
