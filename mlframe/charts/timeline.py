"""Pictures along time: a figure window by window with the events marked, and lanes of what held from when to when.

Events stand above the axes as letters, a row for each letter, so that they are told apart without colour and never
cover a line. Lanes carry their names above their bars, so that a picture is legible on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from mlframe.charts.svg import COLOURS, WIDTH, Board, key_places, number, ticks
from mlframe.contracts import Chart, Interval

__all__ = ["Bar", "Event", "Lane", "Point", "figure", "lanes", "moment", "time_ticks"]

Level = Literal["ok", "info", "warning", "problem"]

STYLES = {
    "ok": (COLOURS[2], 0.35),
    "info": (COLOURS[0], 0.5),
    "warning": (COLOURS[1], 0.65),
    "problem": ("#a8341a", 1.0),
}
"""Colour and opacity of a level: in grey each is darker than the one before."""
MARK_ROW, MARK_ROOM = 14, 11
MANY_WHISKERS = 45
HOUR, DAY = 3600, 86400
STEPS = (
    1,
    5,
    15,
    60,
    300,
    900,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    30 * DAY,
    91 * DAY,
    182 * DAY,
    365 * DAY,
)
LABELS = 5
LEAST = 3
"""Width of the shortest bar in units of the picture: an hour's alarm is seen in the picture of a year."""
LEFT = 10
"""Room beside lanes, whose names stand above their bars."""


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Args:
        when: the moment (UTC).
        letter: what kind it is, one letter that the page explains.
        text: what happened, a sentence.
        who: who did it.
    """

    when: datetime
    letter: str
    text: str
    who: str = ""


@dataclass(frozen=True)
class Point:
    """A figure in one window.

    Args:
        since: the window's first moment.
        until: its end.
        value: the figure with its interval.
        series: whose it is, such as a version; each gets a line of its own.
    """

    since: datetime
    until: datetime
    value: Interval
    series: str = ""

    @property
    def middle(self) -> float:
        """Seconds since 1970 of the window's middle."""
        return (self.since.timestamp() + self.until.timestamp()) / 2


@dataclass(frozen=True)
class Bar:
    """What held from one moment to another."""

    since: datetime
    until: datetime
    level: Level = "ok"
    text: str = ""


@dataclass(frozen=True)
class Lane:
    """Bars under one name."""

    name: str
    bars: Sequence[Bar]


def figure(
    name: str,
    title: str,
    points: Sequence[Point],
    events: Sequence[Event],
    span: tuple[datetime, datetime],
    *,
    y: str,
    level: float | None = None,
) -> Chart:
    """Draw a figure window by window, with its intervals and the events.

    Args:
        name: name of the chart.
        title: what it shows.
        points: one a window and series; at least one.
        events: those outside the span are not drawn.
        span: ends of the time axis; equal ones let pictures be compared downwards.
        y: label of the y axis: the unit.
        level: a value for comparison, such as that of the holdout, drawn as a dotted line.
    """
    shown = [event for event in events if span[0] <= event.when <= span[1]]
    letters = sorted({event.letter for event in shown})
    heights = _heights(points, level)
    widest = max((len(number(tick)) for tick in ticks(*heights)), default=0)
    board = Board(
        (span[0].timestamp(), span[1].timestamp()),
        heights,
        height=230 + MARK_ROW * len(letters),
        left=max(58, 30 + 8 * widest),
        top=6 + MARK_ROW * len(letters),
    )
    board.y_axis(y)
    board.x_axis("", time_ticks(*span))
    if level is not None:
        board.rule(board.x[0], level, board.x[1], level)
    _marks(board, shown, letters)
    told = []
    for series, style in _series(points):
        own = [point for point in points if point.series == series]
        xs = [point.middle for point in own]
        board.line(xs, [point.value.value for point in own], style)
        _intervals(board, own, style)
        if len(own) <= MANY_WHISKERS:
            for point in own:
                board.dot(point.middle, point.value.value, style)
        values = [point.value.value for point in own]
        told.append(
            f"{f'{series}: ' if series else ''}from {number(values[0])} to {number(values[-1])} in {len(own)} "
            f"window{'s' if len(own) > 1 else ''}, {number(min(values))} at least and {number(max(values))} at most"
        )
    ordered = sorted(shown, key=lambda event: event.when)
    marks = ", ".join(list(dict.fromkeys(f"{event.letter} {moment(event.when)}" for event in ordered))[:12])
    rule = f" The dotted line is {number(level)}, the value when it was trained." if level is not None else ""
    alt = f"{'; '.join(told)}.{rule}{f' Marked: {marks}.' if marks else ''}"
    return Chart(name, title, alt, board.text(title, alt))


