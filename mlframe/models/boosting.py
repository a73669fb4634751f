"""Histogram gradient boosting of scikit-learn: categories and early stopping on rows that the splitter cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone, is_classifier

from mlframe.contracts import Features, Stop
from mlframe.errors import ConfigError
from mlframe.models import boosting_fast
from mlframe.models.saving import TreeSaver

if TYPE_CHECKING:
    from mlframe.contracts import Array, Matrix

__all__ = ["BoostingAdapter"]


class BoostingAdapter(TreeSaver):
    """What scikit-learn's interface cannot say about HistGradientBoosting."""

    categories = True
    # Estimators with categories hold a transformer around this function.
    trusted = ("functools.partial", "sklearn.utils.validation.check_array")

    def fit(
        self,
        estimator: Any,
        features: Features,
        target: Array,
        *,
        weight: Array | None = None,
        stop: Stop | None = None,
    ) -> None:
        """Fit with categories, weights and early stopping.

        Raises:
            ConfigError: a column has more categories than the estimator has bins.
        """
        categorical = list(features.categorical)
        self._refuse_many(estimator, features)
        options: dict[str, Any] = {}
        if stop is not None:
            known = np.isin(stop.target, np.unique(target)) if is_classifier(estimator) else slice(None)
            matrix: Any = stop.matrix
            options = {"X_val": matrix[known], "y_val": stop.target[known]}
            if stop.weight is not None:
                options["sample_weight_val"] = stop.weight[known]
            if not len(options["y_val"]):  # no class that the train rows know
                options, stop = {}, None
        # Without rows of our own the estimator would cut some at random, across time and groups.
        estimator.set_params(categorical_features=categorical or None, early_stopping=stop is not None)
        if stop is not None:
            estimator.set_params(n_iter_no_change=stop.rounds)
        estimator.fit(features.matrix, target, sample_weight=weight, **options)

    def fast(self, estimator: Any) -> Callable[[Matrix], Array] | None:
        """Return bit masks of the trees; None for trees of more than 64 leaves and for sizes that need too much memory."""
        return boosting_fast.predictor(estimator)

    def rounds(self, estimator: Any) -> int:
        """Return the number of rounds that predictions use."""
        return int(estimator.n_iter_)

    def with_rounds(self, estimator: Any, rounds: int) -> Any:
        """Return an unfitted copy that trains exactly so many rounds."""
        return clone(estimator).set_params(max_iter=rounds)

    def _refuse_many(self, estimator: Any, features: Features) -> None:
        matrix: Any = features.matrix
        for index in features.categorical:
            column = matrix[:, index]
            top = 0 if np.isnan(column).all() else int(np.nanmax(column)) + 1
            if top > estimator.max_bins:
                raise ConfigError(
                    f"model=boosting takes {estimator.max_bins} categories, column {features.origins[index]!r} has {top}",
                    where="featurizer.max_categories, model.max_bins",
                    hint=f"set featurizer.max_categories={estimator.max_bins} or less",
                )
