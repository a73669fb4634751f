"""Go, more data, or no-go: what the measurements say together, with the reasons in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Effect", "Evidence", "judge", "smallest_effect"]

Z = 1.959964
POWER = 0.841621
"""Quantile for 80 % power."""


@dataclass(frozen=True)
class Effect:
    """What a holdout of a given size can show.

    Args:
        rows: rows of the holdout.
        half_width: half of the 95 % interval that the metric will have there.
        detectable: how far the metric must lie beyond a target so that four of five holdouts show it.
    """

    rows: int
    half_width: float
    detectable: float


def smallest_effect(half_widths: Sequence[float], judged: Sequence[int], rows: int) -> Effect | None:
    """Scale the folds' half-widths to the holdout: they shrink with the root of the rows.

    Args:
        half_widths: of each fold's interval.
        judged: rows that each was measured on.
        rows: rows of the holdout.
    """
    if not half_widths or rows == 0:
        return None
    unit = sum(half * math.sqrt(count) for half, count in zip(half_widths, judged, strict=True)) / len(half_widths)
    half = unit / math.sqrt(rows)
    return Effect(rows, half, half * (Z + POWER) / Z)


@dataclass(frozen=True)
class Evidence:
    """What was measured; None where it was not.

    Args:
        metric: the figure that decides.
        better: higher or lower.
        scores: name of each simple way to (value, low, high).
        trivial: names of those that learn nothing.
        target: what `goal.targets` wants of the metric.
        baseline: `goal.baseline`, when it is a number.
        needed: rows that the learning curve asks for to reach the target; None when it never does.
        rows: rows that a model learns from today.
        farthest: the curve's value at the farthest number of rows, as (rows, value).
        effect: what the holdout can show.
        leaks: texts of leaks that nobody has accepted.
        gain: money gained by the best simple way over doing without, (value, low, high), for 1,000 rows.
        currency: of that money.
    """

    metric: str
    better: str
    scores: Mapping[str, tuple[float, float | None, float | None]]
    trivial: Sequence[str] = ()
    target: float | None = None
    baseline: float | None = None
    needed: int | None = None
    rows: int = 0
    farthest: tuple[float, float] | None = None
    effect: Effect | None = None
    leaks: Sequence[str] = ()
    gain: tuple[float, float | None, float | None] | None = None
    currency: str = ""


def judge(seen: Evidence) -> dict[str, Any]:
    """Return the verdict: `word` (go, more data, no-go) and `reasons`, the deciding one first."""
    stops: list[str] = []
    waits: list[str] = []
    goes: list[str] = []
    if seen.leaks:
        stops.append(f"the figures cannot be believed: {'; '.join(seen.leaks)}")
    sign = 1.0 if seen.better == "higher" else -1.0
    best = max(seen.scores, key=lambda name: sign * seen.scores[name][0], default=None)
    if best is not None:
        value, low, high = seen.scores[best]
        _compare_trivial(seen, best, sign, stops, goes)
        if seen.baseline is not None:
            _compare_baseline(seen, best, value, sign, stops, waits, goes)
        if seen.target is not None:
            _compare_target(seen, best, value, sign, stops, waits, goes)
        if seen.effect is not None and low is not None and high is not None:
            _compare_effect(seen, value, waits)
    if seen.gain is not None:
        gain, low, high = seen.gain
        amount = f"{gain:,.0f}" if abs(gain) >= 100 else f"{gain:,.2f}"
        text = f"decisions by {best} gain {amount} {seen.currency} for 1,000 rows over doing without a model"
        if gain > 0:
            goes.append(text if low is None or low > 0 else f"{text}, within chance")
        else:
            (stops if high is not None and high <= 0 else waits).append(f"{text}, which is no gain")
    word = "no-go" if stops else "more data" if waits else "go"
    reasons = [*stops, *waits, *goes] or ["nothing was measured that speaks for or against it"]
    return {"word": word, "reasons": reasons}


def _compare_trivial(seen: Evidence, best: str, sign: float, stops: list[str], goes: list[str]) -> None:
    """Ask whether anything that learns beats everything that does not."""
    known = [name for name in seen.trivial if name in seen.scores]
    learned = [name for name in seen.scores if name not in known]
    if not known or not learned:
        return
    rival = max(known, key=lambda name: sign * seen.scores[name][0])
    first = max(learned, key=lambda name: sign * seen.scores[name][0])
    a, b = seen.scores[first], seen.scores[rival]
    worst = a[1] if sign > 0 else a[2]
    text = f"{first} ({seen.metric} {a[0]:.4g}) against {rival} ({b[0]:.4g}), which learns nothing"
    if sign * (a[0] - b[0]) <= 0:
        stops.append(f"nothing learned is better: {text}")
    elif worst is not None and sign * (worst - b[0]) <= 0:
        goes.append(f"something can be learned, within chance: {text}")
    else:
        goes.append(f"something can be learned: {text}")


def _compare_baseline(
    seen: Evidence, best: str, value: float, sign: float, stops: list[str], waits: list[str], goes: list[str]
) -> None:
    assert seen.baseline is not None
    text = f"{best} reaches {seen.metric} {value:.4g}, today it is {seen.baseline:g}"
    if sign * (value - seen.baseline) > 0:
        goes.append(text)
    elif seen.farthest is not None and sign * (seen.farthest[1] - seen.baseline) <= 0:
        stops.append(
            f"{text}; by the learning curve even {seen.farthest[0]:,.0f} rows give only {seen.farthest[1]:.4g}"
        )
    else:
        waits.append(text)


def _compare_target(
    seen: Evidence, best: str, value: float, sign: float, stops: list[str], waits: list[str], goes: list[str]
) -> None:
    assert seen.target is not None
    word = "at least" if sign > 0 else "at most"
    wanted = f"the target is {word} {seen.target:g}"
    if sign * (value - seen.target) >= 0:
        goes.append(f"{best} reaches {seen.metric} {value:.4g} already; {wanted}")
    elif seen.needed is not None:
        waits.append(
            f"{best} reaches {seen.metric} {value:.4g}, {wanted}; by its learning curve that takes about "
            f"{seen.needed:,} rows, {seen.needed / max(seen.rows, 1):.1f} times as many as now"
        )
    elif seen.farthest is not None:
        rows, reached = seen.farthest
        stops.append(
            f"{best} reaches {seen.metric} {value:.4g}, {wanted}; by its learning curve even {rows:,.0f} rows give only "
            f"{reached:.4g}: other columns or a better model are needed, not more rows"
        )
    else:
        waits.append(f"{best} reaches {seen.metric} {value:.4g}; {wanted}")


def _compare_effect(seen: Evidence, value: float, waits: list[str]) -> None:
    """Ask whether the holdout is large enough to tell the best from the worst that is simple."""
    assert seen.effect is not None
    known = [seen.scores[name][0] for name in seen.trivial if name in seen.scores]
    room = max((abs(value - other) for other in known), default=None)
    if room is not None and 0 < room < seen.effect.detectable:
        waits.append(
            f"{seen.effect.rows:,} holdout rows show differences of {seen.effect.detectable:.2g} or more, and the best lies "
            f"only {room:.2g} from what learns nothing"
        )
