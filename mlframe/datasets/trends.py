"""Generated visits to a shop whose changes are known: what a page about updates shows can be held against the truth."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

__all__ = ["CHANGES", "DAYS", "FIRST", "shopping_trends"]

FIRST, DAYS = datetime(2025, 1, 1), 430
CHANGES = ("visitors", "competitor", "taste", "gifts", "gifts_again")
"""What can change. Of these `visitors` moves columns only: what makes a visitor buy stays what it was."""
WEIGHTS = {
    "start": (-2.4, 2.4, 0.0),
    "competitor": (0.6, 0.6, 3.0),
    "taste": (-0.6, -2.0, 2.4),
    "gifts": (2.6, 1.6, -0.6),
}
"""What price, discount and rating count for (price and discount in standard deviations)."""


def shopping_trends(
    changes: Mapping[str, Mapping[str, date | str | None]], seed: int = 0, daily: int = 50
) -> pl.DataFrame:
    """Return visits in the order of their times: who buys?

    Args:
        changes: name (one of `CHANGES`) to `since` and `until`, days as dates or ISO text. One that has an `until` grows
            from the one to the other (`taste`) or ends there (`gifts`, `gifts_again`); the others stay.
        seed: of everything that is drawn.
        daily: visits a day.

    Returns:
        Columns visited, price, discount, rating, age, device and bought, `DAYS` times `daily` rows.
    """
    rng = np.random.default_rng(seed)
    rows = DAYS * daily
    day = np.repeat(np.arange(DAYS), daily)
    seconds = np.sort(rng.integers(8 * 3600, 22 * 3600, (DAYS, daily)), axis=1).ravel()
    price, discount, rating, wish = rng.normal(size=(4, rows))
    share = {
        name: _share(changes.get(name), day, ramp=name == "taste", ends=name.startswith("gifts")) for name in CHANGES
    }
    age = np.clip(rng.normal(38 + 14 * share["visitors"], 9, rows), 16, 90).round()
    phone = rng.random(rows) < 0.3 + 0.5 * share["visitors"]
    drawn = rng.random(rows)
    weights = np.tile(WEIGHTS["start"], (rows, 1))
    for name in ("competitor", "taste", "gifts", "gifts_again"):  # of a gradual change each visitor follows old or new
        weights[drawn < share[name]] = WEIGHTS["gifts" if name.startswith("gifts") else name]
    score = (weights * np.column_stack([price, discount, rating])).sum(axis=1) + 1.2 * wish
    return pl.DataFrame(
        {
            "visited": [FIRST + timedelta(days=int(a), seconds=int(b)) for a, b in zip(day, seconds, strict=True)],
            "price": np.exp(3.4 + 0.5 * price).round(2),
            "discount": (15 + 6 * discount).round(1),
            "rating": (3.5 + 0.6 * rating).round(1),
            "age": age.astype(np.int64),
            "device": np.where(phone, "phone", "computer"),
            "bought": np.where(score > 0, "yes", "no"),
        }
    )


def _share(change: Mapping[str, date | str | None] | None, day: np.ndarray, *, ramp: bool, ends: bool) -> np.ndarray:
    """Return how far a change has come on each day, 0 to 1."""
    if change is None:
        return np.zeros(len(day))
    since, until = (None if change.get(key) is None else _day(change[key]) for key in ("since", "until"))
    assert since is not None
    if ramp and until is not None:
        return np.clip((day - since) / max(1, until - since), 0.0, 1.0)
    return ((day >= since) & (day < (until if ends and until is not None else DAYS))).astype(np.float64)


def _day(value: date | str | None) -> int:
    return (datetime.fromisoformat(str(value)) - FIRST).days
