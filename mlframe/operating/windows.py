"""Cuts what was predicted into windows of time or of rows, and tells which of them are due for a look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mlframe.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["MOST", "Span", "cut", "micros_of", "moment_of", "places", "window_text"]

MOST = 5000
"""Windows that one look may have; more of them are a mistake in the window's length."""

MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
"""Windows of time are counted from here, so that days begin at midnight and weeks on Mondays (UTC)."""

MICRO = timedelta(microseconds=1)


@dataclass(frozen=True)
class Span:
    """A stretch of time and what the champion answered in it.

    Args:
        since: first moment that counts (UTC).
        until: first moment that no longer counts.
        rows: version to predictions that it made as the champion; in the order in which they began.
        others: predictions in other roles.
        last: time of the newest prediction.
    """

    since: datetime
    until: datetime
    rows: Mapping[str, int] = field(default_factory=dict)
    others: int = 0
    last: datetime | None = None


def window_text(window: timedelta | int) -> str:
    """Return a window as records name it: windows of another length are other windows."""
    return f"{window} rows" if isinstance(window, int) else f"{window.total_seconds():.0f}s"


def cut(
    predictions: pl.LazyFrame,
    window: timedelta | int,
    *,
    now: datetime,
    closed: bool = False,
    before: Sequence[tuple[datetime, datetime]] = (),
) -> tuple[list[Span], int]:
    """Cut predictions into windows, the oldest first; those in which nobody was answered are left out.

    Args:
        predictions: time, version and role; nothing is held but a row for each window and version, or, for windows of
            rows, the times.
        window: length of time, or number of the champion's predictions. Windows of rows end with the request that
            fills them: one moment is never cut.
        now: later windows are left out.
        closed: whether no more rows will come, so that the last window of rows counts though it is not full.
        before: windows of rows that were cut earlier; they stay as they are.

    Returns:
        The windows, and how many predictions have times after the present.

    Raises:
        ConfigError: these would be too many windows.
    """
    import polars as pl

    future = pl.col("time") > now
    if isinstance(window, int):
        edges = _by_rows(predictions, window, now, closed, before)
        late = int(predictions.select(future.sum()).collect(engine="streaming").item() or 0)
        if not edges:
            return [], late
        index = pl.col("time").to_physical().map_batches(lambda times: places(times, edges), return_dtype=pl.Int64)
    else:
        step = round(window.total_seconds() * 1e6)
        origin = round(MONDAY.timestamp() * 1e6)
        index, edges, late = (pl.col("time").to_physical() - origin) // step, None, 0
    found = (
        predictions.select("time", "version", "role")
        .group_by(index.alias("window"), "version", "role")
        .agg(
            pl.len().alias("rows"),
            pl.col("time").min().alias("first"),
            pl.col("time").max().alias("last"),
            future.sum().alias("late"),
        )
        .collect(engine="streaming")
        .sort("window", "first")
    )
    if edges is None:
        late = int(found["late"].sum() or 0)
    _refuse_too_many(found["window"].n_unique(), window)
    spans = []
    for (number,), group in found.group_by("window", maintain_order=True):
        place_of = int(str(number))
        if edges is None:
            since = MONDAY + place_of * window  # type: ignore[operator]
            until = since + window  # type: ignore[operator]
        elif 0 <= place_of < len(edges):
            since, until = edges[place_of]
        else:
            continue
        if since > now:
            continue
        own = group.filter(pl.col("role") == "champion")
        rows = dict(zip(own["version"].to_list(), own["rows"].to_list(), strict=True))
        others = int(group["rows"].sum()) - int(own["rows"].sum())
        spans.append(Span(since, until, rows, others, group["last"].max()))  # type: ignore[arg-type]
    return spans, late


def _by_rows(
    predictions: pl.LazyFrame,
    count: int,
    now: datetime,
    closed: bool,
    before: Sequence[tuple[datetime, datetime]],
) -> list[tuple[datetime, datetime]]:
    import numpy as np
    import polars as pl

    edges = sorted(before)
    wanted = (pl.col("role") == "champion") & (pl.col("time") <= now)
    if edges:
        wanted &= pl.col("time") >= edges[-1][1]
    times = predictions.filter(wanted).select(pl.col("time").to_physical()).collect(engine="streaming").to_series()
    ordered = np.sort(times.to_numpy())
    _refuse_too_many(len(ordered) // count, count)
    at, begin = 0, (edges[-1][1] if edges else None)
    while at < len(ordered):
        full = at + count <= len(ordered)
        if not full and not closed:
            break
        last = int(ordered[min(at + count, len(ordered)) - 1])
        since, until = begin or moment_of(int(ordered[at])), moment_of(last) + MICRO
        edges.append((since, until))
        at, begin = int(np.searchsorted(ordered, last, side="right")), until
    return edges


def places(times: pl.Series, edges: Sequence[tuple[datetime, datetime]]) -> pl.Series:
    """Return the window of each time, -1 for none."""
    import numpy as np
    import polars as pl

    starts, ends = (np.array([micros_of(edge[side]) for edge in edges]) for side in (0, 1))
    values = times.to_numpy()
    place = np.searchsorted(starts, values, side="right") - 1
    inside = (place >= 0) & (values < ends[place])
    return pl.Series(times.name, np.where(inside, place, -1), dtype=pl.Int64)


def _refuse_too_many(count: int, window: timedelta | int) -> None:
    if count > MOST:
        raise ConfigError(
            f"These are {count:,} windows, more than {MOST:,}",
            value=window_text(window),
            where="monitor.window",
            hint="give longer windows, or a later monitor.since",
        )


def micros_of(moment: datetime) -> int:
    """Return the microseconds since 1970 (UTC)."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // MICRO


def moment_of(micros: int) -> datetime:
    """Return the moment (UTC) so many microseconds after 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
