"""When something is due: every so often, or by a crontab line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mlframe.contracts.amounts import parse_duration
from mlframe.errors import ParameterError

__all__ = ["Cron", "Every", "parse_schedule"]

FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))
YEARS = 8
"""A crontab line with no moment in so many years (29 February comes every four, at most eight) has none."""


@dataclass(frozen=True)
class Every:
    """Due a fixed time after the last one.

    Args:
        seconds: the time between.
        text: as it was written.
    """

    seconds: float
    text: str

    def after(self, last: datetime) -> datetime:
        """Return the first moment after `last` at which it is due."""
        return last + timedelta(seconds=self.seconds)


@dataclass(frozen=True)
class Cron:
    """Due at the minutes (UTC) of a crontab line: minute, hour, day of the month, month, day of the week (0 and 7: Sunday).

    Where both days are restricted, either one is enough, as in crontab(5).

    Args:
        fields: the values that each field allows.
        stars: whether the day of the month, and that of the week, are unrestricted.
        text: as it was written.
    """

    fields: tuple[frozenset[int], ...]
    stars: tuple[bool, bool]
    text: str

    def after(self, last: datetime) -> datetime:
        """Return the first moment after `last` at which it is due.

        Raises:
            ParameterError: there is none, as of `0 0 30 2 *`.
        """
        minutes, hours, _, months, _ = self.fields
        moment = last.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        while moment.year <= last.year + YEARS:
            if moment.month not in months or not self._day(moment):
                moment = moment.replace(hour=0, minute=0) + timedelta(days=1)
            elif moment.hour not in hours:
                moment = moment.replace(minute=0) + timedelta(hours=1)
            elif moment.minute not in minutes:
                moment += timedelta(minutes=1)
            else:
                return moment
        raise ParameterError(
            "This schedule never comes",
            value=self.text,
            where="update.triggers.schedule.every",
            hint="name a day that some month has, such as '0 6 1 * *'",
        )

    def _day(self, moment: datetime) -> bool:
        day, week = moment.day in self.fields[2], moment.isoweekday() % 7 in self.fields[4]
        return (day or week) if not any(self.stars) else (day and week)


def parse_schedule(text: str | float, *, where: str) -> Every | Cron:
    """Read a duration such as `7d`, or a crontab line such as `0 3 * * 1` (UTC).

    Raises:
        ParameterError: it is neither, or never comes.
    """
    parts = str(text).split()
    if len(parts) == 1:
        seconds = parse_duration(text, where=where)
        assert seconds is not None
        return Every(seconds, str(text))
    if len(parts) != len(FIELDS):
        raise _bad(text, f"a crontab line has five fields, this has {len(parts)}", where)
    fields = [_field(part, FIELDS[index], str(text), where) for index, part in enumerate(parts)]
    fields[4] = frozenset(day % 7 for day in fields[4])
    cron = Cron(tuple(fields), (parts[2] == "*", parts[4] == "*"), str(text))
    try:
        cron.after(datetime(2000, 1, 1, tzinfo=UTC))
    except ParameterError as error:
        raise error.at(where) from None
    return cron


def _field(part: str, field: tuple[str, int, int], text: str, where: str) -> frozenset[int]:
    name, least, most = field
    allowed: set[int] = set()
    for piece in part.split(","):
        match = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/(\d+))?", piece)
        if match is None:
            raise _bad(text, f"{piece!r} is no {name}", where)
        first, last, step = match[1], match[2], int(match[3] or 1)
        low = least if first is None else int(first)
        high = int(last) if last else (low if first is not None and match[3] is None else most)
        if not (least <= low <= high <= most) or step < 1:
            raise _bad(text, f"{piece!r} is no {name} ({least} to {most})", where)
        allowed.update(range(low, high + 1, step))
    return frozenset(allowed)


def _bad(text: str | float, why: str, where: str) -> ParameterError:
    hint = f"{why}; write a duration such as 12h or 7d, or minute, hour, day, month and weekday: '0 3 * * 1'"
    return ParameterError("Not a schedule", value=text, where=where, hint=hint)
