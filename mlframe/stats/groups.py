"""Rates of groups of people, with the draws that intervals of their differences and ratios need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlframe.stats.measures import Measure, Scores

__all__ = ["RATES", "Rate", "compare_rates", "group_errors", "group_rates"]

Array = npt.NDArray[Any]

RATES = ("selection_rate", "true_positive_rate", "false_positive_rate", "precision", "calibration_gap", "roc_auc")
"""What is measured of a group; the calibration gap is predicted minus observed share."""
BUNDLES = 1_000


@dataclass(frozen=True)
class Rate:
    """A number of one group.

    Args:
        value: the number, NaN when the group does not define it.
        draws: the same on bootstrap resamples of the group's rows, shape (resamples,); NaN where undefined.
    """

    value: float
    draws: Array

    @property
    def interval(self) -> tuple[float | None, float | None]:
        """The 95 % percentile interval, None where most resamples do not define the number."""
        return _ends(self.draws, self.value)


def group_rates(
    positive: Array, called: Array, score: Array, weight: Array, *, resamples: int, seed: int
) -> dict[str, Rate]:
    """Measure one group of one class against the rest, by name of `RATES`.

    Args:
        positive: truth, bool, shape (rows,).
        called: decision, bool, shape (rows,).
        score: probability, shape (rows,).
        weight: shape (rows,).
        resamples: bootstrap resamples; 0 gives none.
        seed: equal seeds give equal draws.
    """
    bundle, counts = _counts(len(positive), resamples, seed)
    columns = np.stack(
        [np.ones(len(positive)), called, positive, positive & called, ~positive & called, score - positive], axis=1
    )
    sums = _summed(columns * weight[:, None], bundle)
    proba = np.stack([1 - score, score], axis=1)
    area = Measure(
        positive.astype(np.intp), Scores(called.astype(np.intp), proba), weight, only=["roc_auc"], bundle=bundle
    )
    exact = Measure(positive.astype(np.intp), Scores(called.astype(np.intp), proba), weight, only=["roc_auc"])
    drawn = {**_rates(counts @ sums), "roc_auc": area(counts)["roc_auc"] if len(counts) else np.zeros(0)}
    values = {**_rates(sums.sum(axis=0)[None]), "roc_auc": exact(np.ones((1, len(positive))))["roc_auc"]}
    return {name: Rate(float(values[name][0]), drawn[name]) for name in RATES}


def group_errors(error: Array, weight: Array, *, resamples: int, seed: int) -> Rate:
    """Measure the mean error of one group; arguments as in `group_rates`."""
    bundle, counts = _counts(len(error), resamples, seed)
    sums = _summed(np.stack([weight, weight * error], axis=1), bundle)
    drawn = counts @ sums
    with np.errstate(divide="ignore", invalid="ignore"):
        return Rate(float(sums[:, 1].sum() / sums[:, 0].sum()), drawn[:, 1] / drawn[:, 0])


def compare_rates(a: Rate, b: Rate) -> Mapping[str, tuple[float, float | None, float | None]]:
    """Return `difference` a - b and `ratio` a / b with their intervals; the groups' rows are distinct."""
    with np.errstate(divide="ignore", invalid="ignore"):
        pairs = {
            "difference": (a.value - b.value, a.draws - b.draws),
            "ratio": (float(np.divide(a.value, b.value)), a.draws / b.draws),
        }
    return {name: (value, *_ends(draws, value)) for name, (value, draws) in pairs.items()}


def _counts(rows: int, resamples: int, seed: int) -> tuple[Array | None, Array]:
    """Return the bundle of each row (None: each its own) and how often each unit is drawn, shape (resamples, units)."""
    rng = np.random.default_rng(seed)
    bundle = rng.permutation(rows) % BUNDLES if rows > BUNDLES else None
    units = min(rows, BUNDLES)
    return bundle, rng.multinomial(units, np.full(units, 1 / units), size=resamples).astype(np.float64)


def _summed(columns: Array, bundle: Array | None) -> Array:
    if bundle is None:
        return columns
    return np.stack([np.bincount(bundle, column, BUNDLES) for column in columns.T], axis=1)


def _rates(sums: Array) -> dict[str, Array]:
    total, called, positive, hits, alarms, over = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "selection_rate": called / total,
            "true_positive_rate": hits / positive,
            "false_positive_rate": alarms / (total - positive),
            "precision": hits / called,
            "calibration_gap": over / total,
        }


def _ends(draws: Array, value: float) -> tuple[float | None, float | None]:
    usable = draws[np.isfinite(draws)]
    if not np.isfinite(value) or not len(draws) or len(usable) * 2 < len(draws) or not np.ptp(usable) > 0:
        return None, None
    low, high = np.percentile(usable, [2.5, 97.5])
    return min(float(low), value), max(float(high), value)
