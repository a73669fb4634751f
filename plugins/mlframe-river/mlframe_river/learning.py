"""What learning row by row needs: a scale that learns along, and steps that never go too far."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Scaler", "share_of"]

Array = npt.NDArray[Any]

FAR = 10.0
"""Standardized values beyond this are cut: one strange row must not throw the weights away."""


def share_of(rate: float, weight: float) -> float:
    """Return the share of a full step that a row of some weight makes: a weight of 2 is as good as learning it twice.

    A plain gradient step grows with the squared length of the row and with its weight, and beyond a bound each step goes
    further past the target than it was away before: with 30 features the weights explode. A step that is divided by the
    squared length and never longer than a full one cannot do that, and a rate means the same with 3 features and with 300.

    Source: J. Nagumo and A. Noda (1967), A learning method for system identification (normalized least mean squares); for weights,
    N. Karampatziakis and J. Langford (2011), Online importance weight aware updates, https://arxiv.org/abs/1011.1576 .
    """
    return -math.expm1(weight * math.log1p(-rate))


class Scaler:
    """Mean and deviation of each feature so far (Welford 1962).

    Args:
        features: how many there are.
    """

    def __init__(self, features: int) -> None:
        self.count = 0.0
        self.mean: Array = np.zeros(features)
        self.spread: Array = np.zeros(features)

    def learn(self, row: Array, weight: float) -> None:
        """Learn a row of a weight above 0; shape (features,)."""
        self.count += weight
        before = row - self.mean
        self.mean = self.mean + before * (weight / self.count)
        self.spread = self.spread + weight * before * (row - self.mean)

    @property
    def deviation(self) -> Array:
        """Standard deviations; 0 where nothing has varied yet."""
        return np.sqrt(self.spread / self.count) if self.count else np.zeros(len(self.spread))

    def scale(self, rows: Array) -> Array:
        """Return one or more rows in deviations from the mean; shape (features,) or (rows, features)."""
        deviation = self.deviation
        varied = deviation > 0
        scaled = np.where(varied, (rows - self.mean) / np.where(varied, deviation, 1.0), 0.0)
        return np.clip(scaled, -FAR, FAR)
