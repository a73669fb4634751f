"""Alarms about the watching itself: no rows, versions that are gone, labels for nobody, clocks, monitors that fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from mlframe.operating.due import Labels
from mlframe.operating.windows import Span

__all__ = ["troubles"]

HISTORY = 3
"""Windows that must be known before silence is an alarm."""

UNKNOWN_SHARE, UNKNOWN_ROWS = 0.05, 20
"""Labels for rows that the log does not know: so many of them are an alarm."""

Found = tuple[str, Mapping[str, Any]]


def troubles(
    *,
    spans: Sequence[Span],
    window: timedelta | int,
    now: datetime,
    late: int,
    labels: Labels | None,
    gone: Mapping[str, Exception],
    failed: Mapping[str, Exception],
    refused: Mapping[int, int] | None = None,
) -> dict[str, Found]:
    """Return key to severity and record, as `store.alarms.see` takes them.

    Args:
        spans: all windows of the log; empty where only a part of it was looked at.
        window: length of a window.
        now: the moment at which one looks.
        late: predictions whose times lie after it.
        labels: feedback that came since the last look.
        gone: versions that answered and cannot be opened, with the error.
        failed: monitors that failed, with the error.
        refused: status (HTTP) to requests that got no prediction since the last one that got one.
    """
    found: dict[str, Found] = {}
    if isinstance(window, timedelta):
        found |= _silence(spans, window, now, refused or {})
    if late:
        found["monitor/clock"] = (
            "warning",
            {
                "text": f"{late:,} predictions have times after now.",
                "evidence": {"rows": late},
                "cause": "the clock of a prediction server is ahead of this machine's",
                "action": "let both machines keep time by NTP; the rows are looked at when their time has come",
            },
        )
    if labels is not None and labels.unknown >= max(UNKNOWN_ROWS, UNKNOWN_SHARE * labels.rows):
        share = labels.unknown / labels.rows
        found["monitor/unknown_labels"] = (
            "warning",
            {
                "text": f"{labels.unknown:,} of {labels.rows:,} rows that feedback came for ({share:.1%}) are not in the prediction log.",
                "evidence": {"unknown": labels.unknown, "rows": labels.rows, "share": share},
                "cause": "feedback names ids that were never given, or predictions that have been expired since",
                "action": "compare the ids that are sent with the answers' request_id; keep predictions longer than labels take",
            },
        )
    for version, error in gone.items():
        found[f"monitor/version/{version}"] = (
            "problem",
            {
                "text": f"{version} has answered, and it cannot be opened: {str(error).splitlines()[0]}.",
                "evidence": {"version": version, "windows": sum(version in span.rows for span in spans)},
                "cause": "the version was removed or its files were damaged after it served",
                "action": "import it again from an export or a backup; its windows are looked at then",
                "version": version,
            },
        )
    for key, error in failed.items():
        found[f"monitor/failed/{key}"] = (
            "problem",
            {
                "text": f"The monitor {key} failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
                "cause": "the monitor or its settings",
                "action": f"see the run's error.txt; leave the monitor out with monitors.{key}=null until it is mended",
            },
        )
    return found


def _silence(spans: Sequence[Span], window: timedelta, now: datetime, refused: Mapping[int, int]) -> dict[str, Found]:
    """Find a silence that is longer than any before."""
    if len(spans) < HISTORY:
        return {}
    gaps = [(after.since - before.until) // window for before, after in pairwise(spans)]
    silent = (now - spans[-1].until) // window
    if silent < 1 or silent <= max(gaps, default=0):
        return {}
    last = spans[-1].last or spans[-1].until
    usual = sorted(sum(span.rows.values()) for span in spans)[len(spans) // 2]
    text = f"Nothing was predicted since {last:%Y-%m-%d %H:%M} UTC; a window had {usual:,} predictions before."
    cause = "the prediction server does not run, callers do not reach it, or its log cannot be written"
    if refused:
        told = ", ".join(f"{count:,} times {status}" for status, count in sorted(refused.items()))
        text += f" Since then requests got no prediction: {told}."
        cause = "the server runs, and fails at every request (5xx) or refuses it (4xx)"
    evidence = {"windows": int(silent), "longest_before": int(max(gaps, default=0)), "usual_rows": usual}
    return {
        "monitor/no_rows": (
            "problem",
            {
                "text": text,
                "evidence": {**evidence, **{str(status): count for status, count in sorted(refused.items())}},
                "cause": cause,
                "action": "look at the server's status page and at its callers",
                "since": last.isoformat(),
            },
        )
    }
