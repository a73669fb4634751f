"""Triggers: each looks at how things stand and says whether that is a reason to update a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from mlframe.errors import ParameterError, UnknownNameError
from mlframe.operating.schedule import parse_schedule

__all__ = ["TRIGGERS", "Age", "Decay", "Drift", "Fired", "Labels", "NewData", "Schedule", "Situation", "Trigger"]

SEVERITIES = ("info", "warning", "problem")


@dataclass(frozen=True)
class Situation:
    """How things stand with a model. All moments are UTC.

    Args:
        now: the moment at which one looks.
        trained: when the champion was trained.
        updated: when the last update ended, whatever came of it; None where there was none since the model began.
        champion: the version; alarms about another one are no reason. None: all alarms count.
        new_rows: rows that have come since the last update (or since the champion was trained, where there was none);
            None where nobody can tell.
        new_labels: labels that have come since then.
        alarms: rows of `store.alarms` that live: key, severity, status, first, last, record.
        windows: records of windows that monitors have looked at, the oldest first: since, until, version, rows, record.
        reference: figures of the champion when it was made: name to {value, low, high}.
        lower: names of figures of which less is better.
    """

    now: datetime
    trained: datetime
    updated: datetime | None = None
    champion: str | None = None
    new_rows: int | None = None
    new_labels: int | None = None
    alarms: Sequence[Mapping[str, Any]] = ()
    windows: Sequence[Mapping[str, Any]] = ()
    reference: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    lower: Collection[str] = ()

    @property
    def last(self) -> datetime:
        """When the champion was trained or an update ended, the later of both."""
        return max(self.trained, self.updated or self.trained)


@dataclass(frozen=True)
class Fired:
    """A reason to update.

    Args:
        trigger: name of the trigger.
        text: one sentence with the numbers.
        evidence: the numbers, as plain JSON values.
    """

    trigger: str
    text: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


class Trigger(ABC):
    """Looks for one sort of reason; it keeps nothing, so the same situation always gives the same answer."""

    @abstractmethod
    def fires(self, situation: Situation) -> Fired | None:
        """Return the reason, None where there is none."""


@dataclass(frozen=True)
class NewData(Trigger):
    """Fires when enough rows have come.

    Args:
        rows: so many.
    """

    rows: int = 1000

    def __post_init__(self) -> None:
        """Refuse fewer than one row."""
        _at_least_one(self.rows, "new_data.rows")

    def fires(self, situation: Situation) -> Fired | None:
        """Count rows since the last update."""
        return _counted("new_data", "rows", situation.new_rows, self.rows)


@dataclass(frozen=True)
class Labels(Trigger):
    """Fires when enough labels have come.

    Args:
        count: so many.
    """

    count: int = 1000

    def __post_init__(self) -> None:
        """Refuse fewer than one label."""
        _at_least_one(self.count, "labels.count")

    def fires(self, situation: Situation) -> Fired | None:
        """Count labels since the last update."""
        return _counted("labels", "labels", situation.new_labels, self.count)


@dataclass(frozen=True)
class Schedule(Trigger):
    """Fires as time goes by, however things stand.

    Args:
        every: a duration since the last update, such as `7d`, or a crontab line (UTC), such as `0 3 * * 1`.
    """

    every: str = "7d"

    def __post_init__(self) -> None:
        """Refuse what is no schedule."""
        parse_schedule(self.every, where="update.triggers.schedule.every")

    def fires(self, situation: Situation) -> Fired | None:
        """Compare the clock with the next moment after the last update."""
        due = parse_schedule(self.every, where="update.triggers.schedule.every").after(situation.last)
        if situation.now < due:
            return None
        text = f"an update was due at {due:%Y-%m-%d %H:%M} (every {self.every})"
        return Fired("schedule", text, {"due": due.isoformat(), "every": self.every})


@dataclass(frozen=True)
class Age(Trigger):
    """Fires when the champion is old.

    Args:
        days: so old, in days since it was trained; parts of a day are accepted.
    """

    days: float = 90

    def __post_init__(self) -> None:
        """Refuse an age of nothing."""
        if not self.days > 0:
            raise ParameterError(
                "An age must be above 0", value=self.days, where="update.triggers.age.days", hint="such as 90"
            )

    def fires(self, situation: Situation) -> Fired | None:
        """Compare the champion's age."""
        age = (situation.now - situation.trained) / timedelta(days=1)
        if age < self.days:
            return None
        text = f"the champion is {age:.4g} days old, {self.days:g} or more was set"
        return Fired("age", text, {"days": age, "wanted": self.days})


