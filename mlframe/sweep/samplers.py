"""Which trial comes next: every combination, at random, or where earlier trials did well."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import islice
from typing import Any

from mlframe.sweep.space import Axis, Space

__all__ = ["BayesSampler", "GridSampler", "RandomSampler", "Sampler"]


class Sampler(ABC):
    """Gives each trial its values; equal seeds and equal answers give equal trials."""

    @abstractmethod
    def ask(self, number: int) -> dict[str, Any] | None:
        """Return the values of a trial by key, None when there is no more."""

    def tell(self, number: int, values: Mapping[str, Any], loss: float | None) -> None:  # noqa: B027 (optional)
        """Hear how a trial ended: its loss (lower is better), None when it was pruned or failed."""


class GridSampler(Sampler):
    """Every combination of the axes' grid values, in order.

    Args:
        space: what is varied.
        fixed: group to option that is picked for every trial.
    """

    def __init__(self, space: Space, fixed: Mapping[str, Any]) -> None:
        self._all = space.combinations(fixed)
        self._known: list[dict[str, Any]] = []

    def ask(self, number: int) -> dict[str, Any] | None:
        """Return combination `number`."""
        self._known.extend(islice(self._all, max(0, number + 1 - len(self._known))))
        return self._known[number] if number < len(self._known) else None


class _OptunaSampler(Sampler):
    """Draws with one of Optuna's samplers; each trial has a seed of its own, so a resumed sweep draws the same."""

    def __init__(self, space: Space, fixed: Mapping[str, Any], seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna = optuna
        self._space, self._fixed, self._seed = space, fixed, seed
        self._study = optuna.create_study(sampler=self._sampler(0))
        self._asked: dict[int, Any] = {}

    def _sampler(self, number: int) -> Any:
        raise NotImplementedError

    def ask(self, number: int) -> dict[str, Any]:
        """Draw the values of a trial."""
        self._study.sampler = self._sampler(self._seed * 1_000_003 + number)
        trial = self._study.ask()
        values: dict[str, Any] = {}
        for axis in self._space.active(values, self._fixed):
            values[axis.key] = self._suggest(trial, axis)
        self._asked[number] = trial
        return values

    def tell(self, number: int, values: Mapping[str, Any], loss: float | None) -> None:
        """Tell the study."""
        from optuna.trial import TrialState

        trial = self._asked.pop(number, None)
        if trial is not None:
            self._study.tell(trial, loss, state=TrialState.COMPLETE if loss is not None else TrialState.PRUNED)
        elif loss is not None:
            self._add(values, loss)

    def _add(self, values: Mapping[str, Any], loss: float) -> None:
        """Add a trial that another process ran; values outside of the space cannot teach it anything."""
        params, distributions = {}, {}
        for axis in self._space.active(dict(values), self._fixed):
            distribution, value = self._distribution(axis), values.get(axis.key)
            if axis.choices:
                value = axis.choices.index(value) if value in axis.choices else None
            if value is None or (not axis.choices and not axis.low <= value <= axis.high):
                return
            params[axis.name], distributions[axis.name] = value, distribution
        self._study.add_trial(self._optuna.trial.create_trial(params=params, distributions=distributions, value=loss))

    def _distribution(self, axis: Axis) -> Any:
        made = self._optuna.distributions
        if axis.choices:  # by position: choices may be lists
            return made.CategoricalDistribution(list(range(len(axis.choices))))
        if axis.whole:
            return made.IntDistribution(int(axis.low), int(axis.high), axis.log, int(axis.step or 1))
        return made.FloatDistribution(float(axis.low), float(axis.high), axis.log, axis.step)

    def _suggest(self, trial: Any, axis: Axis) -> Any:
        if axis.choices:
            return axis.choices[trial.suggest_categorical(axis.name, list(range(len(axis.choices))))]
        if axis.whole:
            return trial.suggest_int(axis.name, int(axis.low), int(axis.high), log=axis.log, step=int(axis.step or 1))
        drawn = trial.suggest_float(axis.name, float(axis.low), float(axis.high), log=axis.log, step=axis.step)
        return min(max(float(f"{drawn:.6g}"), axis.low), axis.high)  # digits that a person can type


class RandomSampler(_OptunaSampler):
    """Independent draws (Bergstra and Bengio, 2012)."""

    def _sampler(self, number: int) -> Any:
        return self._optuna.samplers.RandomSampler(seed=number % 2**32)


class BayesSampler(_OptunaSampler):
    """Tree-structured Parzen estimators (Bergstra et al., 2011), over the parameters of each model together."""

    def _sampler(self, number: int) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            return self._optuna.samplers.TPESampler(
                seed=number % 2**32, multivariate=True, group=True, constant_liar=True
            )
