"""Compares the sketch of a column now with the reference's: how far it has moved, and whether chance alone does that.

Whether a column has moved is told by an effect that does not grow with the number of rows: the Jensen-Shannon distance of its
values in about ten groups with even shares, missing values a group of their own, less what chance gives. A shift of a normal
column by half a standard deviation is about 0.2, by a quarter 0.1. The p-value says only whether it can be chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mlframe.stats.drift import chi_squared, jensen_shannon, smirnov_p, stability_index
from mlframe.stats.sketches import Names, Numbers, Presence, Sketch
from mlframe.stats.texts import Texts

__all__ = ["Movement", "groups", "movement"]

Array = npt.NDArray[Any]

SHARES = 10
"""Groups of a column of numbers between the reference's extremes, where it has the rows."""
LEAST_ROWS = 50
"""Rows of the reference that a group has at least."""
SHOWN_NAMES = 50
RARE = 0.005
"""Names with a smaller share of the reference are compared together."""
EXPECTED = 5.0
"""Least expected count of a group for which the chi-squared test holds."""
TOLD_ERROR = 0.1
"""Quantiles whose rank may be wrong by more are not told."""


@dataclass(frozen=True)
class Movement:
    """How far a column has moved.

    Args:
        effect: Jensen-Shannon distance of the groups (base 2, 0 to 1), less what chance gives.
        p: p-value of the same population, of all tests that fit the kind together.
        stability: population stability index of the groups.
        jensen_shannon: the distance as it is, chance included.
        chi_squared: Pearson's statistic of the groups.
        chi_squared_p: its p-value.
        missing: share of missing values now.
        missed: share in the reference.
        kolmogorov_smirnov: numbers: largest distance of the distribution functions, at the least.
        kolmogorov_smirnov_high: the most that it can be.
        kolmogorov_smirnov_p: its p-value.
        wasserstein: numbers: mean distance by which values moved, in their unit.
        wasserstein_error: most by which that can be wrong.
        unseen: names: share of rows with a name that the reference has never seen; None where it cannot tell.
        told: what words are made of: quantiles, means, names; plain JSON values.
    """

    effect: float
    p: float
    stability: float
    jensen_shannon: float
    chi_squared: float
    chi_squared_p: float
    missing: float
    missed: float
    kolmogorov_smirnov: float | None = None
    kolmogorov_smirnov_high: float | None = None
    kolmogorov_smirnov_p: float | None = None
    wasserstein: float | None = None
    wasserstein_error: float | None = None
    unseen: float | None = None
    told: Mapping[str, Any] = field(default_factory=dict)


def movement(before: Sketch, now: Sketch) -> Movement:
    """Compare two sketches of a column.

    Args:
        before: of the reference.
        now: of later rows, made like it.

    Raises:
        ValueError: they are not on one grid.
    """
    if isinstance(before, Texts) and isinstance(now, Texts):
        return _texts(before, now)
    if isinstance(before, Numbers) and isinstance(now, Numbers):
        return _numbers(before, now)
    if isinstance(before, Names) and isinstance(now, Names):
        return _names(before, now)
    if isinstance(before, Presence) and isinstance(now, Presence):
        return _of_groups(before, now)
    raise ValueError(f"a sketch of {type(before).__name__} is not compared with one of {type(now).__name__}")


