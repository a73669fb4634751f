"""Random forests: importance, and a safe way to load their trees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlframe.models.saving import TreeSaver

if TYPE_CHECKING:
    from mlframe.contracts import Array

__all__ = ["ForestAdapter"]


class ForestAdapter(TreeSaver):
    """What scikit-learn's interface cannot say about random forests."""

    def gain(self, estimator: Any) -> Array:
        """Return each feature's share of the fall in impurity (Breiman 2001), shape (features,)."""
        return np.asarray(estimator.feature_importances_, dtype=np.float64)
