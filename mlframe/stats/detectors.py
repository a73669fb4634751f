"""Detectors of change in a stream of numbers, in their own order; what they keep is a few plain numbers.

ADWIN keeps buckets and looks at all cuts of its window; DDM and Page-Hinkley keep sums, so that a whole array is one pass of
numpy. Each can be told where it stands (`record`) and go on from there (`from_record`): windows of a monitor are one stream.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from mlframe.stats.adwin import Adwin

__all__ = ["Ddm", "PageHinkley", "StreamAdwin"]

Array = npt.NDArray[Any]


class StreamAdwin(Adwin):
    """`mlframe.stats.adwin.Adwin` over whole arrays; see there for its source and arguments."""

    def changes(self, values: Array) -> list[tuple[int, float, float]]:
        """Go on with more values.

        Args:
            values: in order, within 0..1, shape (values,).

        Returns:
            For each change: place in `values` from which the window counts now (negative: before them), mean of what
            was dropped last, mean of what is left.
        """
        found: list[tuple[int, float, float]] = []
        for place, value in enumerate(np.asarray(values, dtype=np.float64).tolist(), 1):
            if self.update(value):
                found.append((place - self.width, self.mean if self.before is None else self.before, self.mean))
        return found

    def record(self) -> dict[str, Any]:
        """Return plain values for `from_record`."""
        rows = [[list(part) for part in row] for row in self.rows]
        return {"delta": self.delta, "every": self.every, "rows": rows, "seen": self.seen}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Go on where a record stands."""
        made = cls(record["delta"], record["every"])
        made.rows = [[(float(total), float(spread)) for total, spread in row] for row in record["rows"]]
        made.seen = record["seen"]
        return made


@dataclass
class Ddm:
    """Tells when the error rate of a stream is above the best it has been by three standard deviations.

    Source: J. Gama, P. Medas, G. Castillo and P. Rodrigues (2004), Learning with drift detection,
    https://doi.org/10.1007/978-3-540-28645-5_29 . The paper's rule looks again after each value, so a long stream without
    change sets it off sooner or later; it is a witness of when, not a judge.

    Args:
        least: values before it judges.
        level: standard deviations of an alarm.
        count: values since the last alarm.
        errors: errors among them.
        best: least sum of rate and standard deviation, and the rate and deviation there; None at the start.
    """

    least: int = 30
    level: float = 3.0
    count: int = 0
    errors: float = 0.0
    best: list[float] | None = None

    def update(self, wrong: Array) -> list[int]:
        """Go on with more values; return the places at which there was an alarm (it begins anew there).

        Args:
            wrong: whether each answer is wrong, shape (values,).
        """
        found: list[int] = []
        at = 0
        values = np.asarray(wrong, dtype=np.float64)
        while at < len(values):
            part = values[at:]
            count = self.count + np.arange(1, len(part) + 1)
            errors = self.errors + np.cumsum(part)
            rate = errors / count
            deviation = np.sqrt(rate * (1 - rate) / count)
            # A rate of 0 has no deviation and would be the best for ever.
            sums = np.where((count >= self.least) & (errors > 0), rate + deviation, np.inf)
            start = math.inf if self.best is None else self.best[0]
            least = np.minimum.accumulate(np.minimum(sums, start))
            new = sums <= least
            place = np.maximum.accumulate(np.where(new & np.isfinite(sums), np.arange(len(part)), -1))
            first = self.best or [math.inf, math.inf, 0.0]
            rates = np.where(place >= 0, rate[place], first[1])
            deviations = np.where(place >= 0, deviation[place], first[2])
            over = np.isfinite(sums) & (sums > rates + self.level * deviations) & ~new
            hits = np.flatnonzero(over)
            if not len(hits):
                self.count, self.errors = int(count[-1]), float(errors[-1])
                last = int(place[-1])
                if last >= 0:
                    self.best = [float(sums[last]), float(rate[last]), float(deviation[last])]
                return found
            found.append(at + int(hits[0]))
            at += int(hits[0]) + 1
            self.count, self.errors, self.best = 0, 0.0, None
        return found

    def record(self) -> dict[str, Any]:
        """Return plain values for `from_record`."""
        return {"least": self.least, "level": self.level, "count": self.count, "errors": self.errors, "best": self.best}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Go on where a record stands."""
        return cls(**record)


@dataclass
class PageHinkley:
    """Tells when the mean of a stream has risen: a cumulative sum above its own least value.

    Source: E. S. Page (1954), Continuous inspection schemes, https://doi.org/10.1093/biomet/41.1-2.100 ; the running mean
    as in J. Gama et al. (2014), A survey on concept drift adaptation, https://doi.org/10.1145/2523813 .

    Args:
        delta: how much of a rise is let pass.
        threshold: height of the sum that is an alarm.
        least: values before it judges.
        count: values since the last alarm.
        total: their sum.
        height: the cumulative sum.
        lowest: the least that it has been.
    """

    delta: float = 0.005
    threshold: float = 50.0
    least: int = 30
    count: int = 0
    total: float = 0.0
    height: float = 0.0
    lowest: float = 0.0

    def update(self, values: Array) -> list[int]:
        """Go on with more values; return the places at which there was an alarm (it begins anew there).

        Args:
            values: shape (values,).
        """
        found: list[int] = []
        at = 0
        given = np.asarray(values, dtype=np.float64)
        while at < len(given):
            part = given[at:]
            count = self.count + np.arange(1, len(part) + 1)
            total = self.total + np.cumsum(part)
            height = self.height + np.cumsum(part - total / count - self.delta)
            lowest = np.minimum(np.minimum.accumulate(height), self.lowest)
            hits = np.flatnonzero((count >= self.least) & (height - lowest > self.threshold))
            if not len(hits):
                self.count, self.total = int(count[-1]), float(total[-1])
                self.height, self.lowest = float(height[-1]), float(lowest[-1])
                return found
            found.append(at + int(hits[0]))
            at += int(hits[0]) + 1
            self.count, self.total, self.height, self.lowest = 0, 0.0, 0.0, 0.0
        return found

    def record(self) -> dict[str, Any]:
        """Return plain values for `from_record`."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Go on where a record stands."""
        return cls(**record)
