"""Figures as functions of resampling counts, so that a thousand resamples cost a few matrix products.

A figure of weighted rows is a function of the rows' weights alone once truth and predictions are fixed. `Measure` fixes
them: it is called with counts of shape (resamples, units) and answers every figure for every resample. A unit is a row,
or a bundle of rows (see `mlframe.stats.bootstrap`). Values equal scikit-learn's with `sample_weight`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["CLASSIFICATION", "REGRESSION", "Measure", "Scores", "figures"]

Floats = npt.NDArray[np.float64]
Array = npt.NDArray[Any]

RANKING = ("roc_auc", "average_precision")
PROBABILITY = ("log_loss", "brier")
DECISION = ("accuracy", "f1", "precision", "recall", "mcc")
CLASSIFICATION = RANKING + PROBABILITY + DECISION
"""Figures of binary and multiclass predictions."""
REGRESSION = ("rmse", "mae", "r2", "mape", "pinball")
"""Figures of predicted values."""

BINS = 1000
"""Bins of the scores' ranks in which bundles of rows are counted."""


@dataclass(frozen=True)
class Scores:
    """What a pipeline said.

    Args:
        predicted: codes 0..K-1 (intp) or values (float64), shape (rows,).
        proba: probabilities, shape (rows, classes), None for regression.
    """

    predicted: Array
    proba: Array | None = None


class Measure:
    """Figures of fixed predictions for any resampling counts.

    Args:
        y: codes 0..K-1 or values, shape (rows,).
        scores: predictions of the same rows; without `proba` they are values of a regression.
        weight: shape (rows,), not negative; None gives every row the weight 1.
        only: names of the figures that are wanted, None for all.
        quantile: quantile of the pinball loss.
        bundle: number of the bundle that each row belongs to, shape (rows,), 0..max; None makes each row its own unit.
            With bundles, ranking figures are computed on `BINS` bins of the ranks.
    """

    def __init__(
        self,
        y: Array,
        scores: Scores,
        weight: Array | None = None,
        *,
        only: Collection[str] | None = None,
        quantile: float = 0.5,
        bundle: Array | None = None,
    ) -> None:
        self.y = y
        self.weight = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64)
        self.bundle = bundle
        self.units = len(y) if bundle is None else int(bundle.max()) + 1
        self.classes = 0 if scores.proba is None else scores.proba.shape[1]
        known = CLASSIFICATION if self.classes else REGRESSION
        self.names = tuple(name for name in known if only is None or name in only)
        if scores.proba is None:
            self._sums = self._units(_losses(y, scores.predicted, quantile))
            # A relative error has no meaning where the truth is zero.
            self._mape = not bool(np.any((y == 0) & (self.weight > 0)))
            return
        proba = np.asarray(scores.proba, dtype=np.float64)
        if self._wants(PROBABILITY):
            self._sums = self._units(_scoring(y, proba))
        if self._wants(DECISION):
            self._cells = y * self.classes + scores.predicted
            self._counts = None if bundle is None else self._table(self._cells, self.classes**2)
        if self._wants(RANKING):
            positives = [1] if self.classes == 2 else range(self.classes)
            self._ranks = [self._ranking(y == k, proba[:, k]) for k in positives]

    def __call__(self, counts: Array) -> dict[str, Floats]:
        """Return name to values, shape (resamples,); NaN where a figure cannot be computed.

        Args:
            counts: how often each unit was drawn, shape (resamples, units).
        """
        counts = np.ascontiguousarray(counts, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            values = self._classification(counts) if self.classes else self._regression(counts)
        return {name: values[name] for name in self.names}

    def _wants(self, names: tuple[str, ...]) -> bool:
        return any(name in self.names for name in names)

    def _units(self, columns: Floats) -> Floats:
        """Weight the rows' contributions and add them up by unit: shape (units, columns)."""
        weighted = columns * self.weight[:, None]
        if self.bundle is None:
            return weighted
        return np.stack([np.bincount(self.bundle, column, self.units) for column in weighted.T], axis=1)

    def _table(self, cells: Array, size: int) -> Floats:
        """Add the rows' weights up by unit and cell: shape (units, size)."""
        assert self.bundle is not None
        flat: Floats = np.bincount(self.bundle * size + cells, self.weight, self.units * size).astype(np.float64)
        return flat.reshape(self.units, size)

    def _ranking(self, positive: Array, score: Array) -> tuple[Array, ...]:
        order = np.argsort(-score, kind="stable")
        ranked = score[order]
        starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
        if self.bundle is None:
            weight = self.weight[order]
            return order, starts, positive[order] * weight, ~positive[order] * weight
        # Rows of one score stay in one bin: a bin is a share of the ranks, named by its first rank.
        group = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(score)]))
        cells = np.empty(len(score), dtype=np.intp)
        cells[order] = starts[group] * BINS // len(score)
        table = self._table(cells * 2 + positive, 2 * BINS)
        return np.ascontiguousarray(table[:, 1::2]), np.ascontiguousarray(table[:, 0::2])

    def _ranked(self, counts: Floats, rank: tuple[Array, ...]) -> tuple[Floats, Floats]:
        """Return area under the ROC curve and average precision of one class against the rest."""
        if len(rank) == 2:
            hits, misses = counts @ rank[0], counts @ rank[1]
        else:
            order, starts, positive, negative = rank
            drawn = np.take(counts, order, axis=1)
            hits, misses = drawn * positive, drawn * negative
            if len(starts) < len(order):
                hits, misses = np.add.reduceat(hits, starts, axis=1), np.add.reduceat(misses, starts, axis=1)
        found, wrong = np.cumsum(hits, axis=1), np.cumsum(misses, axis=1)
        total, rest = found[:, -1].copy(), wrong[:, -1].copy()
        # Negatives ranked below each positive count whole, tied ones half.
        below = rest[:, None] - wrong + misses / 2
        auc = np.einsum("ij,ij->i", hits, below) / (total * rest)
        seen = found + wrong
        precision = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
        average = np.einsum("ij,ij->i", hits, precision) / total
        average[rest == 0] = np.nan
        return auc, average

    def _classification(self, counts: Floats) -> dict[str, Floats]:
        values: dict[str, Floats] = {}
        if self._wants(RANKING):
            pairs = np.array([self._ranked(counts, rank) for rank in self._ranks])  # (classes, 2, resamples)
            present = np.isfinite(pairs)
            macro = np.where(present, pairs, 0).sum(axis=0) / present.sum(axis=0)
            values.update(roc_auc=macro[0], average_precision=macro[1])
        if self._wants(PROBABILITY):
            sums = counts @ self._sums
            values.update(log_loss=sums[:, 1] / sums[:, 0], brier=sums[:, 2] / sums[:, 0])
        if self._wants(DECISION):
            size = self.classes**2
            if self._counts is None:
                rows = counts * self.weight
                flat: Floats = np.stack([np.bincount(self._cells, row, size) for row in rows]).astype(np.float64)
            else:
                flat = counts @ self._counts
            values.update(_decisions(flat.reshape(len(counts), self.classes, self.classes)))
        return values

    def _regression(self, counts: Floats) -> dict[str, Floats]:
        total, square, absolute, relative, pinball, first, second = (counts @ self._sums).T
        spread = second - first**2 / total
        # What rounding leaves of a constant target is no spread.
        r2 = np.where(spread > 1e-12 * second, 1 - square / spread, np.nan)
        mape = relative / total if self._mape else np.full(len(total), np.nan)
        return {
            "rmse": np.sqrt(square / total),
            "mae": absolute / total,
            "r2": r2,
            "mape": mape,
            "pinball": pinball / total,
        }


