"""Points of curves and tables that explain a classifier; weighted, thinned so that a picture stays small."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["calibration_bins", "confusion", "precision_recall_points", "roc_points", "threshold_rows"]

Array = npt.NDArray[Any]

POINTS = 200


def roc_points(positive: Array, score: Array, weight: Array) -> tuple[Array, Array]:
    """Return false and true positive rates from (0, 0) to (1, 1).

    Args:
        positive: truth, bool, shape (rows,); both values must occur.
        score: the higher the more likely positive, shape (rows,).
        weight: shape (rows,).

    Returns:
        Two arrays of one length, at most about `POINTS`.
    """
    hits, misses, _ = _cumulative(positive, score, weight)
    return _thin(np.r_[0, misses / misses[-1]], np.r_[0, hits / hits[-1]])


def precision_recall_points(positive: Array, score: Array, weight: Array) -> tuple[Array, Array]:
    """Return recall and precision, recall rising; arguments as in `roc_points`."""
    hits, misses, _ = _cumulative(positive, score, weight)
    seen = hits + misses
    precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
    return _thin(np.r_[0, hits / hits[-1]], np.r_[precision[0], precision])


def calibration_bins(positive: Array, score: Array, weight: Array, bins: int = 10) -> dict[str, Array]:
    """Return what was said and what happened, by bins with equal numbers of rows.

    Returns:
        `said` (mean probability), `seen` (share of positives), `rows`, and `low` and `high`, the 95 % Wilson interval
        of `seen`; each of shape (bins,).
    """
    edges = np.unique(np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1]))
    codes = np.searchsorted(edges, score, side="right")
    size = len(edges) + 1
    total = np.bincount(codes, weight, size)
    kept = total > 0
    rows = np.bincount(codes, minlength=size)[kept]
    total = total[kept]
    said = np.bincount(codes, weight * score, size)[kept] / total
    seen = np.bincount(codes, weight * positive, size)[kept] / total
    z = 1.959964
    centre = (seen + z**2 / (2 * rows)) / (1 + z**2 / rows)
    half = z * np.sqrt(seen * (1 - seen) / rows + z**2 / (4 * rows**2)) / (1 + z**2 / rows)
    return {"said": said, "seen": seen, "rows": rows, "low": centre - half, "high": centre + half}


def threshold_rows(positive: Array, score: Array, weight: Array, thresholds: Array) -> dict[str, Array]:
    """Return what happens when rows from each threshold up are called positive.

    Returns:
        `threshold`, `precision` (NaN when nothing is called positive), `recall`, `f1`, `flagged` (share of all rows);
        each of shape (thresholds,).
    """
    hits, misses, ranked = _cumulative(positive, score, weight)
    hits, misses = np.r_[0, hits], np.r_[0, misses]
    at = np.searchsorted(-ranked, -thresholds, side="right")
    found, wrong = hits[at], misses[at]
    called = found + wrong
    precision = np.divide(found, called, out=np.full_like(found, np.nan), where=called > 0)
    return {
        "threshold": thresholds,
        "precision": precision,
        "recall": found / hits[-1],
        "f1": 2 * found / (called + hits[-1]),
        "flagged": called / (hits[-1] + misses[-1]),
    }


def confusion(y: Array, predicted: Array, weight: Array, classes: int) -> Array:
    """Return weights by truth (rows) and prediction (columns), shape (classes, classes)."""
    cells = y * classes + predicted
    return np.bincount(cells, weight, classes**2).reshape(classes, classes)


def _cumulative(positive: Array, score: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Return weights of positives and negatives down to each distinct score, and these scores, falling."""
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    ends = np.flatnonzero(np.r_[ranked[1:] != ranked[:-1], True])
    hits = np.cumsum(np.where(positive, weight, 0.0)[order])[ends]
    misses = np.cumsum(np.where(positive, 0.0, weight)[order])[ends]
    return hits, misses, ranked[ends]


def _thin(x: Array, y: Array) -> tuple[Array, Array]:
    """Keep the ends and about `POINTS` points evenly along the curve."""
    if len(x) <= POINTS:
        return x, y
    length = np.r_[0, np.cumsum(np.hypot(np.diff(x), np.diff(y)))]
    wanted = np.linspace(0, length[-1], POINTS)
    kept = np.unique(np.r_[0, np.minimum(np.searchsorted(length, wanted), len(x) - 1), len(x) - 1])
    return x[kept], y[kept]
