"""Means of fold scores with intervals, and paired comparisons of two candidates on the same folds.

Folds share most of their train rows, so their scores are not independent and the plain t-test finds differences that are
not there. The corrected resampled t-test (Nadeau and Bengio 2003; for repeated cross-validation Bouckaert and Frank
2004) widens the variance of the mean from s²/n to s² (1/n + n_valid/n_train). Comparisons of many candidates with one
are corrected by Holm (1979).

A best of many candidates is partly lucky: its score promises more than new rows will keep (the winner's curse). These
intervals do not take that out; a holdout does.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["MeanEstimate", "PairedComparison", "corrected_mean", "holm", "paired_comparison", "share_interval"]

CONFIDENCE = 0.95
ROUNDING = 1e-12
"""A spread below this share of the values' size is rounding, not spread."""


@dataclass(frozen=True)
class MeanEstimate:
    """The mean of scores over folds and repeats.

    Args:
        value: the mean.
        std: standard deviation of the scores, None for a single score.
        low: lower end of the 95 % interval, None for a single score.
        high: upper end.
        error: standard error of the mean, corrected for the rows that folds share; None for a single score.
    """

    value: float
    std: float | None = None
    low: float | None = None
    high: float | None = None
    error: float | None = None


@dataclass(frozen=True)
class PairedComparison:
    """How much higher one candidate scores than another on the folds that both have.

    Args:
        value: mean of the differences, first minus second.
        low: lower end of its 95 % interval, None when the differences have no spread to judge by.
        high: upper end.
        p_value: two-sided, of no difference; None when there is a single pair, which proves nothing.
        pairs: number of pairs.
    """

    value: float
    low: float | None
    high: float | None
    p_value: float | None
    pairs: int


def corrected_mean(scores: Sequence[float], test_share: float) -> MeanEstimate:
    """Return the mean of fold scores with its corrected resampled interval.

    Args:
        scores: shape (folds * repeats,), finite, at least one.
        test_share: validated share of a fold's rows, valid / (train + valid), above 0 and below 1.

    Raises:
        ValueError: no scores, a score that is not finite, or an impossible share.
    """
    values = _checked(scores, test_share)
    if len(values) == 1:
        return MeanEstimate(float(values[0]))
    mean, std, error = _moments(values, test_share)
    reach = error * _critical(len(values) - 1)
    return MeanEstimate(mean, std, mean - reach, mean + reach, error)


def paired_comparison(
    first: Mapping[Hashable, float], second: Mapping[Hashable, float], test_share: float
) -> PairedComparison | None:
    """Compare two candidates by the corrected resampled t-test.

    Args:
        first: score by fold; the keys say which scores belong together, such as (repeat, fold).
        second: the same of the other candidate. Folds that only one of them has are left out.
        test_share: validated share of a fold's rows, valid / (train + valid), above 0 and below 1.

    Returns:
        The comparison, None when they share no fold. Differences that are all zero have p = 1; ones that are equal and
        not zero have no spread, so the sign test judges them: p = 2^(1 - pairs).

    Raises:
        ValueError: a score that is not finite, or an impossible share.
    """
    shared = [key for key in first if key in second]
    if not shared:
        return None
    a, b = (_checked([scores[key] for key in shared], test_share) for scores in (first, second))
    differences = a - b
    mean, std, error = _moments(differences, test_share)
    pairs = len(shared)
    size = float(np.maximum(np.abs(a), np.abs(b)).max())
    if np.abs(differences).max() <= ROUNDING * size:
        return PairedComparison(mean, mean, mean, 1.0 if pairs > 1 else None, pairs)
    if pairs == 1:
        return PairedComparison(mean, None, None, None, pairs)
    if std <= ROUNDING * size:
        return PairedComparison(mean, None, None, 2.0 ** (1 - pairs), pairs)
    reach = error * _critical(pairs - 1)
    return PairedComparison(mean, mean - reach, mean + reach, _two_sided(mean / error, pairs - 1), pairs)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for their number (Holm 1979), in the order given.

    Rejecting those up to 0.05 makes one false claim or more in at most 5 % of all such lists, however they depend on
    each other.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, p_values[index] * (len(p_values) - place)))
        adjusted[index] = highest
    return adjusted


def share_interval(count: float, rows: int) -> tuple[float, float, float]:
    """Return a share and its 95 % interval.

    Args:
        count: rows that are counted.
        rows: all rows, at least one.

    Source: E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    z, share = 1.959964, count / rows
    centre = (share + z**2 / (2 * rows)) / (1 + z**2 / rows)
    half = z * math.sqrt(share * (1 - share) / rows + z**2 / (4 * rows**2)) / (1 + z**2 / rows)
    return share, max(0.0, centre - half), min(1.0, centre + half)


def _checked(scores: Sequence[float], test_share: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    values = np.asarray(scores, dtype=np.float64)
    if len(values) == 0 or not np.isfinite(values).all():
        raise ValueError(f"scores must be finite numbers, at least one: {list(scores)!r}")
    if not 0 < test_share < 1:
        raise ValueError(f"test_share must lie between 0 and 1: {test_share!r}")
    return values


def _moments(values: np.ndarray[tuple[int], np.dtype[np.float64]], test_share: float) -> tuple[float, float, float]:
    """Return mean, standard deviation and corrected standard error; the last two are 0 for a single value."""
    if len(values) == 1:
        return float(values[0]), 0.0, 0.0
    std = float(values.std(ddof=1))
    return float(values.mean()), std, std * math.sqrt(1 / len(values) + test_share / (1 - test_share))


def _critical(freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 1 - (1 - CONFIDENCE) / 2))


def _two_sided(statistic: float, freedom: int) -> float:
    from scipy.special import stdtr

    return float(2 * stdtr(freedom, -abs(statistic)))
