"""Labels that look wrong: confident learning on out-of-sample probabilities.

Source: C. Northcutt, L. Jiang and I. Chuang (2021), Confident Learning: Estimating Uncertainty in Dataset Labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Suspects", "label_suspects"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Suspects:
    """What looks wrong.

    Args:
        rows: positions of the suspects, the surest first, shape (suspects,).
        likely: code of the class that each more likely is, shape (suspects,).
        thresholds: average probability of each class among the rows that bear its label, shape (classes,).
        share: estimated share of wrong labels.
        low: lower end of its 95 % interval (rows drawn anew, thresholds kept).
        high: upper end.
        by_class: estimated share of wrong labels among the rows of each label, shape (classes,).
    """

    rows: Array
    likely: Array
    thresholds: Array
    share: float
    low: float
    high: float
    by_class: Array


def label_suspects(y: Array, proba: Array, weight: Array, *, resamples: int = 1000, seed: int = 0) -> Suspects | None:
    """Find rows that are more confidently another class than rows of that class are on average.

    A row counts as class j when its probability of j reaches the average that rows labelled j get (of several, the
    likeliest). Rows that count as another class than their label are suspects; their share, corrected for rows that
    count as nothing, estimates the share of wrong labels. Where classes overlap, rows that are merely hard look wrong
    too, so the share is an upper bound there.

    Args:
        y: given labels as codes 0..K-1, shape (rows,).
        proba: probabilities from models that did not learn from the row, shape (rows, K).
        weight: shape (rows,).
        resamples: draws for the interval.
        seed: equal seeds give equal intervals.

    Returns:
        None when fewer than two classes have rows with weight.
    """
    classes = proba.shape[1]
    total = np.bincount(y, weight, classes)
    if (total > 0).sum() < 2:
        return None
    own = proba[np.arange(len(y)), y]
    sums = np.bincount(y, weight * own, classes)
    thresholds = np.divide(sums, total, out=np.full(classes, np.inf), where=total > 0)
    sure = np.where(proba >= thresholds, proba, -1.0)
    counts = sure.max(axis=1) >= 0
    likely = np.where(counts, sure.argmax(axis=1), -1)
    suspect = np.flatnonzero(counts & (likely != y))
    doubt = proba[suspect, likely[suspect]] - own[suspect]
    suspect = suspect[np.argsort(-doubt, kind="stable")]
    # Cells of label and class that the row counts as; the last column counts as nothing.
    cells = y * (classes + 1) + np.where(likely < 0, classes, likely)
    joint = np.bincount(cells, weight, classes * (classes + 1)).reshape(classes, classes + 1)
    rng = np.random.default_rng(seed)
    effective = weight.sum() ** 2 / (weight**2).sum()
    drawn = rng.multinomial(round(effective), joint.ravel() / joint.sum(), size=resamples)
    shares = [_share(draw.reshape(joint.shape).astype(np.float64))[0] for draw in drawn]
    share, by_class = _share(joint)
    low, high = np.quantile(shares, [0.025, 0.975]) if resamples else (share, share)
    return Suspects(
        suspect, likely[suspect], thresholds, share, min(share, float(low)), max(share, float(high)), by_class
    )


def _share(joint: Array) -> tuple[float, Array]:
    """Return the share of the weight off the diagonal, and by label; rows that count as nothing are like the others."""
    sure, total = joint[:, :-1], joint.sum(axis=1)
    seen = sure.sum(axis=1)
    wrong = np.divide(seen - np.diag(sure), seen, out=np.zeros(len(seen)), where=seen > 0)
    return float((wrong * total).sum() / total.sum()), wrong
