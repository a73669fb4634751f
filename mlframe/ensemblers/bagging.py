"""Bagging: the mean of models that saw other rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlframe.contracts import Combination, Trainer, Wrapper
from mlframe.errors import ParameterError

if TYPE_CHECKING:
    from mlframe.contracts import Array

__all__ = ["BaggingEnsembler"]


class BaggingEnsembler(Wrapper):
    """Fit the model on samples of the train rows and average (Breiman 1996; without replacement: pasting, 1999).

    Rows are drawn inside each class, so that no model misses one. With `features` below 1 each model also gets other
    features (Ho 1998). Each model gets a seed of its own.

    Args:
        models: how many.
        rows: size of a sample as a share of the train rows, above 0 and at most 1.
        replacement: draw with replacement.
        features: share of the features that a model gets.
        seed: seed of the samples.

    Raises:
        ParameterError: a number is out of range, or all models would be alike.
    """

    def __init__(
        self, models: int = 10, rows: float = 1.0, replacement: bool = True, features: float = 1.0, seed: int = 0
    ) -> None:
        if models < 1:
            raise ParameterError(
                "bagging needs 1 model or more",
                value=models,
                where="ensembler.models",
                hint="10 models give a steady mean",
            )
        for name, share in (("rows", rows), ("features", features)):
            if not 0 < share <= 1:
                raise ParameterError(
                    f"ensembler.{name} must be a share above 0 and at most 1",
                    value=share,
                    where=f"ensembler.{name}",
                    hint="0.8 means four fifths, 1 means all",
                )
        self.models = models
        self.rows = rows
        self.replacement = replacement
        self.features = features
        self.seed = seed

    def wrap(self, trainer: Trainer) -> Combination:
        """Fit each model on a sample."""
        strata = trainer.target if trainer.classes else np.zeros(len(trainer.target), dtype=np.intp)
        for number in range(self.models):
            random = np.random.default_rng([self.seed, number])
            columns = None
            if self.features < 1:
                count = max(1, round(self.features * trainer.width))
                columns = np.sort(random.choice(trainer.width, count, replace=False))
            trainer.fit(rows=self._sample(strata, random), columns=columns, seed=int(random.integers(0, 2**31 - 1)))
        return Combination("mean")

    def _sample(self, strata: Array, random: np.random.Generator) -> Array:
        parts = []
        for stratum in np.unique(strata):
            places = np.flatnonzero(strata == stratum)
            count = max(1, round(self.rows * len(places)))
            parts.append(random.choice(places, count, replace=self.replacement))
        return np.sort(np.concatenate(parts))
