"""Which windows are due for a look: new ones, those that got rows or labels since, those whose labels are complete now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlframe.operating.arrivals import Arrivals
from mlframe.operating.windows import Span, places

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Due", "Labels", "due_windows", "new_labels"]

SLACK = timedelta(seconds=60)
"""Feedback may reach the log so much later than its time says: it waits to be written, and clocks differ."""


@dataclass(frozen=True)
class Due:
    """A window that is due.

    Args:
        span: the window.
        version: the version that answered in it.
        why: why it is due, in words.
    """

    span: Span
    version: str
    why: str


@dataclass(frozen=True)
class Labels:
    """Feedback that has come since a moment.

    Args:
        newest: begin of a window to the time of its newest feedback.
        rows: rows that were told of.
        unknown: those of them that the log does not know.
    """

    newest: Mapping[datetime, datetime]
    rows: int = 0
    unknown: int = 0


def due_windows(
    spans: Sequence[Span],
    recorded: Mapping[tuple[str, datetime, datetime], Mapping[str, Any]],
    labels: Labels,
    *,
    now: datetime,
    maturity: timedelta,
    again: bool = False,
) -> list[Due]:
    """Return the windows that are due, the oldest first.

    Args:
        spans: all windows.
        recorded: version, since and until to the row of `store.windows`.
        labels: what `new_labels` gave.
        now: the moment at which one looks.
        maturity: how long labels take to come.
        again: whether windows that were looked at are due all the same.
    """
    found = []
    for span in spans:
        for version, rows in span.rows.items():
            row = recorded.get((version, span.since, span.until))
            why = "asked for" if again else _why(span, row, rows, labels, now, maturity)
            if why is not None:
                found.append(Due(span, version, "new" if row is None else why))
    return found


def _why(
    span: Span, row: Mapping[str, Any] | None, rows: int, labels: Labels, now: datetime, maturity: timedelta
) -> str | None:
    if row is None:
        return "new"
    record = row["record"]
    newest = labels.newest.get(span.since)
    if record.get("partial"):
        return "it goes on"
    if row["rows"] != rows:
        return "late rows"
    if newest is not None and newest >= datetime.fromisoformat(record["now"]) - SLACK:
        return "new labels"
    if not record.get("mature") and now >= span.until + maturity:
        return "labels are due"
    return None


def new_labels(arrivals: Arrivals, spans: Sequence[Span], since: datetime | None, now: datetime) -> Labels:
    """Return which windows feedback has come for.

    Args:
        arrivals: predictions and feedback.
        spans: all windows.
        since: first moment of feedback that counts, None for all.
        now: later feedback is left out.
    """
    import polars as pl

    told = (
        arrivals.feedback(since, now + timedelta(microseconds=1))
        .group_by("request_id", "row")
        .agg(pl.col("time").max())
    )
    rows = told.select(pl.len()).collect(engine="streaming").item()
    if not rows or not spans:
        return Labels({}, int(rows), 0)
    edges = [(span.since, span.until) for span in spans]
    window = pl.col("asked").to_physical().map_batches(lambda times: places(times, edges), return_dtype=pl.Int64)
    schema = told.collect_schema()
    asked = arrivals.predictions().select(
        "request_id",
        pl.col("row").cast(schema["row"]),
        pl.col("time").alias("asked"),
        (pl.col("role") != "shadow").alias("seen"),
    )
    found: pl.DataFrame = (
        told.join(asked.filter("seen"), on=["request_id", "row"], how="inner")
        .group_by(window.alias("window"))
        .agg(pl.col("time").max(), pl.struct("request_id", "row").hash().n_unique().alias("rows"))
        .collect(engine="streaming")
    )
    newest = {spans[place].since: time for place, time in found.select("window", "time").rows() if place >= 0}
    return Labels(newest, int(rows), max(0, int(rows) - int(found["rows"].sum())))