@dataclass(frozen=True)
class Drift(Trigger):
    """Fires on an open alarm that was seen since the last update.

    An alarm that a person has acknowledged is in that person's hands and no reason any more.

    Args:
        severity: the least severity: info, warning or problem.
        monitors: first parts of the alarms' keys.
    """

    severity: str = "problem"
    monitors: Sequence[str] = ("drift", "concept")

    def __post_init__(self) -> None:
        """Refuse a severity that there is not."""
        if self.severity not in SEVERITIES:
            raise UnknownNameError.from_name(
                "severity", str(self.severity), SEVERITIES, where="update.triggers.drift.severity"
            )

    def fires(self, situation: Situation) -> Fired | None:
        """Look through the alarms, the worst first."""
        found = [
            alarm
            for alarm in situation.alarms
            if alarm["key"].partition("/")[0] in self.monitors
            and SEVERITIES.index(alarm["severity"]) >= SEVERITIES.index(self.severity)
            and alarm.get("status", "open") == "open"
            and alarm["last"] > situation.last
            and _about(alarm, situation.champion)
        ]
        if not found:
            return None
        found.sort(key=lambda alarm: (-SEVERITIES.index(alarm["severity"]), alarm["key"]))
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        said = (found[0].get("record") or {}).get("text") or found[0]["key"]
        keys = [alarm["key"] for alarm in found]
        ids = [alarm["id"] for alarm in found if alarm.get("id") is not None]
        return Fired("drift", f"{said}{more}", {"alarms": keys, "ids": ids})


@dataclass(frozen=True)
class Decay(Trigger):
    """Fires when a figure of the newest window is worse than the champion's was, beyond what chance explains.

    Compared with the figure that the champion had when it was made; where that is not known, with its first window.
    A window whose whole 95 % interval is worse than that counts; one without an interval counts by its value.

    Args:
        figure: the figure, such as roc_auc.
        by: how much worse it must be, in the figure's unit.
    """

    figure: str = "roc_auc"
    by: float = 0.02

    def __post_init__(self) -> None:
        """Refuse a decay of less than nothing."""
        if not self.by >= 0:
            raise ParameterError(
                "A decay must be 0 or more", value=self.by, where="update.triggers.decay.by", hint="such as 0.02"
            )

    def fires(self, situation: Situation) -> Fired | None:
        """Compare the newest window that has the figure and ended since the last update."""
        seen = [
            (window, window["record"]["figures"][self.figure])
            for window in situation.windows
            if (window["record"].get("figures") or {}).get(self.figure) and window["until"] > situation.last
        ]
        if not seen:
            return None
        window, found = seen[-1]
        before = situation.reference.get(self.figure) or (seen[0][1] if len(seen) > 1 else None)
        if before is None or before.get("value") is None or found.get("value") is None:
            return None
        was, is_now = before["value"], found["value"]
        sign = -1.0 if self.figure in situation.lower else 1.0
        best = found.get("low" if sign < 0 else "high")
        surely = best is None or sign * (was - best) > 0
        if not (surely and sign * (was - is_now) >= self.by and is_now != was):
            return None
        text = f"{self.figure} was {was:.4g} and is {is_now:.4g} in the window to {window['until']:%Y-%m-%d %H:%M}"
        evidence = {"figure": self.figure, "was": was, "is": is_now, "low": found.get("low"), "high": found.get("high")}
        return Fired("decay", text, {**evidence, "until": window["until"].isoformat(), "by": self.by})


TRIGGERS: Mapping[str, type[Trigger]] = {
    "new_data": NewData,
    "schedule": Schedule,
    "drift": Drift,
    "decay": Decay,
    "labels": Labels,
    "age": Age,
}
"""Every trigger by its name in the config."""


def _about(alarm: Mapping[str, Any], champion: str | None) -> bool:
    """Whether an alarm is about the champion; one that names no version is about whoever answers."""
    version = (alarm.get("record") or {}).get("version")
    return champion is None or version is None or version == champion


def _counted(name: str, what: str, found: int | None, wanted: int) -> Fired | None:
    if found is None or found < wanted:
        return None
    text = f"{found:,} new {what} since the last update, {wanted:,} or more was set"
    return Fired(name, text, {what: found, "wanted": wanted})


def _at_least_one(value: int, key: str) -> None:
    if value < 1:
        raise ParameterError("This must be 1 or more", value=value, where=f"update.triggers.{key}", hint="such as 1000")
