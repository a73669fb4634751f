"""What more rows would bring: a power law through the errors of models learned from more and more rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlframe.errors import DataError

__all__ = ["PowerLaw", "extrapolate", "fit_power_law", "nested_parts", "rows_needed", "sizes_of"]

Array = npt.NDArray[Any]

EXPONENTS = np.linspace(0.05, 2.0, 391)
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


def nested_parts(
    cut: Callable[[Array, float], tuple[Array, Array]], rows: Array, shares: Sequence[float]
) -> list[Array | None]:
    """Return smaller and larger parts of some rows, each inside the next, as a splitter cuts them.

    So groups stay whole, and rows in time are the latest ones: those that a model with less history would have.

    Args:
        cut: cuts rows in two by the splitter's rule; the second part has about the given share of them.
        rows: positions.
        shares: ascending, the last one 1.

    Returns:
        One part a share, about so large; None where the rule gives none so small.
    """
    parts: list[Array | None] = [rows]
    inner = rows
    for share in reversed(shares[:-1]):
        try:
            inner = cut(inner, min(share * len(rows) / len(inner), 0.99))[1]
        except DataError:
            return [None] * (len(shares) - len(parts)) + parts
        parts.insert(0, inner)
    return parts


def fit_power_law(rows: Array, errors: Array) -> PowerLaw:
    """Fit by least squares, each size weighted by its rows, since errors after few rows vary more.

    For each exponent of a grid the best floor and scale are known in closed form.

    Args:
        rows: numbers of rows, shape (sizes,), ascending, at least two different ones.
        errors: shape (sizes,).
    """
    weight = rows / rows.sum()
    shape = (rows / rows[-1])[None, :] ** -EXPONENTS[:, None]
    middle, usual = shape @ weight, float(errors @ weight)
    spread = shape - middle[:, None]
    scale = ((spread * errors) @ weight) / (spread**2 @ weight)
    floor = usual - scale * middle
    flat, sunk = scale < 0, floor < 0  # more rows never hurt, and no error is below 0
    scale = np.where(sunk, ((shape * errors) @ weight) / (shape**2 @ weight), scale)
    floor = np.where(sunk, 0.0, floor)
    scale, floor = np.where(flat, 0.0, scale), np.where(flat, usual, floor)
    off = (floor[:, None] + scale[:, None] * shape - errors) ** 2 @ weight
    at = int(np.argmin(off))
    exponent = float(EXPONENTS[at])
    return PowerLaw(float(floor[at]), float(scale[at]) * float(rows[-1]) ** exponent, exponent)


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
    values = np.minimum(law.at(np.asarray(wanted)), errors[:, -1].mean())  # more rows are not worse than those of today
    return law, [(float(v), float(min(l, v)), float(max(h, v))) for v, l, h in zip(values, *ends, strict=True)], laws  # noqa: E741


def rows_needed(law: PowerLaw, error: float, rows: int) -> int | None:
    """Return how many rows the law asks for to come down to an error; None beyond 100 times the rows there are."""
    if float(law.at(rows)) <= error:
        return rows
    if law.scale == 0 or error <= law.floor:
        return None
    needed = (law.scale / (error - law.floor)) ** (1 / law.exponent)
    return int(np.ceil(needed)) if needed <= FARTHEST * rows else None
