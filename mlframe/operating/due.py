"""Which windows are due for a look: new ones, those that got rows or labels since, those whose labels are complete now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mlframe.operating.arrivals import Arrivals
from mlframe.operating.windows import Span, places

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

    head = ["request_id", "row"]
    latest = arrivals.feedback(since, now + timedelta(microseconds=1)).group_by(head).agg(pl.col("time").max())
    told = latest.collect(engine="streaming")
    if not len(told) or not spans:
        return Labels({}, len(told), 0)
    # What was told of is held, and the many predictions only pass by.
    asked = arrivals.predictions().filter(pl.col("role") != "shadow")
    asked = asked.select("request_id", pl.col("row").cast(told.schema["row"]), pl.col("time").alias("asked"))
    seen = asked.join(told.lazy().select(head), on=head, how="semi").collect(engine="streaming")
    edges = [(span.since, span.until) for span in spans]
    known = told.join(seen, on=head, how="inner")
    window = places(known["asked"].to_physical(), edges).alias("window")
    found = known.with_columns(window).group_by("window").agg(pl.col("time").max())
    newest = {spans[place].since: time for place, time in found.select("window", "time").rows() if place >= 0}
    return Labels(newest, len(told), len(told) - known.select(head).n_unique())
