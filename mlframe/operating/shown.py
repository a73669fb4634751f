"""What the end of a monitoring run says to people: health in one line, figures, alarms with what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlframe.operating.observing import moment_text
from mlframe.operating.telling import evidence_text

if TYPE_CHECKING:
    from mlframe.operating.observing import Look

__all__ = ["alarm_lines", "figure_text", "show"]

WORDS = {"ok": "is healthy", "warning": "needs a look", "problem": "is in trouble"}


def show(context: Any, given: Mapping[str, Any], look: Look | None) -> None:
    """Put lines into the run's summary.

    Args:
        context: the run.
        given: the outcome.
        look: the newest window that was looked at, if any.
    """
    health = f"{given['name']} {WORDS[given['health']]}: {_count(given)}"
    if not (given["looked"] or given["known"] or given["alarms"]):  # no alarm says nothing where nobody has looked
        health = f"nothing is known of {given['name']}: no window has been looked at"
    lines: list[tuple[str, str]] = [("health", health)]
    if look is None:
        bounds = context.config["monitor"]
        said = _nothing(given, " in that time" if bounds["since"] or bounds["until"] else "")
        lines.append(("looked at", said))
        context.say(said)
    else:
        said = (
            f"{given['looked']:,} window{'s' if given['looked'] > 1 else ''} looked at, {given['rows']:,} predictions"
        )
        said += f"; {given['known']:,} known already" if given["known"] else ""
        context.say(said)
        span = look.span
        open_text = " (goes on)" if look.record["partial"] else ""
        lines.append(("looked at", said))
        lines.append(
            (
                "newest window",
                f"{moment_text(span.since)} to {moment_text(span.until)} UTC{open_text}: {look.version}, {look.rows:,} predictions",
            )
        )
        for name, found in look.record["figures"].items():
            lines.append((f"  {name}", figure_text(found, look.record["declared"][name].get("unit", "1"))))
        lines += [("  note", note) for note in look.record["notes"]]
    for row in context.store.alarms.many(given["name"], source=given["source"], status=("open", "acknowledged"))[::-1]:
        lines += alarm_lines(row)
    lines += [(f"not told ({key})", text) for key, text in given["untold"].items()]
    context.summary["lines"] = [*(context.summary.get("lines") or ()), *lines]


def alarm_lines(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a row of `store.alarms` as lines: what, evidence, since when, why, what to do."""
    record = row["record"]
    known = (
        f" (acknowledged by {record['acknowledged']['who']}: {record['acknowledged']['why']})"
        if "acknowledged" in record
        else ""
    )
    lines = [(f"{row['severity']} {row['id']}", f"{row['key']}: {record.get('text') or ''}{known}")]
    if record.get("evidence"):
        lines.append(("  evidence", evidence_text(record["evidence"])))
    first, last = (moment_text(row[key].replace(microsecond=0)) for key in ("first", "last"))
    times = record.get("times", 1)
    lines.append(("  since", f"{first} UTC, last seen {last} UTC" + (f", in {times:,} windows" if times > 1 else "")))
    if record.get("cause"):
        lines.append(("  likely cause", record["cause"]))
    if record.get("action"):
        lines.append(("  do", record["action"]))
    return lines


def figure_text(found: Mapping[str, Any], unit: str = "1") -> str:
    """Return a figure with its interval and unit."""
    if found.get("value") is None:
        return "unknown"
    text = _number(found["value"])
    if found.get("low") is not None and found.get("high") is not None:
        text += f" ({_number(found['low'])} to {_number(found['high'])})"
    return text if unit in ("1", "", "target") else f"{text} {unit}"


def _number(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"


def _count(given: Mapping[str, Any]) -> str:
    if not given["alarms"]:
        return "no alarm"
    counts = {
        word: sum(alarm["severity"] == word for alarm in given["alarms"]) for word in ("problem", "warning", "info")
    }
    return ", ".join(
        f"{count:,} {word}{'s' if count > 1 and word != 'info' else ''}" for word, count in counts.items() if count
    )


def _nothing(given: Mapping[str, Any], when: str) -> str:
    if given["known"]:
        return f"nothing new: {given['known']:,} window{'s' if given['known'] > 1 else ''} known already"
    if given["gone"]:
        return f"nothing: {', '.join(given['gone'])} cannot be opened"
    if given["source"] == "log":
        return f"nothing: no prediction of {given['name']!r} is logged{when}; 'python -m mlframe serve' logs them"
    return "nothing: no window has rows"
