"""scikit-learn's models that learn from rows as they come: `partial_fit`."""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from mlframe.contracts import Adapter, Features
from mlframe.errors import ConfigError

if TYPE_CHECKING:
    from mlframe.contracts import Array

__all__ = ["PartialAdapter"]


class PartialAdapter(Adapter):
    """Lets a fitted model learn on with scikit-learn's `partial_fit`.

    https://scikit-learn.org/stable/computing/scaling_strategies.html#incremental-learning
    """

    def learns_on(self, estimator: Any) -> bool:
        """Whether it can as it is set up: the class has `partial_fit`, and early stopping does not hold rows back."""
        return hasattr(estimator, "partial_fit") and not getattr(estimator, "early_stopping", False)

    def learn_on(
        self,
        estimator: Any,
        fitted: Any,
        features: Features,
        target: Array,
        *,
        weight: Array | None = None,
        rounds: int | None = None,
        leaves: bool = False,
    ) -> Any:
        """Return a copy of the fitted model that has learned more rows.

        Raises:
            ConfigError: it has no leaves to fit anew.
        """
        if leaves:
            hint = "set fit.warm_by=continue"
            raise ConfigError("Only trees have leaves to fit anew", value="leaves", where="fit.warm_by", hint=hint)
        more = copy.deepcopy(fitted)
        takes = inspect.signature(more.partial_fit).parameters
        weights = {"sample_weight": weight} if weight is not None and "sample_weight" in takes else {}
        more.partial_fit(features.matrix, np.asarray(target), **weights)
        return more
