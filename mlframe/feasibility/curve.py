"""What more rows would bring: a power law through the errors of models learned from more and more rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["PowerLaw", "extrapolate", "fit_power_law", "rows_needed", "sizes_of"]

Array = npt.NDArray[Any]

EXPONENTS = np.linspace(0.05, 2.0, 79)
FARTHEST = 100
"""Nothing is said about more than so many times the rows that there are."""


@dataclass(frozen=True)
class PowerLaw:
    """error(n) = floor + scale * n ** -exponent, all of them 0 or more.

    Source: J. Hestness and others (2017), Deep learning scaling is predictable, empirically.
    """

    floor: float
    scale: float
    exponent: float

    def at(self, rows: float | Array) -> Any:
        """Return the error after so many rows."""
        return self.floor + self.scale * np.asarray(rows, dtype=np.float64) ** -self.exponent


def sizes_of(rows: int, count: int, least: int) -> list[int]:
    """Return `count` numbers of rows, each twice the one before, up to all of them; fewer where `least` forbids."""
    wanted = [rows >> step for step in range(count)]
    return sorted(size for size in wanted if size >= least or size == rows)


def fit_power_law(rows: Array, errors: Array) -> PowerLaw:
    """Fit by least squares: for each exponent of a grid the best floor and scale are known in closed form.

    Args:
        rows: numbers of rows, shape (sizes,), at least two different ones.
        errors: shape (sizes,).
    """
    best, law = np.inf, PowerLaw(float(np.mean(errors)), 0.0, 1.0)
    for exponent in EXPONENTS:
        shape = (rows / rows[-1]) ** -exponent
        spread = shape - shape.mean()
        slope = float((spread * errors).sum() / (spread**2).sum())
        floor = float(errors.mean() - slope * shape.mean())
        if slope < 0:  # more rows never hurt
            slope, floor = 0.0, float(errors.mean())
        elif floor < 0:
            slope, floor = float((shape * errors).sum() / (shape**2).sum()), 0.0
        off = float(((floor + slope * shape - errors) ** 2).sum())
        if off < best:
            best, law = off, PowerLaw(floor, slope * float(rows[-1]) ** exponent, float(exponent))
    return law


def extrapolate(
    rows: Array, errors: Array, wanted: Sequence[float], *, resamples: int = 200, seed: int = 0
) -> tuple[PowerLaw, list[tuple[float, float, float]], list[PowerLaw]]:
    """Fit a power law to the folds' mean, and say how sure it is at other numbers of rows.

    Args:
        rows: numbers of rows, shape (sizes,).
        errors: shape (folds, sizes).
        wanted: numbers of rows to look at.
        resamples: how often the folds are drawn anew (bootstrap over folds; what the law itself misses is added).
        seed: seed of the draws.

    Returns:
        The law, (error, low, high) for each of `wanted`, and the laws of the resamples.
    """
    law = fit_power_law(rows, errors.mean(axis=0))
    missed = errors.mean(axis=0) - law.at(rows)
    random = np.random.default_rng(seed)
    laws = []
    for _ in range(resamples):
        folds = errors[random.integers(0, len(errors), len(errors))].mean(axis=0)
        laws.append(fit_power_law(rows, folds + random.choice(missed, len(rows)) * random.choice([-1, 1], len(rows))))
    spread = np.array([other.at(np.asarray(wanted)) for other in laws])
    ends = np.quantile(spread, [0.025, 0.975], axis=0)
    values = law.at(np.asarray(wanted))
    return law, [(float(v), float(min(l, v)), float(max(h, v))) for v, l, h in zip(values, *ends, strict=True)], laws  # noqa: E741


def rows_needed(law: PowerLaw, error: float, rows: int) -> int | None:
    """Return how many rows the law asks for to come down to an error; None beyond 100 times the rows there are."""
    if float(law.at(rows)) <= error:
        return rows
    if law.scale == 0 or error <= law.floor:
        return None
    needed = (law.scale / (error - law.floor)) ** (1 / law.exponent)
    return int(np.ceil(needed)) if needed <= FARTHEST * rows else None