def groups(before: Sketch, now: Sketch) -> tuple[Array, Array]:
    """Return the counts of both in the same groups, missing values last.

    Raises:
        ValueError: they are not on one grid.
    """
    if isinstance(before, Texts) and isinstance(now, Texts):
        return groups(before.length, now.length)
    if isinstance(before, Numbers) and isinstance(now, Numbers):
        if not np.array_equal(before.grid, now.grid):
            raise ValueError("sketches of two grids are not compared")
        ends = np.cumsum(before.counts)
        total = int(ends[-1])
        middle = (ends - before.counts / 2) / max(1, total)
        # Groups are cut by the reference: of few rows, their ends are too uncertain for the chi-squared test.
        shares = min(SHARES, max(2, total // LEAST_ROWS))
        place = 1 + np.minimum((middle * shares).astype(np.intp), shares - 1)
        place[0], place[-1] = 0, SHARES + 1  # beyond all that the reference has seen
        counts = [np.bincount(place, weights=part.counts, minlength=SHARES + 2) for part in (before, now)]
        # Nothing of the reference lies beyond its own extremes, but a further row would: as often as one of its rows
        # lies beyond all the others.
        for group, cell in ((0, 1), (SHARES + 1, -2)):
            if len(before.grid) > 1 and before.counts[cell] == 1:
                counts[0][group] += 1
                counts[0][place[cell]] -= 1
    elif isinstance(before, Names) and isinstance(now, Names):
        if before.names != now.names:
            raise ValueError("sketches that list other names are not compared")
        common = (before.counts >= RARE * max(1, before.known)) & (np.arange(len(before.counts)) < SHOWN_NAMES)
        counts = []
        for part in (before, now):
            rare, unseen = int(part.counts[~common].sum()), part.other
            if part is before and not before.other:
                # No name of the reference is unseen to it, but a further row's would be: as often as one of its rows
                # has a name that no other has (Good 1953).
                unseen = int((before.counts == 1)[~common].sum())
                rare -= unseen
            # Where the reference lists not all its names, others are as good as rare.
            tail = [rare + unseen] if before.other else [rare, unseen]
            counts.append(np.concatenate([part.counts[common], tail]).astype(np.float64))
    elif isinstance(before, Presence) and isinstance(now, Presence):
        counts = [np.array([part.rows - part.missing], dtype=np.float64) for part in (before, now)]
    else:
        raise ValueError(f"a sketch of {type(before).__name__} is not compared with one of {type(now).__name__}")
    first, second = (np.append(part, given.missing) for part, given in zip(counts, (before, now), strict=True))
    return first, second


def _of_groups(before: Sketch, now: Sketch, p: float | None = None, **more: Any) -> Movement:
    """Compare the groups; `p` is another test's, of which the better counts, at the price of two."""
    first, second = groups(before, now)
    ends_joined = _joined(first, second) if isinstance(before, Numbers) else (first, second)
    tested = chi_squared(*ends_joined, least=EXPECTED)
    return Movement(
        effect=jensen_shannon(first, second, corrected=True),
        p=tested.p if p is None else min(1.0, 2 * min(p, tested.p)),
        stability=stability_index(first, second),
        jensen_shannon=jensen_shannon(first, second),
        chi_squared=tested.statistic,
        chi_squared_p=tested.p,
        missing=now.missing / max(1, now.rows),
        missed=before.missing / max(1, before.rows),
        **more,
    )


def _joined(first: Array, second: Array) -> tuple[Array, Array]:
    """Join the groups beyond the reference's extremes with their neighbours, where they are too small for a test.

    How much lies beyond an extreme varies more than counts of a group that was fixed beforehand.
    """
    pair = np.stack([first, second])
    share = pair.sum(axis=1).min() / max(1.0, float(pair.sum()))
    for end, inner in ((0, range(1, SHARES + 1)), (SHARES + 1, range(SHARES, 0, -1))):
        if pair[:, end].sum() * share < EXPECTED:
            neighbour = next((k for k in inner if pair[:, k].any()), None)
            if neighbour is not None:
                pair[:, neighbour] += pair[:, end]
                pair[:, end] = 0
    return pair[0], pair[1]


def _numbers(before: Numbers, now: Numbers) -> Movement:
    told: dict[str, Any] = {}
    for name, part in (("before", before), ("now", now)):
        told[name] = {"mean": part.mean, "deviation": part.deviation, "low": part.low, "high": part.high}
        # Where many values lie beyond the grid, or in one of its gaps, nobody knows where in there.
        known = part.error <= TOLD_ERROR
        told[name] |= {f"q{round(100 * share)}": part.quantile(share) if known else None for share in (0.05, 0.5, 0.95)}
    if not before.known or not now.known:
        return _of_groups(before, now, told=told)
    below, under = (np.cumsum(part.counts) / part.known for part in (before, now))
    apart = np.abs(below - under)[:-1]
    least = float(apart.max(initial=0.0))
    p = smirnov_p(least, before.known, now.known)
    # Between two values of the grid each function lies between its ends, so the distance cannot pass these.
    starts = [np.concatenate([[0.0], part[1:-1:2]]) for part in (below, under)]
    ends = [part[::2] for part in (below, under)]
    most = float(np.maximum(ends[0] - starts[1], ends[1] - starts[0]).max())
    moved, error = _wasserstein(before, now, below, under)
    return _of_groups(
        before,
        now,
        p,
        kolmogorov_smirnov=least,
        kolmogorov_smirnov_high=max(least, most),
        kolmogorov_smirnov_p=p,
        wasserstein=moved,
        wasserstein_error=error,
        told=told,
    )


def _wasserstein(before: Numbers, now: Numbers, below: Array, under: Array) -> tuple[float | None, float | None]:
    """Return the area between the distribution functions, straight between two values, and its largest error."""
    lows = [value for value in (before.low, now.low) if value is not None]
    highs = [value for value in (before.high, now.high) if value is not None]
    if before.infinite or now.infinite or not lows or not highs:
        return None, None
    points = np.concatenate([[min(lows)], before.grid, [max(highs)]])
    with np.errstate(over="ignore", invalid="ignore"):
        widths = np.maximum(0.0, np.diff(points))
        start = (np.concatenate([[0.0], below[1:-1:2]])) - (np.concatenate([[0.0], under[1:-1:2]]))
        end = below[::2] - under[::2]
        both = np.abs(start) + np.abs(end)
        crossing = np.where(both > 0, (start**2 + end**2) / np.where(both > 0, both, 1.0), 0.0)
        area = widths * np.where(start * end >= 0, both, crossing) / 2
        error = widths * (before.counts[::2] / before.known + now.counts[::2] / now.known) / 2
        found = float(area.sum()), float(error.sum())
    return found if np.isfinite(found).all() else (None, None)


def _names(before: Names, now: Names) -> Movement:
    shares = [part.counts / max(1, part.known) for part in (before, now)]
    change = shares[1] - shares[0]
    order = np.argsort(-np.abs(change), kind="stable")[:5]
    told = {
        "changed": [
            {"name": before.names[k], "before": float(shares[0][k]), "now": float(shares[1][k])}
            for k in order
            if change[k]
        ],
        "new": {name: rows / now.known for name, rows in now.new.items()} if now.known else {},
    }
    unseen = None if before.other else now.other / max(1, now.known)
    return _of_groups(before, now, unseen=unseen, told=told)


def _texts(before: Texts, now: Texts) -> Movement:
    """Compare lengths, and each bucket of words; the larger effect counts, and the better test at the price of two."""
    length = _numbers(before.length, now.length)
    told: dict[str, Any] = {"length": length.told, "length_effect": length.effect, "words_effect": 0.0}
    effect, p = length.effect, length.p
    if before.read and now.read:
        told["words_effect"], words_p = _words(before, now)
        effect, p = max(effect, told["words_effect"]), min(1.0, 2 * min(p, words_p))
    return Movement(**{**length.__dict__, "effect": effect, "p": p, "told": told})


def _words(before: Texts, now: Texts) -> tuple[float, float]:
    """Return the distance that a bucket of words has moved most, less what chance gives the most of so many; and a p-value.

    Each bucket is tested by Fisher's exact test, which holds for few texts and rare words, and pays for all of them.
    """
    from scipy.stats import hypergeom

    held = before.words + now.words
    used = (held > 0) & (held < before.read + now.read)
    if not used.any():
        return 0.0, 1.0
    ours, held = now.words[used], held[used]
    total = before.read + now.read
    ends = hypergeom.cdf(ours, total, held, now.read), hypergeom.sf(ours - 1, total, held, now.read)
    chances = np.minimum(1.0, 2 * np.minimum(*ends))
    surest = np.argsort(chances, kind="stable")[:5]
    apart = max(
        jensen_shannon(np.array([before.read - a, a]), np.array([now.read - b, b]))
        for a, b in zip(before.words[used][surest], ours[surest], strict=True)
    )
    count = int(used.sum())
    chance = 2 * np.log(max(2, count)) * (1 / before.read + 1 / now.read) / (8 * np.log(2))
    return float(np.sqrt(max(0.0, apart**2 - chance))), min(1.0, count * float(chances.min()))
