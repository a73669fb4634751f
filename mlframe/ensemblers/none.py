"""No ensemble: one featurizer and one model."""

from __future__ import annotations

from mlframe.contracts import Combination, Trainer, Wrapper

__all__ = ["NoneEnsembler"]


class NoneEnsembler(Wrapper):
    """Fit the model once."""

    def wrap(self, trainer: Trainer) -> Combination:
        """Fit once."""
        trainer.fit()
        return Combination("mean")