def lanes(
    name: str,
    title: str,
    alt: str,
    found: Sequence[Lane],
    events: Sequence[Event],
    span: tuple[datetime, datetime],
    *,
    key: Mapping[str, str] | None = None,
) -> Chart:
    """Draw what held from when to when, a lane each, with the events above.

    Args:
        name: name of the chart.
        title: what it shows.
        alt: the same in words.
        found: the lanes, from above.
        events: those outside the span are not drawn.
        span: ends of the time axis.
        key: what the levels are called where they mean something else.
    """
    shown = [event for event in events if span[0] <= event.when <= span[1]]
    letters = sorted({event.letter for event in shown})
    levels = [level for level in STYLES if any(bar.level == level for lane in found for bar in lane.bars)]
    names: dict[str, str] = {**(key or {})}
    places, room = key_places([names.get(level, level) for level in levels], LEFT, WIDTH)
    step, top = 36, 6 + room + MARK_ROW * len(letters)
    board = Board(
        (span[0].timestamp(), span[1].timestamp()),
        (0, len(found)),
        height=top + step * len(found) + 46,
        left=LEFT,
        top=top,
    )
    least = LEAST * (board.x[1] - board.x[0]) / (board.width - board.left - board.right)
    for level, (px, py) in zip(levels, places, strict=True):
        _swatch(board, level, names.get(level, level), px, py)
    board.x_axis("", time_ticks(*span))
    _marks(board, shown, letters)
    for row, lane in enumerate(found):
        base = len(found) - row - 1
        board.words(board.left, board.py(base + 1) + 13, _cut(lane.name, 54))
        for bar in sorted(lane.bars, key=lambda bar: list(STYLES).index(bar.level)):  # the worst is never covered
            fill, opacity = STYLES[bar.level]
            x1 = max(bar.since.timestamp(), board.x[0])
            x2 = min(max(bar.until.timestamp(), bar.since.timestamp()), board.x[1])
            if x2 < board.x[0] or x1 > board.x[1]:
                continue
            x2 = min(max(x2, x1 + least), board.x[1])
            x1 = min(x1, x2 - least)
            board.bar(x1, base + 0.1, x2, base + 0.5, fill=fill, opacity=opacity)
            board.frame(x1, base + 0.1, x2, base + 0.5)
            if bar.text and board.px(x2) - board.px(x1) > 8 * len(bar.text):
                board.words(board.px(x1) + 4, board.py(base + 0.1) - 3.5, bar.text)
    return Chart(name, title, alt, board.text(title, alt))


