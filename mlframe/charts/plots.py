"""The pictures of reports: lines, bars, histograms, matrices and densities, each an `mlframe.contracts.Chart`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import numpy as np
import numpy.typing as npt

from mlframe.charts.svg import WIDTH, Board, key_places, number, ticks
from mlframe.contracts import Chart

__all__ = ["Series", "bars", "columns", "density", "dots", "histogram", "lines", "matrix"]

Array = npt.NDArray[Any]

SHADES = 8


@dataclass(frozen=True)
class Series:
    """One line of a picture.

    Args:
        name: what the key calls it.
        x: shape (points,).
        y: shape (points,).
        marks: whether each point gets a marker.
        low: lower ends of intervals, shape (points,), or None.
        high: upper ends.
    """

    name: str
    x: Array
    y: Array
    marks: bool = False
    low: Array | None = None
    high: Array | None = None


def lines(
    name: str,
    title: str,
    alt: str,
    series: Sequence[Series],
    *,
    x: str,
    y: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    rule: tuple[float, float, float, float] | None = None,
    x_names: Sequence[tuple[float, str]] | None = None,
) -> Chart:
    """Draw lines over a number.

    Args:
        name: name of the chart.
        title: what it shows.
        alt: the same in words, with the main numbers.
        series: at most six lines.
        x: label of the x axis.
        y: label of the y axis.
        x_range: ends of the x axis, None for those of the data.
        y_range: ends of the y axis.
        rule: a dotted line for comparison: x1, y1, x2, y2.
        x_names: places and names on the x axis in stead of round numbers.
    """
    series_names = [item.name for item in series] if len(series) > 1 else []
    heights = y_range or _range([a for s in series for a in (s.y, s.low, s.high) if a is not None])
    board = Board(
        x_range or _range([s.x for s in series]),
        heights,
        left=max(58, 30 + 8 * max((len(number(tick)) for tick in ticks(*heights)), default=0)),
        top=_key_room(series_names),
    )
    board.y_axis(y)
    board.x_axis(x, x_names)
    if rule:
        board.rule(*rule)
    for style, item in enumerate(series):
        board.line(item.x.tolist(), item.y.tolist(), style)
        if item.low is not None and item.high is not None:
            for at, low, high in zip(item.x, item.low, item.high, strict=True):
                board.whisker(float(low), float(high), float(at), upright=True)
        if item.marks:
            for at, value in zip(item.x, item.y, strict=True):
                board.dot(float(at), float(value), style)
    board.key(series_names)
    return Chart(name, title, alt, board.text(title, alt))


def bars(
    name: str,
    title: str,
    alt: str,
    names: Sequence[str],
    values: Sequence[float],
    *,
    x: str,
    spread: Sequence[float] | None = None,
    percent: bool = False,
) -> Chart:
    """Draw lying bars, the first on top, each with its number.

    Args:
        name: name of the chart.
        title: what it shows.
        alt: the same in words.
        names: one a bar; long ones are cut.
        values: one a bar.
        x: label of the x axis.
        spread: half-width of a whisker on each bar, None for none.
        percent: write the values as percentages.
    """
    count = len(names)
    shown = [_cut(label, 20) for label in names]
    left = 16 + max((len(label) for label in shown), default=0) * 7
    fall = [v - (s if s > 0 else 0) for v, s in zip(values, spread or [0.0] * count, strict=True)]
    reach = [v + (s if s > 0 else 0) for v, s in zip(values, spread or [0.0] * count, strict=True)]
    low, high = min([0.0, *fall]), max([0.0, *reach])
    room = (high - low) * 0.28 or 1.0
    board = Board((low, high + room), (0, max(count, 1)), left=left, height=64 + 24 * count)
    digits = max(0, 2 - math.floor(math.log10(max(map(abs, values), default=1.0) or 1.0)))
    shown_ticks = [(v, f"{number(v * 100)} %" if percent else number(v)) for v in ticks(low, high, 4)]
    board.x_axis(x, shown_ticks)
    for i, (label, value) in enumerate(zip(shown, values, strict=True)):
        middle = count - i - 0.5
        board.bar(0, middle - 0.34, value, middle + 0.34)
        end = max(value, 0.0)
        if spread is not None and spread[i] > 0:
            board.whisker(value - spread[i], value + spread[i], middle, upright=False)
            end = max(end, value + spread[i])
        board.words(left - 6, board.py(middle) + 4, label, anchor="end")
        text = f"{value * 100:.1f} %" if percent else number(round(value, digits))
        board.words(board.px(end) + 6, board.py(middle) + 4, text)
    return Chart(name, title, alt, board.text(title, alt))


def dots(
    name: str,
    title: str,
    alt: str,
    names: Sequence[str],
    values: Sequence[float],
    lows: Sequence[float | None],
    highs: Sequence[float | None],
    *,
    x: str,
    rule: float | None = None,
    notes: Sequence[str] = (),
    percent: bool = False,
) -> Chart:
    """Draw numbers with their intervals, one below the other, each under its own name, so that long names fit.

    Args:
        name: name of the chart.
        title: what it shows.
        alt: the same in words.
        names: one a number, of two lines at most.
        values: one a number.
        lows: lower ends of the intervals, None where there is none.
        highs: upper ends.
        x: label of the x axis.
        rule: a dotted line for comparison.
        notes: a few words behind each name, such as the rows; empty for none.
        percent: write the values as percentages.
    """
    texts = [wrap(f"{label} {notes[i]}" if notes else label, 57)[:2] or [""] for i, label in enumerate(names)]
    heights = [24 + 15 * len(lines) for lines in texts]
    ends = [end for end in (*values, *lows, *highs, rule) if end is not None]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    room = (high - low) * 0.04
    whole = max(sum(heights), 1)
    board = Board((low - room, high + room * 4), (0, whole), left=16, right=24, height=58 + whole)
    board.x_axis(x, [(v, f"{number(v * 100)} %" if percent else number(v)) for v in ticks(low, high, 4)])
    top = float(whole)
    for i, (value, below, above) in enumerate(zip(values, lows, highs, strict=True)):
        for n, text in enumerate(texts[i]):
            board.words(board.left, board.py(top - 12 - 15 * n), text)
        line, top = top - 12 - 15 * len(texts[i]) + 1, top - heights[i]
        if rule is not None:
            board.rule(rule, line + 9, rule, top)
        if below is not None and above is not None:
            board.whisker(below, above, line, upright=False)
        board.dot(value, line)
        text = f"{value * 100:.1f} %" if percent else number(value)
        end = max(value, above if above is not None else value)
        fits = board.px(end) + 8 + 7 * len(text) < board.width
        start = board.px(end) + 8 if fits else board.px(min(value, below if below is not None else value)) - 8
        board.words(start, board.py(line) + 4, text, anchor="start" if fits else "end", faint=True)
    return Chart(name, title, alt, board.text(title, alt))


def columns(
    name: str, title: str, alt: str, names: Sequence[str], values: Sequence[float], *, y: str, x: str = ""
) -> Chart:
    """Draw standing bars; names that do not fit are left out evenly."""
    count = len(names)
    board = Board((0, max(count, 1)), (0, max(max(values, default=1.0), 1e-12) * 1.08), left=58)
    board.y_axis(y)
    step = max(1, -(-count // 6))
    board.x_axis(x, [(i + 0.5, _cut(names[i], 10)) for i in range(0, count, step)])
    for i, value in enumerate(values):
        board.bar(i + 0.1, 0, i + 0.9, value)
    return Chart(name, title, alt, board.text(title, alt))


def histogram(
    name: str,
    title: str,
    alt: str,
    edges: Array,
    groups: Sequence[tuple[str, Array]],
    *,
    x: str,
    y: str = "share of rows",
) -> Chart:
    """Draw shares by bins, one outline a group.

    Args:
        name: name of the chart.
        title: what it shows.
        alt: the same in words.
        edges: shape (bins + 1,).
        groups: name and shares, shape (bins,), of each group.
        x: label of the x axis.
        y: label of the y axis.
    """
    top = max(float(shares.max(initial=0.0)) for _, shares in groups) or 1.0
    names = [_cut(label, 20) for label, _ in groups] if len(groups) > 1 else []
    board = Board((float(edges[0]), float(edges[-1])), (0, top * 1.05), left=58, top=_key_room(names))
    board.y_axis(y)
    board.x_axis(x)
    for style, (_, shares) in enumerate(groups):
        if style == 0:
            for left, right, share in zip(edges[:-1], edges[1:], shares, strict=True):
                board.bar(float(left), 0, float(right), float(share), 0, opacity=0.35 if len(groups) > 1 else 0.8)
        if len(groups) > 1:
            board.line(np.repeat(edges, 2)[1:-1].tolist(), np.repeat(shares, 2).tolist(), style, width=1.8)
    board.key(names)
    return Chart(name, title, alt, board.text(title, alt))


def matrix(name: str, title: str, alt: str, labels: Sequence[str], cells: Array) -> Chart:
    """Draw a confusion matrix: truth downwards, prediction across, shaded by the share of each truth's rows.

    Args:
        name: name of the chart.
        title: what it shows.
        alt: the same in words.
        labels: one a class.
        cells: counts or weights, shape (classes, classes).
    """
    size = len(labels)
    shown = [_cut(label, 12 if size < 6 else 8) for label in labels]
    left = 40 + max(len(label) for label in shown) * 7
    board = Board((0, size), (0, size), left=left, height=max(190, 70 + 44 * size), bottom=28, top=46)
    widest = max(2, int((WIDTH - left - 14) / size / 8))
    shares = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1e-12)
    board.words((left + WIDTH) / 2, 16, "predicted", anchor="middle", faint=True)
    middle = (board.top + board.height - board.bottom) / 2
    board.words(13, middle, "true", anchor="middle", faint=True, extra=f'transform="rotate(-90 13 {middle:.1f})"')
    for i in range(size):
        board.words(board.px(i + 0.5), 38, _cut(labels[i], widest), anchor="middle", bold=True)
        board.words(left - 8, board.py(size - i - 0.5) + 4, shown[i], anchor="end", bold=True)
        for j in range(size):
            x, y = j, size - i - 1
            board.bar(x + 0.02, y + 0.03, x + 0.98, y + 0.97, opacity=0.04 + 0.5 * float(shares[i, j]))
            board.frame(x + 0.02, y + 0.03, x + 0.98, y + 0.97)
            px, py = board.px(x + 0.5), board.py(y + 0.5)
            if size <= 6:
                board.words(px, py, number(float(cells[i, j])), anchor="middle", bold=i == j)
                board.words(px, py + 16, f"{shares[i, j] * 100:.1f} %", anchor="middle", faint=True)
            elif size <= 12:
                board.words(px, py + 4, number(float(cells[i, j])), anchor="middle", bold=i == j)
    board.words((left + WIDTH) / 2, board.height - 8, "percent of each true class", anchor="middle", faint=True)
    return Chart(name, title, alt, board.text(title, alt))


def density(
    name: str,
    title: str,
    alt: str,
    xs: Array,
    ys: Array,
    *,
    x: str,
    y: str,
    rule: str = "diagonal",
    bins: int = 36,
) -> Chart:
    """Draw how many points fall on each small square; the outermost half percent on each side is cut off.

    Args:
        name: name of the chart.
        title: what it shows.
        alt: the same in words.
        xs: shape (points,).
        ys: shape (points,).
        x: label of the x axis.
        y: label of the y axis.
        rule: `diagonal` (both axes get one range), `zero` or `none`.
        bins: squares on each axis.
    """
    x_range, y_range = _middle(xs), _middle(ys)
    if rule == "diagonal":
        x_range = y_range = (min(x_range[0], y_range[0]), max(x_range[1], y_range[1]))
    board = Board(x_range, y_range, left=66)
    counts, x_edges, y_edges = np.histogram2d(xs, ys, bins=bins, range=[board.x, board.y])
    board.y_axis(y)
    board.x_axis(x)
    top = max(float(np.log1p(counts.max())), 1e-12)
    levels = np.ceil(np.log1p(counts) / top * SHADES)
    for level in range(1, SHADES + 1):
        found = zip(*np.nonzero(levels == level), strict=True)
        boxes = [(float(x_edges[i]), float(y_edges[j]), float(x_edges[i + 1]), float(y_edges[j + 1])) for i, j in found]
        board.squares(boxes, 0.1 + 0.9 * level / SHADES)
    if rule == "diagonal":
        board.rule(board.x[0], board.x[0], board.x[1], board.x[1])
    elif rule == "zero":
        board.rule(board.x[0], 0.0, board.x[1], 0.0)
    return Chart(name, title, alt, board.text(title, alt))


def _key_room(names: Sequence[str]) -> int:
    return key_places(names, 58, WIDTH)[1] if names else 12


def _range(arrays: Sequence[Array]) -> tuple[float, float]:
    values = np.concatenate([np.asarray(a, dtype=np.float64) for a in arrays])
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    room = (high - low) * 0.05
    return low - room, high + room


def _middle(values: Array) -> tuple[float, float]:
    low, high = np.quantile(values, [0.005, 0.995])
    room = (high - low) * 0.03
    return float(low - room), float(high + room)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
