"""Bootstrap intervals of figures, and of the difference of two models on the same rows.

Percentile intervals (Efron 1979) from resamples of the rows. Above `BUNDLED` rows, rows are put at random into
`BUNDLES` bundles and bundles are resampled: bundles of independent rows are independent too, so the spread is the same,
and the cost no longer grows with the rows. The interval is then moved by what binning the ranks shifts, so that it
belongs to the exact estimate. Rows are taken as independent; rows that follow one another in time are less certain
than the interval says.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mlframe.stats.measures import Measure, Scores, figures

__all__ = ["Difference", "Estimate", "estimate", "estimate_means", "paired_bootstrap"]

Array = npt.NDArray[Any]

BUNDLED = 5_000
BUNDLES = 1_000
CONFIDENCE = 0.95
CELLS = 2_000_000  # counts held at once: 16 MB


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval.

    Args:
        value: the figure on all rows.
        low: lower end, None without resamples or when most resamples cannot be judged.
        high: upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Difference:
    """How much higher a figure is for the first model than for the second, on the same rows.

    Args:
        value: figure of a minus figure of b.
        low: lower end of the 95 % interval.
        high: upper end.
        a: figure of the first model.
        b: figure of the second model.
    """

    value: float
    low: float
    high: float
    a: float
    b: float


def estimate(
    y: Array,
    scores: Scores,
    weight: Array | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
    only: Collection[str] | None = None,
    quantile: float = 0.5,
) -> dict[str, Estimate]:
    """Return every figure that can be computed, with its interval.

    Args:
        y: codes 0..K-1 or values, shape (rows,).
        scores: predictions of the same rows.
        weight: shape (rows,), None for equal weights.
        resamples: number of resamples; 0 gives no intervals.
        seed: equal seeds give equal intervals.
        only: names of the figures that are wanted, None for all.
        quantile: quantile of the pinball loss.

    Returns:
        Name to estimate. Left out is what the rows do not define: ROC AUC, average precision and Matthews coefficient
        of rows of one class, precision, recall and F1 without a positive row, R2 of a constant target, MAPE of a
        target that is zero somewhere.
    """
    exact = figures(y, scores, weight, only=only, quantile=quantile)
    if resamples <= 0 or not exact:
        return {name: Estimate(value) for name, value in exact.items()}
    rng = np.random.default_rng(seed)
    measure = Measure(y, scores, weight, only=exact, quantile=quantile, bundle=_bundles(len(y), rng))
    point = measure(np.ones((1, measure.units)))
    drawn = _resample([measure], resamples, rng)[0]
    found = {}
    for name, value in exact.items():
        ends = _ends(drawn[name])
        if ends is None or not np.isfinite(point[name][0]):
            found[name] = Estimate(value)
            continue
        shift = value - float(point[name][0])
        found[name] = Estimate(value, ends[0] + shift, ends[1] + shift)
    return found


def paired_bootstrap(
    figure: str,
    y: Array,
    a: Scores,
    b: Scores,
    weight: Array | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
    quantile: float = 0.5,
) -> Difference | None:
    """Return the difference of one figure between two models, with its interval.

    Both models are judged on the same rows in every resample, so what is hard for both does not widen the interval.

    Args:
        figure: a name of `CLASSIFICATION` or `REGRESSION`.
        y: codes 0..K-1 or values, shape (rows,).
        a: predictions of the first model, for the same rows.
        b: predictions of the second model, for the same rows.
        weight: shape (rows,), None for equal weights.
        resamples: number of resamples, at least 1.
        seed: equal seeds give equal intervals.
        quantile: quantile of the pinball loss.

    Returns:
        The difference a - b, None when the rows do not define the figure for both models.

    Raises:
        KeyError: the figure is not one that is known for such predictions.
    """
    measures: list[Measure] = []
    values: list[float] = []
    rng = np.random.default_rng(seed)
    bundle = _bundles(len(y), rng)
    for scores in (a, b):
        measure = Measure(y, scores, weight, only=[figure], quantile=quantile, bundle=bundle)
        if not measure.names:
            raise KeyError(figure)
        value = figures(y, scores, weight, only=[figure], quantile=quantile)
        if not value:
            return None
        measures.append(measure)
        values.append(value[figure])
    ones = np.ones((1, measures[0].units))
    point = float(measures[0](ones)[figure][0] - measures[1](ones)[figure][0])
    first, second = _resample(measures, resamples, rng)
    ends = _ends(first[figure] - second[figure])
    if ends is None:
        return None
    difference = values[0] - values[1]
    shift = difference - point
    return Difference(difference, ends[0] + shift, ends[1] + shift, values[0], values[1])


def estimate_means(
    columns: Mapping[str, Array], weight: Array | None = None, *, resamples: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """Return the weighted mean of each column with its interval, from the same resamples of the rows.

    Args:
        columns: name to values, each of shape (rows,), at least one row.
        weight: shape (rows,), None for equal weights.
        resamples: number of resamples; 0 gives no intervals.
        seed: equal seeds give equal intervals.
    """
    means = _Means(columns, weight)
    exact = means(np.ones((1, means.units)))
    if resamples <= 0:
        return {name: Estimate(float(values[0])) for name, values in exact.items()}
    rng = np.random.default_rng(seed)
    drawn = _resample([_Means(columns, weight, _bundles(means.units, rng))], resamples, rng)[0]
    return {name: Estimate(float(exact[name][0]), *(_ends(drawn[name]) or (None, None))) for name in columns}


class _Resampled(Protocol):
    """Numbers that are functions of resampling counts."""

    units: int

    def __call__(self, counts: Array) -> Mapping[str, Array]: ...


class _Means:
    """Weighted means of columns; see `mlframe.stats.measures.Measure` for units, bundles and counts."""

    def __init__(self, columns: Mapping[str, Array], weight: Array | None, bundle: Array | None = None) -> None:
        self.names = tuple(columns)
        parts = np.stack([np.ones(len(next(iter(columns.values())))), *columns.values()], axis=1)
        weighted = parts if weight is None else parts * weight[:, None]
        self.units = len(parts) if bundle is None else int(bundle.max()) + 1
        if bundle is not None:
            weighted = np.stack([np.bincount(bundle, part, self.units) for part in weighted.T], axis=1)
        self._sums = weighted

    def __call__(self, counts: Array) -> dict[str, Array]:
        sums = np.asarray(counts, dtype=np.float64) @ self._sums
        with np.errstate(divide="ignore", invalid="ignore"):
            return {name: sums[:, at] / sums[:, 0] for at, name in enumerate(self.names, 1)}


def _bundles(rows: int, rng: np.random.Generator) -> Array | None:
    return rng.permutation(rows) % BUNDLES if rows > BUNDLED else None


def _resample(measures: Sequence[_Resampled], resamples: int, rng: np.random.Generator) -> list[dict[str, Array]]:
    """Return each measure's figures, shape (resamples,), for the same resamples."""
    units = measures[0].units
    block = max(1, CELLS // units)
    parts: list[list[Mapping[str, Array]]] = [[] for _ in measures]
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        draws = rng.integers(0, units, size=(size, units)) + np.arange(size)[:, None] * units
        counts = np.bincount(draws.ravel(), minlength=size * units).reshape(size, units)
        for part, measure in zip(parts, measures, strict=True):
            part.append(measure(counts))
    return [{name: np.concatenate([block[name] for block in part]) for name in part[0]} for part in parts]


def _ends(values: Array) -> tuple[float, float] | None:
    """Return the interval's ends, None when fewer than half of the resamples could be judged."""
    usable = values[np.isfinite(values)]
    if len(usable) * 2 < len(values):
        return None
    tail = (1 - CONFIDENCE) / 2 * 100
    low, high = np.percentile(usable, [tail, 100 - tail])
    return float(low), float(high)
