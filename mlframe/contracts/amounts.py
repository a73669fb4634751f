"""Amounts of memory and time, and moments, as people write them in a config: `8GB`, `10m`, `2026-11-25T08:30`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mlframe.errors import ConfigError, ParameterError

__all__ = ["parse_duration", "parse_moment", "parse_size"]

UNITS = {
    "": 1,
    "B": 1,
    "K": 1 << 10,
    "KB": 1 << 10,
    "M": 1 << 20,
    "MB": 1 << 20,
    "G": 1 << 30,
    "GB": 1 << 30,
    "TB": 1 << 40,
}

SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

LONGEST = 999_999_999 * 86400
"""Seconds that a `timedelta` can hold."""


def parse_size(text: str | int | None, *, where: str) -> int | None:
    """Return the bytes of a text such as `8GB` (powers of 1024), None for None.

    Raises:
        ParameterError: the text is no size.
    """
    if text is None:
        return None
    value = str(text).strip().upper().replace(" ", "").replace("IB", "B")
    number = value.rstrip("BKMGT")
    try:
        size = int(float(number) * UNITS[value[len(number) :]])
    except (ValueError, KeyError, OverflowError):
        size = -1
    if size <= 0:
        raise ParameterError("Not a size of memory", value=text, where=where, hint="write it like 500MB or 8GB")
    return size


def parse_duration(text: str | float | None, *, where: str, zero: bool = False) -> float | None:
    """Return the seconds of a text such as `90`, `10m` or `1.5h`, None for None.

    Args:
        text: what a person wrote.
        where: the config key, for errors.
        zero: whether no time at all (`0d`) is one.

    Raises:
        ParameterError: the text is no duration.
    """
    if text is None:
        return None
    value = str(text).strip().lower()
    try:
        seconds = float(value.rstrip("smhdw")) * SECONDS[value[len(value.rstrip("smhdw")) :]]
    except (ValueError, KeyError):
        seconds = -1.0
    if not (seconds >= 0 if zero else seconds > 0) or seconds >= LONGEST:
        hint = f"write it like {'0d, 12h or 7d' if zero else '90s, 2h or 7d'}"
        raise ParameterError("Not a duration", value=text, where=where, hint=hint)
    return seconds


def parse_moment(value: Any, *, where: str) -> datetime | None:
    """Return the moment (UTC) of a day or moment in ISO 8601, None for None; one without a zone is UTC.

    Args:
        value: what a person wrote, or YAML made of it.
        where: the config key, for errors.

    Raises:
        ConfigError: it is no moment.
    """
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(str(value).strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:  # the second: a zone takes it beyond the first or last year
        hint = "write it like 2026-11-25 or 2026-11-25T08:30"
        raise ConfigError("Not a moment", value=value, where=where, hint=hint) from error
