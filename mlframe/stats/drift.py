"""How far a sample has moved from another: distances and tests, exact, of values and of counts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "ChiSquared",
    "chi_squared",
    "jensen_shannon",
    "kolmogorov_smirnov",
    "smirnov_p",
    "stability_index",
    "wasserstein",
]

Array = npt.NDArray[Any]

LEAST = 1e-4
"""Share that an empty bin counts as in the stability index: a bin without rows would be infinitely far."""


def stability_index(expected: Array, found: Array) -> float:
    """Return the population stability index of two histograms with the same bins.

    0 is the same; by custom 0.1 is worth a look and 0.25 is another population. Few rows alone make it large: of the same
    population it is about (bins - 1) * (1 / rows before + 1 / rows now) on average.

    Args:
        expected: counts or shares before, shape (bins,).
        found: counts or shares now, shape (bins,).

    Source: the symmetrised Kullback-Leibler divergence, see B. Yurdakul (2018), Statistical properties of population
    stability index.
    """
    total, now = float(np.sum(expected)), float(np.sum(found))
    if total <= 0 or now <= 0:
        return 0.0
    before = np.maximum(np.asarray(expected, dtype=np.float64) / total, LEAST)
    after = np.maximum(np.asarray(found, dtype=np.float64) / now, LEAST)
    return float(((after - before) * np.log(after / before)).sum())


def jensen_shannon(expected: Array, found: Array, *, corrected: bool = False) -> float:
    """Return the Jensen-Shannon distance of two histograms, base 2: 0 is the same, 1 has nothing in common.

    Args:
        expected: counts before, shape (bins,).
        found: counts now, shape (bins,).
        corrected: take off what chance alone gives so many rows on average, so that the distance of the same two
            populations does not depend on the number of rows.

    Source: J. Lin (1991), Divergence measures based on the Shannon entropy. The correction is that of its expansion,
    an eighth of the chi-squared statistic: (bins - 1) * (1 / rows before + 1 / rows now) / (8 ln 2) of the squared distance.
    """
    before, now = np.asarray(expected, dtype=np.float64), np.asarray(found, dtype=np.float64)
    total, count = float(before.sum()), float(now.sum())
    if total <= 0 or count <= 0:
        return 0.0
    p, q = before / total, now / count
    mean = (p + q) / 2
    held = mean > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(p > 0, p * np.log2(p / mean), 0.0) + np.where(q > 0, q * np.log2(q / mean), 0.0)
    squared = float(parts[held].sum()) / 2
    if corrected:
        squared -= (int(held.sum()) - 1) * (1 / total + 1 / count) / (8 * np.log(2))
    return float(np.sqrt(max(0.0, squared)))


def wasserstein(expected: Array, found: Array) -> float:
    """Return the Wasserstein-1 distance of two samples, in the unit of the values.

    Args:
        expected: finite values before, any order, one or more.
        found: finite values now.
    """
    before, now = np.sort(expected), np.sort(found)
    every = np.sort(np.concatenate([before, now]))
    widths = np.diff(every)
    below = np.searchsorted(before, every[:-1], side="right") / len(before)
    under = np.searchsorted(now, every[:-1], side="right") / len(now)
    return float(np.abs(below - under) @ widths)


def kolmogorov_smirnov(expected: Array, found: Array) -> tuple[float, float]:
    """Return the two-sample Kolmogorov-Smirnov statistic and its p-value.

    Args:
        expected: values before, any order, one or more.
        found: values now.

    Returns:
        The largest distance of the two distribution functions, and `smirnov_p` of it.
    """
    before, now = np.sort(expected), np.sort(found)
    every = np.concatenate([before, now])
    below = np.searchsorted(before, every, side="right") / len(before)
    under = np.searchsorted(now, every, side="right") / len(now)
    statistic = float(np.abs(below - under).max())
    return statistic, smirnov_p(statistic, len(before), len(now))


def smirnov_p(statistic: float, before: int, now: int) -> float:
    """Return the p-value of a Kolmogorov-Smirnov statistic by Kolmogorov's limit; too high where values repeat.

    Args:
        statistic: largest distance of two distribution functions.
        before: values of one.
        now: values of the other.
    """
    from scipy.special import kolmogorov

    return float(kolmogorov(np.sqrt(before * now / (before + now)) * statistic))


class ChiSquared(NamedTuple):
    """Outcome of a chi-squared test.

    Args:
        statistic: Pearson's.
        freedom: degrees of freedom.
        p: p-value; 1 without a degree of freedom.
    """

    statistic: float
    freedom: int
    p: float


def chi_squared(expected: Array, found: Array, *, least: float = 0.0) -> ChiSquared:
    """Test whether two rows of counts are of one distribution (Pearson's test of homogeneity).

    Args:
        expected: counts before, shape (bins,).
        found: counts now, shape (bins,).
        least: bins with a smaller expected count in one row are counted as one bin, since the test's p-value does not
            hold for them; 5 is the custom.
    """
    from scipy.special import chdtrc

    table = np.stack([np.asarray(expected, dtype=np.float64), np.asarray(found, dtype=np.float64)])
    sums = table.sum(axis=1)
    if not (sums > 0).all():
        return ChiSquared(0.0, 0, 1.0)
    total = float(sums.sum())
    columns = table.sum(axis=0)
    if least > 0:
        table = _pooled(table, columns * (sums.min() / total), least)
        columns = table.sum(axis=0)
    table, columns = table[:, columns > 0], columns[columns > 0]
    freedom = len(columns) - 1
    if freedom < 1:
        return ChiSquared(0.0, 0, 1.0)
    awaited = sums[:, None] * columns[None, :] / total
    statistic = float(((table - awaited) ** 2 / awaited).sum())
    return ChiSquared(statistic, freedom, float(chdtrc(freedom, statistic)))


def _pooled(table: Array, awaited: Array, least: float) -> Array:
    """Join the rarest bins until each has the least expected count."""
    order = np.argsort(awaited, kind="stable")
    sums = np.cumsum(awaited[order])
    rare = int(np.searchsorted(awaited[order], least, side="left"))
    if not rare:
        return table
    while rare < len(order) and sums[rare - 1] < least:
        rare += 1
    return np.column_stack([table[:, order[:rare]].sum(axis=1), table[:, order[rare:]]])