def figures(
    y: Array,
    scores: Scores,
    weight: Array | None = None,
    *,
    only: Collection[str] | None = None,
    quantile: float = 0.5,
) -> dict[str, float]:
    """Return every figure that can be computed, without intervals.

    Args:
        y: codes 0..K-1 or values, shape (rows,).
        scores: predictions of the same rows.
        weight: shape (rows,), None for equal weights.
        only: names of the figures that are wanted, None for all.
        quantile: quantile of the pinball loss.
    """
    if len(y) == 0:
        return {}
    values = Measure(y, scores, weight, only=only, quantile=quantile)(np.ones((1, len(y))))
    return {name: float(value[0]) for name, value in values.items() if np.isfinite(value[0])}


def _scoring(y: Array, proba: Floats) -> Floats:
    """Return columns one, log loss, Brier score for each row.

    The Brier score of two classes is the squared error of the positive one's probability, of more classes the sum over
    the classes, as in scikit-learn.
    """
    rows = np.arange(len(y))
    tiny = np.finfo(np.float64).eps
    chosen = np.clip(proba[rows, y] / proba.sum(axis=1), tiny, 1 - tiny)
    squares: Floats = (proba**2).sum(axis=1) - 2 * proba[rows, y] + 1
    brier = ((y == 1) - proba[:, 1]) ** 2 if proba.shape[1] == 2 else squares
    return np.stack([np.ones(len(y)), -np.log(chosen), brier], axis=1)


def _losses(y: Array, predicted: Array, quantile: float) -> Floats:
    """Return columns one, squared, absolute, relative and pinball loss, centred y, its square."""
    error = y - predicted
    centred = y - y.mean() if len(y) else y
    relative = np.abs(error) / np.maximum(np.abs(y), np.finfo(np.float64).eps)
    pinball = np.maximum(quantile * error, (quantile - 1) * error)
    return np.stack([np.ones(len(y)), error**2, np.abs(error), relative, pinball, centred, centred**2], axis=1)


def _decisions(matrix: Floats) -> dict[str, Floats]:
    """Return figures of confusion matrices, shape (resamples, classes, classes): truth by prediction.

    With two classes precision, recall and F1 are those of the positive one; with more they are the plain mean over the
    classes that occur (macro). A class that is never predicted has precision 0. The Matthews coefficient is Gorodkin's
    (2004), 0 when every row gets one class.
    """
    right = np.einsum("bkk->bk", matrix)
    truth, said = matrix.sum(axis=2), matrix.sum(axis=1)
    total = truth.sum(axis=1)
    precision = np.divide(right, said, out=np.zeros_like(right), where=said > 0)
    recall = np.divide(right, truth, out=np.zeros_like(right), where=truth > 0)
    f1 = np.divide(2 * right, said + truth, out=np.zeros_like(right), where=said + truth > 0)
    if matrix.shape[1] == 2:
        known = truth[:, 1] > 0
        chosen = [np.where(known, part[:, 1], np.nan) for part in (precision, recall, f1)]
    else:
        occurs = said + truth > 0
        chosen = [np.where(occurs, part, 0).sum(axis=1) / occurs.sum(axis=1) for part in (precision, recall, f1)]
    agree = right.sum(axis=1)
    top = agree * total - (truth * said).sum(axis=1)
    spread_said, spread_truth = total**2 - (said**2).sum(axis=1), total**2 - (truth**2).sum(axis=1)
    bottom = np.sqrt(spread_said * spread_truth)
    mcc = np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)
    mcc[spread_truth <= 0] = np.nan
    return {"accuracy": agree / total, "precision": chosen[0], "recall": chosen[1], "f1": chosen[2], "mcc": mcc}
