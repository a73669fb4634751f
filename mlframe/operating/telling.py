"""Tells people of alarms: each notifier remembers in the store what it has told, so that nothing is lost or told twice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from mlframe.contracts import Notice, Notifier
from mlframe.errors import MlframeError

__all__ = ["notice_of", "send", "tell_alarms"]

_LOG = logging.getLogger("mlframe")


def tell_alarms(store: Any, name: str, notifiers: Mapping[str, Notifier], say: Callable[[str], None]) -> dict[str, str]:
    """Tell each notifier what it has not told yet: alarms that are new or worse, and those that are over.

    What was told is kept with the alarm after the notifier has returned. A process that is killed in between tells once
    more; a notifier that is down is told all of it the next time.

    Args:
        store: the open store.
        name: the model.
        notifiers: key to notifier.
        say: shows one line.

    Returns:
        Notifier to what went wrong, for those that could not tell.
    """
    failed: dict[str, str] = {}
    for key, notifier in notifiers.items():
        waiting = store.alarms.untold(name, key)
        if not waiting:
            try:
                notifier.ready()
            except Exception as unready:  # better known now than when there is an alarm
                failed[key] = _said(unready)
                say(f"{key}: could tell nobody of an alarm: {failed[key]}")
            continue
        error = send(key, notifier, [notice_of(alarm) for alarm in waiting])
        if error is None:
            store.alarms.told(key, [(alarm["id"], _state(alarm)) for alarm in waiting])
            say(f"{key}: told of {len(waiting):,} alarm{'s' if len(waiting) > 1 else ''}")
        else:
            failed[key] = error
            say(
                f"{key}: could not tell of {len(waiting):,} alarm{'s' if len(waiting) > 1 else ''}; told next time: {error}"
            )
    return failed


def send(key: str, notifier: Notifier, notices: Sequence[Notice]) -> str | None:
    """Tell; return what went wrong in one line, None where nothing did. Whatever a notifier raises stops nothing."""
    try:
        notifier.notify(notices)
    except Exception as error:
        text = _said(error)
    else:
        return None
    _LOG.warning("The notifier %s could not tell of %s: %s; it is tried again next time", key, _titles(notices), text)
    return text


def _said(error: Exception) -> str:
    return error.what if isinstance(error, MlframeError) else f"{type(error).__name__}: {error}"


def notice_of(alarm: Mapping[str, Any]) -> Notice:
    """Return what people are told of a row of `store.alarms`."""
    record, over = alarm["record"], alarm["status"] == "over"
    version = record.get("version")
    name, severity = alarm["name"], alarm["severity"]
    title = f"{name}: {record.get('text') or alarm['key']}"
    if over:
        title = f"{name}: over: {alarm['key']}"
    lines = [f"{severity.upper()} {alarm['key']}" + (f" ({version})" if version else "")]
    if alarm["source"] != "log":
        lines.append(f"rows of: {alarm['source']}, not of the prediction log")
    if record.get("text"):
        lines.append(record["text"])
    lines.append(f"since: {_when(alarm['first'])}, last seen: {_when(alarm['last'])}")
    if over:
        lines.append(f"over since: {_when(record.get('over') or alarm['last'])}")
    if record.get("evidence"):
        lines.append("evidence: " + evidence_text(record["evidence"]))
    if record.get("cause"):
        lines.append(f"likely cause: {record['cause']}")
    if record.get("action") and not over:
        lines.append(f"do: {record['action']}")
    if not over:
        lines.append(f"known already? python -m mlframe alarms acknowledge {alarm['id']} --why TEXT")
    plain = {key: value for key, value in alarm.items() if key != "record"}
    plain |= {key: value.isoformat() for key, value in plain.items() if isinstance(value, datetime)}
    plain |= {key: value for key, value in record.items() if key != "told"}
    return Notice(name, version, "over" if over else "alarm", severity, title, "\n".join(lines), plain)


def evidence_text(evidence: Mapping[str, Any]) -> str:
    """Return evidence as words: `share 0.12, rows 1,204`; what is nested is left out."""
    return ", ".join(
        f"{key.replace('_', ' ')} {_number(value)}"
        for key, value in evidence.items()
        if not isinstance(value, Mapping | list | tuple)
    )


def _number(value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def _state(alarm: Mapping[str, Any]) -> str:
    return "over" if alarm["status"] == "over" else str(alarm["severity"])


def _titles(notices: Sequence[Notice]) -> str:
    return f"{len(notices):,} notices ({notices[0].title}{', …' if len(notices) > 1 else ''})"


def _when(moment: Any) -> str:
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{found:%Y-%m-%d %H:%M} UTC"
