"""The status page (`GET /`): what is served since when, traffic, latency, errors, drift, what was lost."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlframe import stats
from mlframe.serving.messages import Model, Reply
from mlframe.serving.metrics import MINUTES, Counts, quantile

if TYPE_CHECKING:
    import polars as pl

    from mlframe.charts.monitoring import Health
    from mlframe.contracts import Chart

__all__ = ["Moved", "Status", "drift", "page", "reply"]

SHOWN = 5
"""So many columns are shown, those that moved most first."""
LEAST_ROWS = 100
"""Of fewer rows drift is not told: the index would be large by chance."""
LOOK, OTHER = 0.1, 0.25
WINDOW = 15
"""Minutes that latency and errors are told of."""
ALARMS = 10
"""So many alarms are shown; the page of monitoring has all."""
WORST = ("problem", "warning", "info")
REFRESH = 10
"""Seconds after which a browser asks for the page again."""


@dataclass(frozen=True, slots=True)
class Moved:
    """How far one input column has moved.

    Args:
        column: its name.
        index: population stability index.
        missing: share of missing values now.
        missed: share of missing values in training.
    """

    column: str
    index: float
    missing: float
    missed: float


@dataclass(frozen=True, slots=True)
class Status:
    """What the page is written from.

    Args:
        model: the champion.
        counts: what the workers have counted.
        rows: recent rows as they were asked, with input columns by name; None when there is no log.
        kept: versions that can be promoted or rolled back to, newest first.
        errors: what keeps a version from being served, by role; and other trouble, in words.
        facts: more to show about the champion.
        health: what monitors say; None where nobody asked.
        alarms: alarms that are not over, the worst first or not.
    """

    model: Model
    counts: Counts
    rows: pl.DataFrame | None = None
    kept: Sequence[str] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    health: Health | None = None
    alarms: Sequence[Mapping[str, Any]] = ()


def drift(rows: pl.DataFrame, baseline: Mapping[str, Any], *, without: Sequence[str] = ()) -> list[Moved]:
    """Compare rows with the bundle's baseline, column by column; those that moved most come first.

    A missing value is a bin of its own. Texts are compared by their lengths, times not at all: they move on.

    Args:
        rows: the rows, with input columns by name; columns that it lacks are left out.
        baseline: the bundle's `baseline.json`.
        without: columns to leave out (the log has no values of private ones).

    Raises:
        ValueError: the baseline has another format.
    """
    if baseline.get("format") != 2:
        raise ValueError(f"the baseline has format {baseline.get('format', 1)}, this mlframe reads 2")
    found = []
    for name, record in baseline["columns"].items():
        if name in without or name not in rows.columns or not rows.height or record["kind"] == "datetime":
            continue
        given = {key: value for key, value in record.items() if key != "kind"}
        before = stats.read_sketch(given)
        moved = stats.movement(before, stats.sketch(rows[name], record["kind"], like=before))
        found.append(Moved(name, moved.stability, moved.missing, moved.missed))
    return sorted(found, key=lambda moved: (-moved.index, moved.column))


def _array(values: Sequence[float]) -> Any:
    import numpy as np

    return np.asarray(values, dtype=np.float64)


# ------------------------------------------------------------------------------------------------ the page


def reply(status: Status, now: float | None = None) -> Reply:
    """Return the page; a browser asks for it again every ten seconds."""
    headers = [("content-type", "text/html; charset=utf-8"), ("cache-control", "no-store"), ("refresh", str(REFRESH))]
    return Reply(200, page(status, now).encode(), headers)


def page(status: Status, now: float | None = None) -> str:
    """Return the page as HTML: self-contained, without scripts.

    Args:
        status: what is shown.
        now: seconds since 1970.
    """
    from mlframe.charts.document import Document, Heading, Links, Pictures, Points, Section, Table

    now = time.time() if now is None else now
    counts, model = status.counts, status.model

    def served() -> Any:
        yield _answer(status, now)
        yield {
            "since": f"{_when(counts.started)} ({_span(now - counts.started)})",
            "workers": counts.workers,
            "memory": f"{counts.memory / 1e6:,.0f} MB in all workers" if counts.memory else None,
            "fast path": next(
                ("yes" if fast else "no" for ref, _, fast in counts.models if ref == model.reference), None
            ),
            "requests in progress": counts.running,
            "rows that wait": counts.queue,
            **status.facts,
        }

    def traffic() -> Any:
        yield Pictures([_traffic(counts, now)])
        recent = counts.recent(WINDOW, now)
        yield Heading(f"Latency in ms, the last {WINDOW} minutes")
        shares = (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99))
        durations = [float(count) for count in recent.durations]
        yield Table([name for name, _ in shares], [[_ms(quantile(durations, share)) for _, share in shares]])
        yield Heading("Since the start")
        yield Table(["endpoint", "requests", "p50, ms", "p99, ms"], _endpoints(counts))
        yield Table(["status", "requests"], _statuses(counts))
        if counts.rows:
            yield Table(["version", "rows scored"], [[version, rows] for version, rows in sorted(counts.rows.items())])

    def moved() -> Any:
        yield from _drift(status)

    def monitored() -> Any:
        if status.health is not None:
            yield status.health.answer()
        ranked = sorted(status.alarms, key=lambda alarm: WORST.index(alarm["severity"]))
        if ranked:
            told = [(str(alarm["severity"]), str(alarm["record"].get("text") or alarm["key"])) for alarm in ranked]
            yield Points(told[:ALARMS])
        if len(ranked) > ALARMS:
            yield f"{len(ranked) - ALARMS:,} more are on the page below."
        yield Links([("monitor", "timelines of all figures, alarms with causes, events")])

    def versions() -> Any:
        yield Table(["version", "role", "fast path"], [[ref, role, fast] for ref, role, fast in sorted(counts.models)])
        if status.kept:
            yield f"In the registry: {', '.join(status.kept)}."
        yield f"Roll back with: python -m mlframe rollback {model.name}"

    def more() -> Any:
        yield Links([("openapi.json", "how to ask, with examples"), ("metrics", "all counts, for Prometheus")])

    document = Document(
        model.reference,
        f"mlframe · predictions of {model.learning.target}",
        [
            Section("served", "Served", served),
            Section("traffic", "Traffic", traffic),
            Section("monitoring", "Monitoring", monitored),
            Section("drift", "Drift", moved),
            Section("versions", "Versions", versions),
            Section("more", "More", more),
        ],
        lead=f"{model.learning.task}, {len(model.schema.fields)} input columns",
    )
    return document.html().text


def _answer(status: Status, now: float) -> Any:
    from mlframe.charts.document import Answer

    recent = status.counts.recent(WINDOW, now)
    troubles = [f"{role}: {text}" for role, text in status.errors.items()]
    if status.counts.lost:
        troubles.append(f"{status.counts.lost:,} rows of the prediction log could not be kept")
    if status.counts.reload_errors:
        troubles.append(f"{status.counts.reload_errors:,} times a version could not be loaded")
    if recent.failed:
        troubles.append(f"{recent.failed:,} requests failed in the last {WINDOW} minutes")
    rate = recent.requests / 60 / max(1 / 60, min(WINDOW, (now - status.counts.started) / 60))
    text = (
        f"{recent.requests:,} requests in the last {WINDOW} minutes ({rate:,.1f} a second), {recent.refused:,} of them "
        f"refused (4xx), {recent.failed:,} failed (5xx)."
    )
    return Answer("bad" if troubles else "good", "Trouble" if troubles else "Serving", text, notes=troubles)


def _traffic(counts: Counts, now: float) -> Chart:
    from mlframe.charts.plots import Series, lines

    current = int(now // 60)
    ago = list(range(-MINUTES + 1, 0))  # the minute that runs would look like a fall
    held = [counts.minutes.get(current + minute) for minute in ago]
    served = [0 if minute is None else minute.requests for minute in held]
    faults = [0 if minute is None else minute.refused + minute.failed for minute in held]
    top = max(1, *served)
    return lines(
        "traffic",
        "Requests a minute",
        f"Requests a minute in the last hour: {sum(served):,} in all, at most {max(served):,} a minute, "
        f"{sum(faults):,} refused or failed.",
        [Series("requests", _array(ago), _array(served)), Series("refused or failed", _array(ago), _array(faults))],
        x="minutes ago",
        y="requests",
        x_range=(-MINUTES + 1, -1),
        x_names=[(-minutes, str(minutes)) for minutes in (50, 40, 30, 20, 10, 1)],
        y_range=(0, top * 1.05),
    )


def _endpoints(counts: Counts) -> list[list[Any]]:
    rows = []
    for route, held in sorted(counts.durations.items()):
        total = int(sum(held[:-1]))
        rows.append([route, total, _ms(quantile(held, 0.5)), _ms(quantile(held, 0.99))])
    return rows


def _statuses(counts: Counts) -> list[list[Any]]:
    by: dict[int, int] = {}
    for (_, code, _), count in counts.requests.items():
        by[code] = by.get(code, 0) + count
    return [[str(code), count] for code, count in sorted(by.items())]


def _drift(status: Status) -> Any:
    from mlframe.charts.document import Table

    rows, model = status.rows, status.model
    if rows is None:
        yield "There is no log of predictions to compare with training."
        return
    if rows.height < LEAST_ROWS:
        yield f"{rows.height:,} rows have been logged lately; drift is told from {LEAST_ROWS} on."
        return
    file = model.folder / "baseline.json"
    baseline = json.loads(file.read_text(encoding="utf-8"))
    private = [name for name, held in model.schema.fields.items() if held.private]
    try:
        found = drift(rows, baseline, without=private)
    except ValueError as error:
        yield f"Drift is not told: {error}. Versions that are made from now on can be compared."
        return
    yield (
        f"The last {rows.height:,} rows against training, by the population stability index: from {LOOK:g} on worth a "
        f"look, from {OTHER:g} on another population. The {min(SHOWN, len(found))} columns that moved most:"
    )
    words = [(OTHER, "another population"), (LOOK, "worth a look"), (float("-inf"), "steady")]
    yield Table(
        ["column", "index", "", "missing now", "missing in training"],
        [
            [
                moved.column,
                round(moved.index, 4),
                next(word for least, word in words if moved.index >= least),
                f"{moved.missing:.1%}",
                f"{moved.missed:.1%}",
            ]
            for moved in found[:SHOWN]
        ],
    )
    if private:
        yield f"Not compared, since the log has no values of private columns: {', '.join(private)}."


def _ms(seconds: float | None) -> Any:
    return None if seconds is None else round(1000 * seconds, 2)


def _when(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _span(seconds: float) -> str:
    seconds = max(0, int(seconds))
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count:,} {word}{'s' if count > 1 else ''}"
    return f"{seconds} seconds"
