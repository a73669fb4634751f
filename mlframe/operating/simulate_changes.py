"""What is known to have changed in a simulated stream, beside what was noticed and when was trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from mlframe.charts.timeline import Bar, Event, Lane, lanes
from mlframe.config.simulate import Change
from mlframe.contracts import Chart

__all__ = ["changes_record", "happened", "noticed", "rows_of"]

CONCEPT = "concept/"
THIN = 250
"""A moment is drawn as so small a part of the time."""
KEY: Mapping[str, str] = {
    "ok": "training",
    "info": "change of columns only",
    "warning": "alarm",
    "problem": "change of the answer",
}
ABOUT = {"answer": "what the columns say of the answer", "columns": "columns only: no reason to train"}


def changes_record(changes: Sequence[Change], shuffled: bool) -> list[dict[str, Any]]:
    """Return known changes as plain JSON values; none where rows were dealt anew to the moments."""
    return [
        {
            "name": change.name,
            "since": change.since.isoformat(),
            "until": None if change.until is None else change.until.isoformat(),
            "about": change.about,
        }
        for change in ([] if shuffled else changes)
    ]


def noticed(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return for each known change what the strategies with triggers made of it before the next one.

    Returns:
        Name, since, until, about and, by strategy, `alarm` and `trained`: moments of the first alarm of the error rate and
        of the first training, None where there was none.
    """
    changes = record["changes"]
    found = []
    for place, change in enumerate(changes):
        end = changes[place + 1]["since"] if place + 1 < len(changes) else record["end"]
        by = {}
        for item in record["strategies"]:
            if item["kind"] != "triggered":
                continue
            alarms = [alarm["when"] for alarm in item["alarms"] if alarm["key"].startswith(CONCEPT)]
            trained = [training["when"] for training in item["trained"][1:]]
            by[item["name"]] = {
                key: next((when for when in moments if _between(when, change["since"], end)), None)
                for key, moments in (("alarm", alarms), ("trained", trained))
            }
        found.append({**change, "by": by})
    return found


def rows_of(record: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of the table of known changes."""
    found = noticed(record)
    names = list(found[0]["by"]) if found else []
    head = ["Change", "When", "Of what", *(f"{name}: alarm, training" for name in names)]
    rows = []
    for change in found:
        when = change["since"][:10] + (f" to {change['until'][:10]}" if change["until"] else " on")
        told = [
            f"{_day(change['by'][name]['alarm'], change)}, {_day(change['by'][name]['trained'], change)}"
            for name in names
        ]
        rows.append([change["name"], when, ABOUT[change["about"]], *told])
    return head, rows


def happened(record: Mapping[str, Any]) -> Chart | None:
    """Draw known changes, alarms of the error rate and trainings, a lane each; None where there is nothing to draw."""
    span = (datetime.fromisoformat(record["begin"]), datetime.fromisoformat(record["end"]))
    thin = (span[1] - span[0]) / THIN
    changes = record["changes"]
    found, events, told = [], [], []
    if changes:
        bars = []
        for change in changes:
            since = datetime.fromisoformat(change["since"])
            until = datetime.fromisoformat(change["until"]) if change["until"] else since + 2 * thin
            bars.append(Bar(since, until, "problem" if change["about"] == "answer" else "info"))
            events.append(Event(since, "C", change["name"]))
            told.append(f"{change['name']} from {change['since'][:10]}")
        found.append(Lane("known changes", bars))
    for item in record["strategies"]:
        if item["kind"] not in ("static", "triggered"):
            continue
        alarms = [alarm["when"] for alarm in item["alarms"] if alarm["key"].startswith(CONCEPT)]
        trained = [training["when"] for training in item["trained"][1:]]
        for word, level, moments in (("alarms of the error rate", "warning", alarms), ("trainings", "ok", trained)):
            if moments or item["kind"] == "triggered":
                found.append(Lane(f"{item['name']}: {word}", [_bar(when, thin, level) for when in moments]))
                told.append(f"{item['name']}: {len(moments)} {word}")
    if not found:
        return None
    return lanes(
        "happened",
        "changes (C), alarms, trainings" if changes else "alarms, trainings",
        f"{'; '.join(told)}.",
        found,
        events,
        span,
        key=KEY,
    )


def _bar(when: str, thin: timedelta, level: Any) -> Bar:
    moment = datetime.fromisoformat(when)
    return Bar(moment, moment + thin, level)


def _between(when: str, since: str, until: str) -> bool:
    return datetime.fromisoformat(since) < datetime.fromisoformat(when) <= datetime.fromisoformat(until)


def _day(when: str | None, change: Mapping[str, Any]) -> str:
    if when is None:
        return "none"
    days = (datetime.fromisoformat(when) - datetime.fromisoformat(change["since"])) / timedelta(days=1)
    return f"after {days:.0f} day{'' if round(days) == 1 else 's'}"
