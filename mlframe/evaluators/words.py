"""Numbers in sentences."""

from __future__ import annotations

from mlframe.charts.svg import number

__all__ = ["ends", "say", "signed"]


def say(value: float) -> str:
    """Write a number with three significant digits."""
    return number(value)


def signed(value: float) -> str:
    """Write a change with its sign."""
    return f"+{number(value)}" if value > 0 else number(value)


def ends(low: float | None, high: float | None) -> str:
    """Write the ends of an interval in brackets; nothing when there is none."""
    return "" if low is None or high is None else f" ({number(low)} to {number(high)})"
