"""How many labels may be wrong, judged by predictions of models that have not seen them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Noise", "doubtful_labels", "doubtful_values"]

Array = npt.NDArray[Any]

FAR = 6.0
"""Robust standard deviations from the prediction beyond which a number is doubtful."""


@dataclass(frozen=True)
class Noise:
    """How many labels are doubtful.

    Args:
        share: share of the rows.
        rows: how many.
        pairs: (given, likely, rows) by class codes, the most frequent first; empty for numbers.
    """

    share: float
    rows: int
    pairs: tuple[tuple[int, int, int], ...] = ()


def doubtful_labels(given: Array, proba: Array) -> Noise:
    """Count the rows that belong to another class with more confidence than rows of that class have on average.

    Hard rows are counted with the wrong ones, so the share is an upper estimate, the more so the weaker the model.

    Args:
        given: codes 0..K-1, shape (rows,).
        proba: out-of-fold probabilities, shape (rows, K).

    Source: C. Northcutt, L. Jiang and I. Chuang (2021), Confident learning: estimating uncertainty in dataset labels.
    """
    classes = proba.shape[1]
    limits = np.array([proba[given == k, k].mean() if (given == k).any() else np.inf for k in range(classes)])
    sure = np.where(proba >= limits, proba, -1.0)
    likely = np.where(sure.max(axis=1) >= 0, sure.argmax(axis=1), given)
    wrong = likely != given
    cells = np.bincount(given[wrong] * classes + likely[wrong], minlength=classes**2)
    order = np.argsort(-cells, kind="stable")
    pairs = tuple((int(at // classes), int(at % classes), int(cells[at])) for at in order[:5] if cells[at])
    return Noise(float(wrong.mean()) if len(given) else 0.0, int(wrong.sum()), pairs)


def doubtful_values(truth: Array, predicted: Array) -> Noise:
    """Count the numbers that lie more than six robust standard deviations from an out-of-fold prediction."""
    off = truth - predicted
    middle = float(np.median(off))
    scale = 1.4826 * float(np.median(np.abs(off - middle)))
    far = np.abs(off - middle) > FAR * scale if scale > 0 else np.zeros(len(off), dtype=np.bool_)
    return Noise(float(far.mean()) if len(off) else 0.0, int(far.sum()))
