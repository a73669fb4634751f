"""Where losses are high: every value of every column, and every pair of values, tested with false-discovery control.

A slice is a set of rows that agree in one or two coded columns. Its mean loss is compared with that of all other rows
(Welch's t). Two things keep the search honest: p-values are corrected over everything that was tried (Benjamini and
Hochberg 1995), and the intervals of what was found are widened for having been picked (Benjamini and Yekutieli 2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlframe.stats.discovery import benjamini_hochberg

__all__ = ["Codes", "Slice", "SliceSearch", "slice_search"]

Array = npt.NDArray[Any]

EXAMINED = 2_000
"""Significant slices that are looked at for saying something new; weaker ones are left."""


@dataclass(frozen=True)
class Codes:
    """One column as small codes.

    Args:
        origin: the column that it was made from; two of one origin are never paired.
        codes: 0..size-1, shape (rows,), integer.
        size: number of codes.
    """

    origin: str
    codes: Array
    size: int


@dataclass(frozen=True)
class Slice:
    """Rows whose loss is higher than that of the others.

    Args:
        parts: one or two pairs of column number and code.
        rows: how many rows.
        share: their share of the weight.
        loss: their mean loss.
        rest: mean loss of all other rows.
        low: lower end of the interval of `loss - rest`.
        high: upper end.
        p: p-value of this slice alone, two-sided.
        q: the same, corrected over everything that was tried.
    """

    parts: tuple[tuple[int, int], ...]
    rows: int
    share: float
    loss: float
    rest: float
    low: float
    high: float
    p: float
    q: float


@dataclass(frozen=True)
class SliceSearch:
    """What a search found.

    Args:
        slices: the found slices, that with the largest difference first.
        tried: how many slices were tested.
        significant: how many survived, better ones and near-duplicates among them.
    """

    slices: list[Slice]
    tried: int
    significant: int


def slice_search(
    columns: Sequence[Codes],
    loss: Array,
    weight: Array,
    *,
    least: int = 50,
    fdr: float = 0.05,
    top: int = 10,
    pairs: int = 60,
) -> SliceSearch:
    """Find the slices of one and two columns with the highest mean loss.

    Significant slices are taken from the surest down. A further one is kept when its rows are worse than the kept slices
    that cover them explain, at a level that grows with the number kept only: one true slice makes hundreds of diluted
    ones significant, and folding those away must not leave the false discoveries that came in with them.

    Args:
        columns: coded columns of the same rows.
        loss: loss of each row, shape (rows,).
        weight: weight of each row, shape (rows,), not negative.
        least: fewest rows of a slice, and of the rest.
        fdr: highest expected share of false discoveries among all that is called significant.
        top: how many slices are kept at most.
        pairs: so many columns, those whose own values differ most, are paired; pairs of others count as tried in vain.
    """
    rows = len(loss)
    if not columns or rows < 2 * least or not np.ptp(loss) > 0 or not weight.sum() > 0:
        return SliceSearch([], 0, 0)
    losses = _Losses(loss, weight)
    singles = [losses.cells(column.codes, column.size) for column in columns]
    found = [_Cells(losses.tests(sums, least), (i,), (columns[i].size,)) for i, sums in enumerate(singles)]
    apart = [float(np.max(np.abs(cells.t), initial=0.0, where=np.isfinite(cells.t))) for cells in found]
    paired = sorted(np.argsort(-np.array(apart), kind="stable")[:pairs].tolist())
    counts = [sums[0] for sums in singles]
    untried = 0
    for i, a in enumerate(columns):
        for j in range(i + 1, len(columns)):
            b = columns[j]
            if a.origin == b.origin:
                continue
            if i not in paired or j not in paired:
                untried += a.size * b.size
                continue
            sums = losses.cells(a.codes.astype(np.intp) * b.size + b.codes, a.size * b.size)
            # A pair that holds all rows of one of its values is that value again.
            smaller = np.minimum(np.repeat(counts[i], b.size), np.tile(counts[j], a.size))
            found.append(_Cells(losses.tests(sums, least, other_than=smaller), (i, j), (a.size, b.size)))
    t = np.concatenate([cells.t for cells in found])
    known = np.flatnonzero(np.isfinite(t))
    p = np.concatenate([cells.p for cells in found])[known]
    tried = len(known) + untried
    q = benjamini_hochberg(p, tried)
    rejected = int((q <= fdr).sum())
    worse = known[(q <= fdr) & (t[known] > 0)]
    if not len(worse):
        return SliceSearch([], tried, rejected)
    place = {int(k): n for n, k in enumerate(known)}
    starts = np.cumsum([0, *(len(cells.t) for cells in found)])
    # 95 % of the intervals of everything called significant hold what they are about.
    level = 0.05 * rejected / tried
    kept: list[Slice] = []
    explained = np.zeros(rows)
    for k in worse[np.argsort(-t[worse], kind="stable")][:EXAMINED].tolist():
        group = int(np.searchsorted(starts, k, side="right")) - 1
        cells = found[group]
        parts = cells.parts(k - int(starts[group]))
        inside = np.logical_and.reduce([columns[column].codes == code for column, code in parts])
        chosen = np.flatnonzero(inside)
        if kept and losses.left_over(chosen, explained) > fdr * (len(kept) + 1) / tried:
            continue
        mean, rest, low, high = cells.interval(k - int(starts[group]), level)
        n = place[k]
        share = float(losses.weight[chosen].sum() / losses.weight.sum())
        kept.append(
            Slice(parts, len(chosen), share, mean + losses.centre, rest + losses.centre, low, high, float(p[n]), float(q[n]))
        )  # fmt: skip
        explained[chosen] = np.maximum(explained[chosen], mean)
        if len(kept) == top:
            break
    kept.sort(key=lambda item: (item.rest - item.loss, item.parts))
    return SliceSearch(kept, tried, rejected)


class _Losses:
    """Losses about their mean, weighted by weights of mean 1, and the products that sums of cells need."""

    def __init__(self, loss: Array, weight: Array) -> None:
        self.weight = weight / weight.mean()
        self.centre = float(np.average(loss, weights=weight))
        self.loss = loss - self.centre
        self.equal = bool(np.all(weight == weight[0]))
        w, x = self.weight, self.loss
        self.columns = [x, x * x] if self.equal else [w, w * x, w * w, w * w * x, w * w * x * x]
        self.total = np.array([len(x), w.sum(), (w * x).sum(), (w * w).sum(), (w * w * x).sum(), (w * w * x * x).sum()])
        self.spread = float((w * x * x).sum() / w.sum())

    def cells(self, codes: Array, size: int) -> Array:
        """Return by code: rows, and sums of w, wx, w², w²x, w²x², shape (6, size)."""
        n = np.bincount(codes, minlength=size).astype(np.float64)
        sums = [np.bincount(codes, column, size) for column in self.columns]
        return np.stack([n, n, sums[0], n, sums[0], sums[1]] if self.equal else [n, *sums])

    def tests(self, sums: Array, least: int, other_than: Array | None = None) -> tuple[Array, ...]:
        """Return t, p, mean, rest's mean, standard error and degrees of freedom; NaN where a cell is too small."""
        from scipy.special import stdtr

        rest = self.total[:, None] - sums
        with np.errstate(divide="ignore", invalid="ignore"):
            mean, inside = self._mean(sums)
            other, outside = self._mean(rest)
            error = np.sqrt(inside + outside)
            t = (mean - other) / error
            freedom = np.minimum(sums[0], rest[0]) - 1
            usable = (sums[0] >= least) & (rest[0] >= least) & (error > 0)
            if other_than is not None:
                usable &= sums[0] < other_than
            t = np.where(usable, t, np.nan)
            p = 2 * stdtr(np.where(usable, freedom, 1.0), -np.abs(t))
        return t, p, mean, other, error, freedom

    def left_over(self, chosen: Array, explained: Array) -> float:
        """Return the one-sided p-value of the rows' losses being higher than what is explained."""
        from scipy.special import stdtr

        w, left = self.weight[chosen], self.loss[chosen] - explained[chosen]
        n, mean = len(chosen), float(np.average(left, weights=w))
        own = float((w**2 * (left - mean) ** 2).sum()) * n / max(n - 1, 1)
        error = np.sqrt(max(own, self.spread * float((w**2).sum()))) / w.sum()
        return float(stdtr(n - 1, -mean / error))

    def _mean(self, sums: Array) -> tuple[Array, Array]:
        """Return means and their variances.

        The larger of the cell's own and all rows' spread counts: losses are skewed, and a small slice that happens to
        lack the rare large ones would otherwise look certain.
        """
        n, w, wx, w2, w2x, w2x2 = sums
        mean = wx / w
        own = (w2x2 - 2 * mean * w2x + mean**2 * w2) / w**2 * (n / np.maximum(n - 1, 1))
        return mean, np.maximum(own, self.spread * w2 / w**2)


class _Cells:
    """Tests of all cells of one column or of one pair."""

    def __init__(self, tests: tuple[Array, ...], numbers: tuple[int, ...], sizes: tuple[int, ...]) -> None:
        self.t, self.p, self.mean, self.rest, self.error, self.freedom = tests
        self.numbers, self.sizes = numbers, sizes

    def parts(self, cell: int) -> tuple[tuple[int, int], ...]:
        if len(self.numbers) == 1:
            return ((self.numbers[0], cell),)
        a, b = divmod(cell, self.sizes[1])
        return (self.numbers[0], a), (self.numbers[1], b)

    def interval(self, cell: int, level: float) -> tuple[float, float, float, float]:
        """Return mean, the rest's mean, and the ends of the interval of their difference."""
        from scipy.special import stdtrit

        mean, rest = float(self.mean[cell]), float(self.rest[cell])
        half = float(stdtrit(self.freedom[cell], 1 - level / 2) * self.error[cell])
        return mean, rest, mean - rest - half, mean - rest + half
