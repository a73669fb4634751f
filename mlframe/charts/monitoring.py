"""The page of a model at work: health in one line, timelines with what happened, alarms, events, windows.

It is written from what the store keeps (`store.windows`, `store.alarms`, `store.decisions`, the log of aliases), so that
the step `monitor`, a prediction server and the local web page show the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlencode

from mlframe.charts.document import Answer, Document, Fold, Heading, Pictures, Points, Section, Table
from mlframe.charts.page import Link
from mlframe.charts.svg import number
from mlframe.charts.timeline import Bar, Event, Lane, Level, Point, figure, lanes, moment, span_of
from mlframe.contracts import Chart, Interval
from mlframe.contracts.monitoring import LOG

__all__ = ["Health", "document", "events_of", "health"]

CHAMPION = "champion"
SEVERITIES = ("problem", "warning", "info")
LIVE = ("open", "acknowledged")
LETTERS = {"D": "deployed (a version was promoted)", "R": "rolled back", "A": "alarm first seen", "T": "trained again"}
TRAINED = "trigger"
"""The kind of decisions that begin a training; promotions and roll-backs are marked from the log of aliases."""
WINDOWS, PICTURES, ALARM_LANES, ROWS = 500, 12, 10, 100
STALE = 3
"""So many windows' lengths after the newest window's end, nobody seems to look any more."""


@dataclass(frozen=True)
class Health:
    """How a model is.

    Args:
        level: `ok`, `warning`, `problem`, or `unknown` where nobody has looked.
        word: the answer in one or two words.
        text: the answer in a sentence.
        notes: what weakens the answer, such as that nobody has looked for long.
    """

    level: Literal["ok", "warning", "problem", "unknown"]
    word: str
    text: str
    notes: Sequence[str] = ()

    def answer(self) -> Answer:
        """Return the box that a page shows."""
        kinds = {"ok": "good", "warning": "warn", "problem": "bad", "unknown": "none"}
        return Answer(kinds[self.level], self.word, self.text, notes=self.notes)


def health(
    windows: Sequence[Mapping[str, Any]], alarms: Sequence[Mapping[str, Any]], now: datetime, source: str = LOG
) -> Health:
    """Say how a model is, from its newest window and the alarms that live.

    Args:
        windows: rows of `store.windows`, the oldest first.
        alarms: rows of `store.alarms`.
        now: the moment at which one asks.
        source: whose rows these are of; of a file nobody waits for later windows.
    """
    if not windows:
        what = "window" if source == LOG else f"window of {source}"
        return Health(
            "unknown", "Not monitored", f"No {what} was looked at yet: run 'python -m mlframe monitor data=…'."
        )
    newest = max(windows, key=lambda window: (window["until"], window["observed"]))
    live = _by_severity(alarm for alarm in alarms if alarm["status"] in LIVE)
    counts = {severity: sum(alarm["severity"] == severity for alarm in live) for severity in SEVERITIES}
    seen = (
        f"The newest window ({_span(newest)}, {_many(newest['rows'], 'prediction')} by {newest['version']}) was looked at "
        f"{_ago(now - newest['observed'])} ago."
    )
    notes = []
    length = newest["until"] - newest["since"]
    if source == LOG and now - newest["until"] > max(length * STALE, timedelta(hours=1)):
        notes.append(f"Nobody has looked since: that window ended {_ago(now - newest['until'])} ago.")
    known = sum(alarm["status"] == "acknowledged" for alarm in live)
    if known:
        notes.append(f"{known:,} of the alarms {'is' if known == 1 else 'are'} acknowledged.")
    level: Literal["ok", "warning", "problem"] = (
        "problem" if counts["problem"] else "warning" if counts["warning"] else "ok"
    )
    if level == "ok":
        return Health("ok", "Healthy", f"No alarm is open. {seen}", notes)
    told = " and ".join(_many(counts[severity], severity) for severity in ("problem", "warning") if counts[severity])
    worst = str(live[0]["record"].get("text") or live[0]["key"]).rstrip(".")
    word = "Problem" if level == "problem" else "Warning"
    return Health(level, word, f"{told} open. {worst}. {seen}", notes)


def events_of(
    alarms: Sequence[Mapping[str, Any]], decisions: Sequence[Mapping[str, Any]], log: Sequence[Mapping[str, Any]]
) -> list[Event]:
    """Return what happened, the newest first: moves of the champion, alarms, trainings, other decisions.

    Args:
        alarms: rows of `store.alarms`.
        decisions: rows of `store.decisions`.
        log: the log of aliases (`store.history`).
    """
    found = []
    for move in log:
        to = f"{move['alias']}: {move['from'] or 'none'} → {move['to']}"
        letter = {"promote": "D", "rollback": "R"}.get(move["action"], "") if move["alias"] == CHAMPION else ""
        why = f" ({move['why']})" if move["why"] else ""
        found.append(Event(_moment(move["when"]), letter, f"{move['action']}, {to}{why}", move["who"]))
    for alarm in alarms:
        found.append(Event(alarm["first"], "A", f"{alarm['severity']}: {alarm['record'].get('text') or alarm['key']}"))
        over = alarm["record"].get("over")
        if alarm["status"] == "over" and over:
            found.append(Event(_moment(over), "", f"over: {alarm['key']}"))
    for decision in decisions:
        letter = "T" if decision["kind"] == TRAINED else ""
        text = f"{decision['kind'].replace('_', ' ')}: {decision['record'].get('text') or ''}".rstrip(": ")
        found.append(Event(decision["when"], letter, text))
    return sorted(found, key=lambda event: event.when, reverse=True)


def document(
    name: str,
    windows: Sequence[Mapping[str, Any]],
    alarms: Sequence[Mapping[str, Any]],
    decisions: Sequence[Mapping[str, Any]],
    log: Sequence[Mapping[str, Any]],
    notes: Sequence[str] = (),
    *,
    now: datetime | None = None,
    charts: Sequence[Chart] = (),
    source: str = LOG,
    others: Sequence[Mapping[str, Any]] = (),
    address: str = "",
) -> Document:
    """Return the page of a model at work.

    Args:
        name: the model's name.
        windows: rows of `store.windows`, the oldest first. In `record`: `figures`, a name to {value, low, high} and, where
            known, `reference` (its value when the version was made); `declared`, a name to {monitor, unit, better};
            `notes`; `health`; `alarms`, their keys; `tables`, a title to {columns, rows}.
        alarms: rows of `store.alarms`.
        decisions: rows of `store.decisions`.
        log: the log of aliases, as `store.history` gives it.
        notes: sentences that a reader must know, such as what of this look is missing.
        now: the moment at which one looks; None for the present.
        charts: the monitors' own pictures of the newest window.
        source: whose rows windows and alarms are of: the log's, or a file's or table's.
        others: what `store.windows.others` says of files and tables; they are shown apart.
        address: page of the same server that shows one of them when it is asked with `?source=`; empty for none.
    """
    now = now or datetime.now(UTC)
    windows = sorted(windows, key=lambda window: (window["since"], window["until"]))
    hidden, windows = max(0, len(windows) - WINDOWS), windows[-WINDOWS:]
    events = events_of(alarms, decisions, log)
    parts = _Parts(windows, alarms, events, charts)

    def state() -> Iterable[Any]:
        yield health(windows, alarms, now, source).answer()
        yield from notes
        if windows:
            yield Pictures([parts.overview()])
            yield f"Letters above the pictures: {'; '.join(f'{k} {v}' for k, v in LETTERS.items())}. Times are in UTC."

    def alarming() -> Iterable[Any]:
        yield from _alarms(alarms)

    def figures() -> Iterable[Any]:
        yield from parts.figures()

    def happened() -> Iterable[Any]:
        if not events:
            yield "Nothing happened yet."
            return
        rows = [[moment(event.when), event.letter, event.text, event.who] for event in events]
        yield Table(["when", "", "what", "who"], rows[:ROWS], _left_out(rows))

    def looked() -> Iterable[Any]:
        if hidden:
            yield f"{hidden:,} older windows are not shown."
        rows = [
            [
                _span(window),
                window["version"],
                window["rows"],
                window["record"].get("health") or "",
                ", ".join(window["record"].get("alarms") or ()),
                moment(window["observed"]),
            ]
            for window in reversed(windows)
        ]
        yield Table(["window", "version", "predictions", "health", "alarms", "looked at"], rows[:ROWS], _left_out(rows))

    sections = [Section("health", "Health", state), Section("alarms", "Alarms", alarming)]
    if windows:
        sections.append(Section("figures", "Figures over time", figures))
    if others:
        sections.append(Section("others", "Files and tables", lambda: _others(others, address)))
    sections.append(Section("events", "Events", happened))
    if windows:
        sections.append(Section("windows", "Windows", looked))
    if windows and windows[-1]["record"].get("tables"):
        sections.append(Section("details", "Details of the newest window", parts.details))
    lead = "" if source == LOG else f"rows of {source}, not of the prediction log"
    return Document(f"{name} at work", "mlframe · monitoring", sections, lead=lead)


class _Parts:
    """The pictures and tables of the windows."""

    def __init__(
        self,
        windows: Sequence[Mapping[str, Any]],
        alarms: Sequence[Mapping[str, Any]],
        events: Sequence[Event],
        charts: Sequence[Chart],
    ) -> None:
        self.windows, self.alarms, self.events, self.charts = windows, alarms, events, charts
        self.marked = [event for event in events if event.letter]
        self.span = (
            span_of([(window["since"], window["until"]) for window in windows], self.marked) if windows else None
        )

    def overview(self) -> Chart:
        """Draw health, what served, and the alarms."""
        assert self.span is not None
        since, until = self.span
        state = [
            Bar(window["since"], window["until"], _level(window["record"].get("health"))) for window in self.windows
        ]
        found = [Lane("health of each window", state), self._served(until)]
        shown = [alarm for alarm in self.alarms if alarm["last"] >= since and alarm["first"] <= until]
        ranked = sorted(shown, key=lambda alarm: (SEVERITIES.index(alarm["severity"]), -alarm["last"].timestamp()))
        keys = list(dict.fromkeys(alarm["key"] for alarm in ranked))
        for key in keys[:ALARM_LANES]:
            bars = [
                Bar(alarm["first"], alarm["last"], _level(alarm["severity"])) for alarm in shown if alarm["key"] == key
            ]
            found.append(Lane(f"{key}", bars))
        more = f" {len(keys) - ALARM_LANES} more alarms are not drawn." if len(keys) > ALARM_LANES else ""
        bad = sum(bar.level != "ok" for bar in state)
        alt = (
            f"{_many(len(self.windows), 'window')} from {moment(since)} to {moment(until)}, {bad or 'none'} of them with a "
            f"warning or problem; {_many(len(shown), 'alarm')}.{more}"
        )
        return lanes("overview", "What held when", alt, found, self.marked, self.span)

    def _served(self, until: datetime) -> Lane:
        """Return the lane of the versions that answered."""
        runs: list[list[Any]] = []
        for window in self.windows:
            if runs and runs[-1][0] == window["version"]:
                runs[-1][2] = max(runs[-1][2], window["until"])
            else:
                runs.append([window["version"], window["since"], window["until"]])
        return Lane("version that answered", [Bar(first, last, "ok", version) for version, first, last in runs])

    def figures(self) -> Iterable[Any]:
        """Give the timelines of each monitor, its pictures, its notes, and all newest figures as a table."""
        names = list(dict.fromkeys(name for window in self.windows for name in _figures(window)))
        grouped: dict[str, list[str]] = {}
        for name in names:
            grouped.setdefault(self._monitor(name), []).append(name)
        newest = self.windows[-1]
        for monitor, own in grouped.items():
            found = [chart for name in own[:PICTURES] if (chart := self._timeline(name, monitor))]
            if found:
                yield Heading(monitor.capitalize())
                yield Pictures(found)
        if self.charts:
            yield Heading("Pictures of the newest window")
            yield Pictures(self.charts)
        if any(len(own) > PICTURES for own in grouped.values()):
            yield f"Of each monitor {PICTURES} figures are drawn; all of them are in the table below."
        told = newest["record"].get("notes") or ()
        if told:
            yield Heading("To be known")
            yield Points([("", str(note)) for note in told])
        yield Heading(f"The newest window: {_span(newest)}")
        before = next((w for w in reversed(self.windows[:-1]) if w["version"] == newest["version"]), None)
        rows = [
            [
                name,
                self._monitor(name),
                _interval(entry),
                _interval(_figures(before).get(name)) if before else None,
                _number(entry.get("reference")),
            ]
            for name, entry in _figures(newest).items()
        ]
        if rows:
            yield Table(["figure", "monitor", "now", "window before", "when trained"], rows)

    def details(self) -> Iterable[Any]:
        """Give the tables of the newest window."""
        for title, table in self.windows[-1]["record"]["tables"].items():
            shown = [[_rounded(item) for item in row] for row in table["rows"][:ROWS]]
            yield Fold(
                f"{title.replace('_', ' ')} ({_many(len(table['rows']), 'row')})", [Table(table["columns"], shown)]
            )

    def _monitor(self, figure_name: str) -> str:
        return str(self._declared(figure_name).get("monitor") or "figures")

    def _declared(self, figure_name: str) -> Mapping[str, Any]:
        """Return what the newest window that has a figure says of it: its monitor, unit and better end."""
        for window in reversed(self.windows):
            known = (window["record"].get("declared") or {}).get(figure_name)
            if known:
                return known  # type: ignore[no-any-return]
        return {}

    def _timeline(self, name: str, monitor: str) -> Chart | None:
        points: list[Point] = []
        entry: Mapping[str, Any] = {}
        for window in self.windows:
            found = _interval(_figures(window).get(name))
            if found is not None:
                entry = _figures(window)[name]
                points.append(Point(window["since"], window["until"], found, window["version"]))
        if not points or self.span is None:
            return None
        declared = self._declared(name)
        unit = str(declared.get("unit") or "")
        better = f"{declared['better']} is better" if declared.get("better") else ""
        label = ", ".join(filter(None, ["" if unit == "1" else unit, better]))
        slug = "".join(letter if letter.isalnum() else "_" for letter in name)
        level = _number(entry.get("reference"))
        return figure(f"figure_{slug}", f"{name} ({monitor})", points, self.marked, self.span, y=label, level=level)


def _alarms(alarms: Sequence[Mapping[str, Any]]) -> Iterable[Any]:
    live = _by_severity(alarm for alarm in alarms if alarm["status"] in LIVE)
    over = [alarm for alarm in alarms if alarm["status"] not in LIVE]
    if not live:
        yield "No alarm is open."
    for alarm in live[:ROWS]:
        yield Points([(alarm["severity"], str(alarm["record"].get("text") or alarm["key"]))])
        yield _told(alarm)
    if len(live) > ROWS:
        yield f"{len(live) - ROWS:,} more are not shown."
    if over:
        rows = [
            [a["severity"], a["record"].get("text") or a["key"], moment(a["first"]), moment(a["last"]), a["key"]]
            for a in sorted(over, key=lambda alarm: alarm["last"], reverse=True)
        ]
        table = Table(["severity", "what", "since", "until", "key"], rows[:ROWS], _left_out(rows))
        yield Fold(f"{len(over):,} that {'is' if len(over) == 1 else 'are'} over", [table])


def _others(others: Sequence[Mapping[str, Any]], address: str) -> Iterable[Any]:
    """Give what was seen of files and tables."""
    yield "They were looked at for themselves; the health above is that of the prediction log alone."
    rows = [
        [
            Link(row["source"], f"{address}?{urlencode({'source': row['source']})}") if address else row["source"],
            _span(row),
            row["version"],
            row["rows"],
            row["record"].get("health") or "",
            ", ".join(_many(row["alarms"][key], key) for key in SEVERITIES if row["alarms"].get(key)) or "none",
            moment(row["observed"]),
        ]
        for row in others
    ]
    yield Table(["source", "newest window", "version", "predictions", "health", "open alarms", "looked at"], rows)


def _told(alarm: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of an alarm as facts."""
    record = alarm["record"]
    known = record.get("acknowledged")
    evidence = {
        key: _rounded(item) for key, item in (record.get("evidence") or {}).items() if item not in (None, {}, [], "")
    }
    return {
        "number": f"{alarm['id']} ({alarm['key']})",
        "since": f"{moment(alarm['first'])}, seen in {_many(record.get('times', 1), 'window')}",
        "version": record.get("version"),
        "evidence": evidence
        if any(isinstance(item, Mapping | list) for item in evidence.values())
        else _flat(evidence),
        "likely cause": record.get("cause"),
        "what to do": record.get("action"),
        "acknowledged": f"by {known['who']}: {known['why']}" if known else None,
    }


