"""ADWIN: tells when the mean of a stream of numbers between 0 and 1 has changed, and forgets what came before."""

from __future__ import annotations

import math

__all__ = ["Adwin"]

BUCKETS = 5
LEAST = 5
"""Values on either side of a cut."""


class Adwin:
    """A window that grows while the mean stays and drops its oldest part when two parts of it differ beyond chance.

    Source: A. Bifet and R. Gavaldà (2007), Learning from time-changing data with adaptive windowing, https://doi.org/10.1137/1.9781611972771.42 ,
    with the exponential histogram and the bound by the variance (their section 3.2).

    Args:
        delta: probability of a false alarm at a check, by the bound; it holds for values that do not depend on one another.
        every: values between two checks.
    """

    def __init__(self, delta: float = 0.002, every: int = 32) -> None:
        self.delta, self.every = delta, every
        # rows[i]: buckets of 2**i values each, the oldest first: sum and sum of squared deviations from the bucket's mean.
        self.rows: list[list[tuple[float, float]]] = [[]]
        self.seen = 0
        self.before: float | None = None
        """Mean of what was dropped at the latest alarm."""

    @property
    def width(self) -> int:
        """Number of values in the window."""
        return sum(len(row) << size for size, row in enumerate(self.rows))

    @property
    def mean(self) -> float:
        """Mean of the window."""
        return sum(total for row in self.rows for total, _ in row) / max(1, self.width)

    def update(self, value: float) -> bool:
        """Add a value; True when the mean has changed."""
        self._add(value)
        self.seen += 1
        if self.seen % self.every or self.width < 2 * LEAST:
            return False
        changed = False
        while self._cut():
            changed = True
        return changed

    def _add(self, value: float) -> None:
        self.rows[0].append((value, 0.0))
        for size, row in enumerate(self.rows):
            if len(row) <= BUCKETS:
                return
            (first, one), (second, two) = row[:2]
            del row[:2]
            count = 1 << size
            merged = (first + second, one + two + (first - second) ** 2 / (2 * count))
            if size + 1 == len(self.rows):
                self.rows.append([])
            self.rows[size + 1].append(merged)

    def _cut(self) -> bool:
        """Drop the oldest bucket when some cut of the window shows two means."""
        buckets = [(1 << size, *bucket) for size in range(len(self.rows) - 1, -1, -1) for bucket in self.rows[size]]
        count = sum(bucket[0] for bucket in buckets)
        total = sum(bucket[1] for bucket in buckets)
        mean = total / count
        spread = sum(part + n * (s / n - mean) ** 2 for n, s, part in buckets) / count
        odds = math.log(2 * math.log(count) / self.delta)
        older, summed = 0, 0.0
        for n, s, _ in buckets[:-1]:
            older, summed = older + n, summed + s
            newer = count - older
            if older < LEAST or newer < LEAST:
                continue
            harmonic = 1 / (1 / older + 1 / newer)
            bound = math.sqrt(2 / harmonic * spread * odds) + 2 / (3 * harmonic) * odds
            if abs(summed / older - (total - summed) / newer) > bound:
                self.before = summed / older
                largest = next(size for size in range(len(self.rows) - 1, -1, -1) if self.rows[size])
                self.rows[largest].pop(0)
                return True
        return False
