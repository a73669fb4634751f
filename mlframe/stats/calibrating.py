"""Calibrated probabilities and decision thresholds, as numbers that JSON can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["best_threshold", "calibrate", "fit_calibration"]

Floats = npt.NDArray[np.float64]
Array = npt.NDArray[Any]

LEAST_SLOPE = 1e-3
"""A calibration never turns the ranking around."""


def fit_calibration(method: str, proba: Array, y: Array, weight: Array | None = None) -> dict[str, Any]:
    """Learn how probabilities of rows that a model did not learn from become calibrated ones.

    In two classes the positive one is calibrated, in more each class against the rest (Zadrozny and Elkan 2002).

    Args:
        method: `sigmoid`: a logistic curve of the log-odds (Platt 1999, with his smoothed targets); `isotonic`: the best
            rising step function, joined by lines (pool adjacent violators, Ayer et al. 1955).
        proba: shape (rows, classes).
        y: codes 0..K-1, shape (rows,).
        weight: shape (rows,), None for equal ones.

    Returns:
        Plain values for `calibrate`: `method`, and in `parts` slope and intercept, or the knots, of each class.
    """
    scale = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64)
    fit = {"sigmoid": _sigmoid, "isotonic": _isotonic}[method]
    codes = [1] if proba.shape[1] == 2 else range(proba.shape[1])
    return {"method": method, "parts": [fit(proba[:, k], y == k, scale) for k in codes]}


def calibrate(proba: Array, calibration: Mapping[str, Any]) -> Floats:
    """Return calibrated probabilities, shape (rows, classes), float64; each row adds up to 1.

    Args:
        proba: shape (rows, classes).
        calibration: what `fit_calibration` gave.
    """
    apply = {"sigmoid": _apply_sigmoid, "isotonic": _apply_isotonic}[calibration["method"]]
    parts = calibration["parts"]
    if len(parts) == 1:
        positive = apply(proba[:, 1], parts[0])
        return np.stack([1.0 - positive, positive], axis=1)
    each = np.stack([apply(proba[:, k], part) for k, part in enumerate(parts)], axis=1)
    total = each.sum(axis=1, keepdims=True)
    return np.where(total > 0, each / np.where(total > 0, total, 1.0), 1.0 / len(parts))


def best_threshold(
    positive: Array, truth: Array, weight: Array | None = None, value: Mapping[str, float] | None = None
) -> float:
    """Return the probability from which the positive class is worth predicting.

    Args:
        positive: probability of the positive class, shape (rows,).
        truth: whether each row is positive, shape (rows,).
        weight: shape (rows,), None for equal ones.
        value: worth of one true or false positive or negative (`tp`, `fp`, `tn`, `fn`; absent ones are 0); None
            maximises F1.

    Returns:
        The middle between two neighbouring probabilities, or 0 (all rows) or 1.0000001 (none).
    """
    scale = np.ones(len(truth)) if weight is None else np.asarray(weight, dtype=np.float64)
    order = np.argsort(-positive, kind="stable")
    scores, hits = positive[order], np.where(truth, scale, 0.0)[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)  # rows of one probability go together
    tp = np.concatenate([[0.0], np.cumsum(hits)[last]])
    called = np.concatenate([[0.0], np.cumsum(scale[order])[last]])
    fp, fn = called - tp, hits.sum() - tp
    if value is None:
        worth = 2 * tp / np.maximum(2 * tp + fp + fn, np.finfo(float).tiny)
    else:
        tn = scale.sum() - called - fn
        counts = {"tp": tp, "fp": fp, "tn": tn, "fn": fn}
        worth = sum((float(value.get(name, 0.0)) * count for name, count in counts.items()), np.zeros(len(tp)))
    best = int(np.argmax(worth))
    edges = scores[last]
    if best == 0:
        return 1.0000001
    return 0.0 if best == len(edges) else float((edges[best - 1] + edges[best]) / 2)


def _log_odds(p: Array) -> Floats:
    # The floors keep 0 and 1 finite and leave every other number that a float can hold distinct.
    return np.asarray(np.log(np.maximum(p, 1e-300)) - np.log(np.maximum(1.0 - p, 1e-17)))


def _expit(score: Array) -> Floats:
    raised = np.exp(-np.abs(score))
    return np.where(score >= 0, 1.0 / (1.0 + raised), raised / (1.0 + raised))


def _sigmoid(p: Array, truth: Array, weight: Floats) -> list[float]:
    """Fit slope and intercept by Newton's method with step halving (Lin, Lin and Weng 2007)."""
    score = np.clip(_log_odds(p), -36.0, 36.0)
    positives, negatives = float(weight[truth].sum()), float(weight[~truth].sum())
    target = np.where(truth, (positives + 1.0) / (positives + 2.0), 1.0 / (negatives + 2.0))

    def loss(slope: float, constant: float) -> float:
        z = slope * score + constant
        return float((weight * (np.logaddexp(0.0, z) - target * z)).sum())

    slope, constant = 1.0, 0.0
    for _ in range(100):
        q = _expit(slope * score + constant)
        rest, curve = weight * (target - q), weight * q * (1.0 - q)
        gradient = np.array([float((rest * score).sum()), float(rest.sum())])
        cross = float((curve * score).sum())
        hessian = np.array([[float((curve * score**2).sum()), cross], [cross, float(curve.sum())]]) + 1e-10 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        before, share = loss(slope, constant), 1.0
        while loss(slope + share * step[0], constant + share * step[1]) > before and share > 1e-10:
            share /= 2
        slope, constant = slope + share * float(step[0]), constant + share * float(step[1])
        if float(np.abs(share * step).max()) < 1e-9:
            break
    if slope < LEAST_SLOPE:  # the ranking is worth nothing: the base rate remains
        share = float((weight * target).sum() / weight.sum())
        slope, constant = LEAST_SLOPE, float(np.log(share) - np.log1p(-share))
    return [float(slope), float(constant)]


def _apply_sigmoid(p: Array, part: Any) -> Floats:
    return _expit(part[0] * _log_odds(p) + part[1])


def _isotonic(p: Array, truth: Array, weight: Floats) -> list[list[float]]:
    """Fit the rising step function; only the ends of its steps are kept."""
    from scipy.optimize import isotonic_regression

    places, group = np.unique(p, return_inverse=True)
    mass = np.bincount(group, weights=weight)
    known = mass > 0
    share = np.bincount(group, weights=weight * truth)[known] / mass[known]
    places = places[known]
    level = isotonic_regression(share, weights=mass[known]).x
    ends = np.ones(len(level), dtype=bool)
    ends[1:-1] = (level[1:-1] != level[:-2]) | (level[1:-1] != level[2:])
    return [[float(value) for value in places[ends]], [float(value) for value in level[ends]]]


def _apply_isotonic(p: Array, part: Any) -> Floats:
    return np.asarray(np.interp(p, part[0], part[1]))