def _flat(evidence: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {item}" for key, item in evidence.items())


def _rounded(item: Any) -> Any:
    if isinstance(item, float):
        return number(item)
    if isinstance(item, Mapping):
        return {key: _rounded(part) for key, part in item.items()}
    return [_rounded(part) for part in item] if isinstance(item, list | tuple) else item


def _by_severity(alarms: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return alarms with the worst first, then those that nobody has acknowledged, then the newest."""
    return sorted(
        alarms,
        key=lambda alarm: (
            SEVERITIES.index(alarm["severity"]),
            alarm["status"] == "acknowledged",
            -alarm["last"].timestamp(),
        ),
    )


def _level(word: str | None) -> Level:
    """Return the level of a severity or a health; what nobody knows is ok."""
    return word if word in ("info", "warning", "problem") else "ok"  # type: ignore[return-value]


def _figures(window: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    return window["record"].get("figures") or {}


def _interval(entry: Mapping[str, Any] | None) -> Interval | None:
    """Return a figure; None where it has no value."""
    if entry is None or entry.get("value") is None:
        return None
    return Interval(float(entry["value"]), _number(entry.get("low")), _number(entry.get("high")))


def _number(item: Any) -> float | None:
    return float(item) if isinstance(item, int | float) and not isinstance(item, bool) else None


def _span(window: Mapping[str, Any]) -> str:
    """Return a window's time; the day is said once where both ends lie in it."""
    short = window["until"] - window["since"] < timedelta(minutes=1)
    since, until = moment(window["since"], seconds=short), moment(window["until"], seconds=short)
    return f"{since} to {until[11:] if since[:10] == until[:10] else until}"


def _many(count: int, word: str) -> str:
    """Return a count with its word: `1 prediction`, `2 predictions`; `info` has no plural."""
    return f"{count:,} {word}{'' if count == 1 or word == 'info' else 's'}"


def _ago(span: timedelta) -> str:
    seconds = max(0, int(span.total_seconds()))
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{seconds // size:,} {word}{'s' if seconds // size > 1 else ''}"
    return f"{seconds} second{'s' if seconds != 1 else ''}"


def _moment(value: Any) -> datetime:
    found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _left_out(rows: Sequence[Any]) -> str:
    return f"{len(rows) - ROWS:,} more are not shown." if len(rows) > ROWS else ""
