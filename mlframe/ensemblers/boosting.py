"""Boosting of any model that takes row weights: AdaBoost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from mlframe.contracts import Combination, Trainer, Wrapper
from mlframe.errors import ConfigError, ParameterError

if TYPE_CHECKING:
    from mlframe.contracts import Array

__all__ = ["BoostingEnsembler"]


class BoostingEnsembler(Wrapper):
    """Fit models one after the other, each with more weight on the rows that the last one got wrong.

    Classes: SAMME (Zhu, Zou, Rosset and Hastie 2009), which is AdaBoost (Freund and Schapire 1997) in two classes.
    Values: AdaBoost.R2 (Drucker 1997) with weights in place of resampling. A model that is no better than chance ends
    the boosting and is left out; so does, after it, a model without a mistake. The probabilities of boosted classifiers
    are extreme: `fit.calibration` mends them.

    Args:
        models: most models.
        learning_rate: share of each model's weight; smaller needs more models.
        loss: loss of a value's error: `linear`, `square` or `exponential`.
        seed: seed of the models; each gets one of its own.

    Raises:
        ParameterError: a number is out of range.
    """

    def __init__(
        self,
        models: int = 10,
        learning_rate: float = 1.0,
        loss: Literal["linear", "square", "exponential"] = "linear",
        seed: int = 0,
    ) -> None:
        if models < 1:
            raise ParameterError(
                "boosting needs 1 model or more", value=models, where="ensembler.models", hint="50 models are a start"
            )
        if learning_rate <= 0:
            raise ParameterError(
                "ensembler.learning_rate must be above 0",
                value=learning_rate,
                where="ensembler.learning_rate",
                hint="1 is AdaBoost as it was published",
            )
        self.models = models
        self.learning_rate = learning_rate
        self.loss = loss
        self.seed = seed

    def wrap(self, trainer: Trainer) -> Combination:
        """Fit model after model.

        Raises:
            ConfigError: the model takes no row weights.
        """
        if not trainer.takes_weight:
            raise ConfigError(
                f"ensembler=boosting needs a model that takes row weights, and model={trainer.model} takes none",
                where="ensembler, model",
                hint="pick ensembler=bagging, or another model",
            )
        count = len(trainer.target)
        weight = np.ones(count) if trainer.weight is None else trainer.weight.astype(np.float64)
        weight = weight * (count / weight.sum())
        votes: list[float] = []
        for number in range(self.models):
            part = trainer.fit(weight=weight, seed=self.seed + number)
            vote, factor = (self._classes if trainer.classes else self._values)(trainer, part, weight)
            if factor is None:  # no better than chance, or nothing left to learn
                votes.append(vote if vote > 0 else float(not votes))
                break
            votes.append(vote)
            weight = weight * factor
            weight = weight * (count / weight.sum())
        return Combination("samme" if trainer.classes else "median", tuple(votes))

    def _classes(self, trainer: Trainer, part: int, weight: Array) -> tuple[float, Array | None]:
        """Return a model's weight and the factor of each row's weight, None at the end."""
        wrong = trainer.outputs(part).argmax(axis=1) != trainer.target
        error = float(weight[wrong].sum() / weight.sum())
        if error >= 1 - 1 / trainer.classes:
            return 0.0, None
        least = 0.5 / len(weight)  # a model without a mistake counts like one with half a mistake
        odds = np.log((1 - max(error, least)) / max(error, least)) + np.log(trainer.classes - 1)
        vote = float(self.learning_rate * odds)
        return vote, np.exp(vote * wrong) if error > 0 else None

    def _values(self, trainer: Trainer, part: int, weight: Array) -> tuple[float, Array | None]:
        """Return a model's weight and the factor of each row's weight, None at the end."""
        error = np.abs(trainer.outputs(part) - trainer.target)
        error = error / (error.max() or 1.0)
        if self.loss == "square":
            error = error**2
        elif self.loss == "exponential":
            error = 1 - np.exp(-error)
        mean = float((weight * error).sum() / weight.sum())
        if mean >= 0.5:
            return 0.0, None
        beta = max(mean, 0.5 / len(weight)) / (1 - mean)
        vote = float(self.learning_rate * np.log(1 / beta))
        return vote, beta ** (self.learning_rate * (1 - error)) if mean > 0 else None
