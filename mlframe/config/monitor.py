"""What the values of `monitor` mean: a window, from where to where, how long labels take."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from mlframe.contracts.amounts import parse_duration, parse_moment
from mlframe.contracts.monitoring import LOG
from mlframe.errors import ConfigError, ParameterError

__all__ = ["SOURCE", "check_maturity", "check_span", "check_window", "watched"]

SOURCE = "data.source"
"""Whose rows a window is of, as the store keeps it, where they are those of the data; a file's are `input=FILE`."""


def watched(config: Mapping[str, Any]) -> str:
    """Return whose rows a config looks at: the log's, those of the data's source, or a file's."""
    if config.get("input"):
        return f"input={config['input']}"
    return LOG if config["monitor"]["rows"] == LOG else SOURCE


def check_window(config: Mapping[str, Any]) -> timedelta | int:
    """Return `monitor.window`: a length of time, or a number of predictions.

    Raises:
        ParameterError: it is neither.
    """
    value, where = config["window"], "monitor.window"
    hint = "give a length of time such as 1h, 1d or 1w, or a number of predictions such as 5000"
    text = str(value).strip()
    if isinstance(value, int) or text.lstrip("+-").isdigit():
        if isinstance(value, bool) or int(value) < 1:
            raise ParameterError("A window needs one prediction or more", value=value, where=where, hint=hint)
        return int(value)
    if value is None or isinstance(value, float):
        raise ParameterError("This is no window", value=value, where=where, hint=hint)
    try:
        seconds = parse_duration(text, where=where) or 0.0
    except ParameterError as error:
        raise ParameterError("This is no window", value=value, where=where, hint=hint) from error
    if seconds < 1 or seconds > 366 * 86400:
        raise ParameterError("A window lasts between 1s and 366d", value=value, where=where, hint=hint)
    return timedelta(seconds=seconds)


def check_span(config: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    """Return `monitor.since` and `monitor.until` (UTC), None where they say nothing.

    Raises:
        ConfigError: one of them is no moment, or nothing lies between them.
    """
    since, until = (parse_moment(config[key], where=f"monitor.{key}") for key in ("since", "until"))
    if since is not None and until is not None and until <= since:
        hint = f"monitor.since is {since:%Y-%m-%dT%H:%M}; give a later moment"
        raise ConfigError("Nothing lies before monitor.until", value=config["until"], where="monitor.until", hint=hint)
    return since, until


def check_maturity(config: Mapping[str, Any]) -> timedelta:
    """Return `monitor.maturity`.

    Raises:
        ParameterError: it is no length of time.
    """
    return timedelta(seconds=parse_duration(config["maturity"], where="monitor.maturity", zero=True) or 0.0)