def time_ticks(since: datetime, until: datetime) -> list[tuple[float, str]]:
    """Return round moments of a span, in UTC, and what the axis calls them."""
    low, high = since.timestamp(), until.timestamp()
    if not high > low:
        return [(low, moment(since))]
    step = float(next((step for step in STEPS if (high - low) / step <= LABELS), STEPS[-1]))
    step *= max(1, math.ceil((high - low) / step / LABELS))
    form = (
        "%H:%M:%S"
        if step < 60
        else "%H:%M"
        if step < DAY and high - low < DAY
        else "%d %b %H:%M"
        if step < DAY
        else "%d %b"
    )
    if high - low > 300 * DAY:
        form = "%b %Y"
    first = math.ceil(low / step - 1e-9) * step
    places = [first + i * step for i in range(int((high - first) // step) + 1)]
    limit = 3 if "%d %b %H" in form else LABELS
    places = places[:: max(1, math.ceil(len(places) / limit))]
    if not places:
        places = [low]
    return [(place, datetime.fromtimestamp(place, UTC).strftime(form)) for place in places]


def moment(when: datetime, *, seconds: bool = False) -> str:
    """Return a moment in UTC to the minute, or to the second."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def _swatch(board: Board, level: str, name: str, px: float, py: float) -> None:
    """Draw what a level looks like, with its name, at a place in units of the picture."""
    fill, opacity = STYLES[level]
    board.box(px, py - 11, 24, 13, fill, opacity)
    board.words(px + 29, py, name)


def _series(points: Sequence[Point]) -> Iterator[tuple[str, int]]:
    """Give each series with its style: the plain one unless it shares its time with another."""
    ends: list[datetime] = []
    names = list(dict.fromkeys(point.series for point in sorted(points, key=lambda point: point.since)))
    for name in names:
        own = [point for point in points if point.series == name]
        first, last = min(point.since for point in own), max(point.until for point in own)
        style = next((i for i, end in enumerate(ends) if end <= first), len(ends))
        ends[style : style + 1] = [last]
        yield name, style


def _intervals(board: Board, points: Sequence[Point], style: int) -> None:
    """Draw whiskers, or where they would touch, thin lines along the ends."""
    known = [
        (point.middle, low, high)
        for point in points
        if (low := point.value.low) is not None and (high := point.value.high) is not None
    ]
    if len(known) <= MANY_WHISKERS:
        for at, low, high in known:
            board.whisker(max(low, board.y[0]), min(high, board.y[1]), at, upright=True)
        return
    for end in (1, 2):
        ys = [min(max(item[end], board.y[0]), board.y[1]) for item in known]
        board.line([item[0] for item in known], ys, style, width=0.7)


def _marks(board: Board, events: Sequence[Event], letters: Sequence[str]) -> None:
    """Write the letters of events above the axes; of those that would touch only the first has a line and a letter."""
    for row, letter in enumerate(letters):
        last = -math.inf
        for event in sorted((event for event in events if event.letter == letter), key=lambda event: event.when):
            place = board.px(event.when.timestamp())
            if place - last < MARK_ROOM:
                continue
            last = place
            board.words(place, board.top + 6 - MARK_ROW * (len(letters) - row), letter, anchor="middle", bold=True)
            board.rule(event.when.timestamp(), board.y[0], event.when.timestamp(), board.y[1])


def _heights(points: Sequence[Point], level: float | None) -> tuple[float, float]:
    """Return the ends of the y axis: the values, and their intervals as far as these leave the values legible."""
    values = [point.value.value for point in points] + ([] if level is None else [level])
    low, high = min(values), max(values)
    reach = max(high - low, abs(high) * 0.02, 1e-9) * 1.5
    ends = [end for point in points for end in (point.value.low, point.value.high) if end is not None]
    low = min([low, *(max(end, low - reach) for end in ends)])
    high = max([high, *(min(end, high + reach) for end in ends)])
    room = (high - low) * 0.06 or abs(high) * 0.05 or 0.5
    return (0.0 if 0 <= low < room else low - room), high + room


def span_of(windows: Sequence[tuple[datetime, datetime]], events: Sequence[Event]) -> tuple[datetime, datetime]:
    """Return the time that windows cover, and what happened within one window's length after it."""
    since, until = min(window[0] for window in windows), max(window[1] for window in windows)
    longest = max((window[1] - window[0] for window in windows), default=timedelta())
    later = [event.when for event in events if until < event.when <= until + longest]
    return since, max([until, *(when + longest * 0.05 for when in later)])


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
