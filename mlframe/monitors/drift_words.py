"""What is said of a column that has moved: the numbers, the likely cause, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlframe.stats import Movement

__all__ = ["action_of", "cause_of", "evidence_of", "text_of"]

FACTORS: Mapping[str, float] = {
    "1,000": 1000.0,
    "100": 100.0,
    "10": 10.0,
    "60": 60.0,
    "3,600": 3600.0,
    "24": 24.0,
    "7": 7.0,
    "12": 12.0,
    "2.2": 2.20462,
    "3.28": 3.28084,
    "1.61": 1.60934,
    "2.54": 2.54,
    "1,024": 1024.0,
    "1,000,000": 1e6,
}
"""Factors between units that are easily mistaken for each other."""
NEAR = {"mean": 0.1, "deviation": 0.15}
"""How near both must come to such a multiple of what they were."""
FILLED = "Values arrive that were missing: a source was added or mended, or a default is filled in."


def text_of(name: str, kind: str, moved: Movement) -> str:
    """Return one sentence with the numbers."""
    return f"{name} has moved by {moved.effect:.2f} (Jensen-Shannon, 0 to 1): {_what(kind, moved)}"


def evidence_of(moved: Movement, q: float, rows: int, reference_rows: int) -> dict[str, Any]:
    """Return the numbers as plain JSON values, rounded; what the kind does not have is left out."""
    numbers = {
        "effect": moved.effect,
        "q": q,
        "p": moved.p,
        "psi": moved.stability,
        "jensen_shannon": moved.jensen_shannon,
        "kolmogorov_smirnov": moved.kolmogorov_smirnov,
        "wasserstein": moved.wasserstein,
        "chi_squared": moved.chi_squared,
        "unseen": moved.unseen,
        "missing": moved.missing,
        "missing_before": moved.missed,
    }
    found: dict[str, Any] = {key: float(f"{value:.4g}") for key, value in numbers.items() if value is not None}
    return {**found, "rows": rows, "reference_rows": reference_rows, **{k: v for k, v in moved.told.items() if v}}


def cause_of(kind: str, moved: Movement) -> str:
    """Return the likely cause, in one sentence."""
    gone = moved.missing - moved.missed
    if gone >= 0.05:
        return "Values no longer arrive that did: a source, a join or a form has changed."
    if kind == "datetime":
        return "Dates lie where none can: a clock, a time zone or the way dates are read has changed."
    if (moved.unseen or 0.0) >= 0.02:
        names = list(moved.told.get("new") or {})
        return (
            f"New names, the commonest {names[0]!r}: a new category, or another spelling of an old one."
            if names
            else "New names."
        )
    before, now = moved.told.get("before"), moved.told.get("now")
    if (
        isinstance(before, Mapping)
        and isinstance(now, Mapping)
        and before["low"] is not None
        and now["low"] is not None
    ):
        return _cause_of_numbers(before, now, gone)
    if gone <= -0.05:
        return FILLED
    if kind == "text" and moved.told.get("words_effect", 0.0) > moved.told.get("length_effect", 0.0):
        return "Other words are used: another topic, language or sender, or texts that are prepared otherwise."
    if kind == "text":
        return "Texts are of another length: they are cut, put together or written otherwise."
    return "The mix of what is asked about has changed: other customers, channels or seasons, or a source is missing."


def action_of(name: str, cause: str) -> str:
    """Return what to do, in one sentence."""
    if "source" in cause or "unit" in cause or "clock" in cause or "spelling" in cause:
        return f"Ask who delivers {name} what has changed and have it mended; if it is meant to be so, train again with rows that have it."
    return f"Look whether the model is still right where {name} has moved; if the change stays, train again with recent rows."


def _what(kind: str, moved: Movement) -> str:
    parts = []
    before, now = moved.told.get("before"), moved.told.get("now")
    if abs(moved.missing - moved.missed) >= 0.02:
        parts.append(f"{moved.missing:.1%} missing, {moved.missed:.1%} before")
    if (
        isinstance(before, Mapping)
        and isinstance(now, Mapping)
        and now["low"] is not None
        and before["low"] is not None
    ):
        parts.append(f"mean {now['mean']:.4g}, {before['mean']:.4g} before")
        if now["q50"] is not None and before["q50"] is not None:
            parts.append(f"median {now['q50']:.4g}, {before['q50']:.4g} before")
    if (moved.unseen or 0.0) >= 0.001:
        new = ", ".join(f"{name!r} {share:.1%}" for name, share in list(moved.told["new"].items())[:3])
        parts.append(f"{moved.unseen:.1%} of the names were never seen" + (f" ({new})" if new else ""))
    changed = moved.told.get("changed") or []
    if changed:
        shown = [f"{item['name']!r} {item['now']:.1%}, {item['before']:.1%} before" for item in changed[:2]]
        parts.append("; ".join(shown))
    if kind == "text":
        length = moved.told.get("length") or {}
        if length and length["now"]["q50"] is not None and length["before"]["q50"] is not None:
            parts.append(f"median length {length['now']['q50']:.0f}, {length['before']['q50']:.0f} before")
        parts.append(
            f"words {moved.told.get('words_effect', 0.0):.2f}, lengths {moved.told.get('length_effect', 0.0):.2f}"
        )
    return "; ".join(parts) or f"{moved.missing:.1%} missing, {moved.missed:.1%} before"


def _cause_of_numbers(before: Mapping[str, Any], now: Mapping[str, Any], gone: float) -> str:
    if now["low"] == now["high"] and before["low"] != before["high"]:
        return f"Only one value arrives, {now['low']:g}: a default, or a source that stands still."
    for words, factor in FACTORS.items():
        for times in (factor, 1 / factor):
            pairs = [(before[part] * times, now[part], near) for part, near in NEAR.items()]
            if all(a and abs(b / a - 1) <= near for a, b, near in pairs):
                size = "large" if times > 1 else "small"
                return f"Values are about {words} times as {size} throughout: the unit has changed, or a source's."
    if gone <= -0.05:
        return FILLED
    deviation = before["deviation"]
    if deviation > 0:
        moved = (now["mean"] - before["mean"]) / deviation
        if abs(moved) >= 0.15:
            way = "higher" if moved > 0 else "lower"
            return f"Values are {way} by {abs(moved):.1f} standard deviations on average: what is measured, or how, has changed."
        ratio = now["deviation"] / deviation
        if ratio > 1.25 or ratio < 0.8:
            return f"Values are {'wider' if ratio > 1 else 'narrower'} spread than before ({ratio:.1f} times): other rows are asked about, or they are cut off."
    return "The mix of values has changed while their mean has not: other rows are asked about, or they are prepared otherwise."
