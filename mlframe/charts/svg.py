"""A small drawing board: axes, ticks and marks as self-contained SVG text.

Pictures are written directly because a report needs a dozen of them within the time that a plotting library takes to
import. Axes and words take the colour of the surrounding text, so that a picture is legible on light and dark pages and
on paper; series differ in dashes and markers as well as in colours (Okabe and Ito 2008), and carry their names.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["COLOURS", "DASHES", "HEIGHT", "WIDTH", "Board", "key_places", "number", "ticks"]

WIDTH, HEIGHT = 420, 300
COLOURS = ("#2f7fc1", "#d0601a", "#1c9a78", "#b8609a", "#8a8a2a", "#6a6a6a")
DASHES = ("", "7 4", "2 3", "9 3 2 3", "4 2", "1 4")
FONT = 13


def number(value: float) -> str:
    """Write a number with the digits that a reader needs: 3 significant ones, thousands set apart by thin spaces."""
    if not math.isfinite(value):
        return "n/a"
    size = abs(value)
    if size != 0 and (size >= 1e7 or size < 1e-4):
        return f"{value:.2e}"
    if size >= 1000:
        return f"{value:,.0f}".replace(",", "\u202f")
    if value == int(value):
        return str(int(value))
    digits = max(0, 2 - math.floor(math.log10(size))) if size < 1 else (2 if size < 10 else 1)
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round numbers within a range."""
    span = high - low
    if not span > 0:
        return [low]
    raw = span / max(1, count)
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12 - math.floor(math.log10(step)) if step < 1 else 6) for i in range(first, last + 1)]


class Board:
    """One picture with a linear x axis and a linear y axis.

    Args:
        x: range of the x axis.
        y: range of the y axis.
        width: width in units of the picture.
        height: height in units.
        left: room for the labels of the y axis, in units.
        bottom: room for the labels of the x axis.
        top: room above the axes.
        right: room beside the axes.
    """

    def __init__(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        *,
        width: int = WIDTH,
        height: int = HEIGHT,
        left: int = 52,
        bottom: int = 46,
        top: int = 12,
        right: int = 14,
    ) -> None:
        self.x, self.y = _open(x), _open(y)
        self.width, self.height = width, height
        self.left, self.bottom, self.top, self.right = left, bottom, top, right
        self._parts: list[str] = []

    def px(self, value: float) -> float:
        """Return the horizontal place of a value."""
        low, high = self.x
        return self.left + (value - low) / (high - low) * (self.width - self.left - self.right)

    def py(self, value: float) -> float:
        """Return the vertical place of a value."""
        low, high = self.y
        return self.height - self.bottom - (value - low) / (high - low) * (self.height - self.top - self.bottom)

    def x_axis(self, label: str, at: Iterable[tuple[float, str]] | None = None) -> None:
        """Draw the x axis with a label; `at` gives places and names in stead of round numbers."""
        base = self.height - self.bottom
        for value, name in at if at is not None else [(v, number(v)) for v in ticks(*self.x)]:
            place = self.px(value)
            self._line(place, base, place, base + 4, 'stroke-opacity=".6"')
            half = len(name) * FONT * 0.29  # a name at an end of the axis stays within the picture
            self.words(min(max(place, half), self.width - half), base + 18, name, anchor="middle")
        self._line(self.left, base, self.width - self.right, base, 'stroke-opacity=".6"')
        self.words((self.left + self.width - self.right) / 2, self.height - 8, label, anchor="middle", faint=True)

    def y_axis(self, label: str, at: Iterable[tuple[float, str]] | None = None) -> None:
        """Draw the y axis with light lines across and a label along it."""
        for value, name in at if at is not None else [(v, number(v)) for v in ticks(*self.y)]:
            place = self.py(value)
            self._line(self.left, place, self.width - self.right, place, 'stroke-opacity=".15"')
            self.words(self.left - 6, place + 4, name, anchor="end")
        middle = (self.top + self.height - self.bottom) / 2
        if label:
            turn = f'transform="rotate(-90 13 {middle:.1f})"'
            self.words(13, middle, label, anchor="middle", faint=True, extra=turn)

    def line(self, xs: Sequence[float], ys: Sequence[float], style: int = 0, *, width: float = 2.2) -> None:
        """Draw a line in the colour and dashes of a style."""
        known = [(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(x) and math.isfinite(y)]
        points = " ".join(f"{self.px(x):.1f},{self.py(y):.1f}" for x, y in known)
        dash = f' stroke-dasharray="{DASHES[style % 6]}"' if DASHES[style % 6] else ""
        self._parts.append(
            f'<polyline points="{points}" fill="none" stroke="{COLOURS[style % 6]}" stroke-width="{width}"{dash}/>'
        )

    def rule(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """Draw a thin dotted line for comparison."""
        extra = 'stroke-opacity=".6" stroke-dasharray="2 4"'
        self._line(self.px(x1), self.py(y1), self.px(x2), self.py(y2), extra)

    def bar(
        self, x1: float, y1: float, x2: float, y2: float, style: int = 0, *, opacity: float = 0.85, fill: str = ""
    ) -> None:
        """Fill the box between two corners, in the colour of a style or in one of its own."""
        left, right = sorted((self.px(x1), self.px(x2)))
        top, bottom = sorted((self.py(y1), self.py(y2)))
        self._parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(0.5, right - left):.1f}" height="{bottom - top:.1f}"'
            f' fill="{fill or COLOURS[style % 6]}" fill-opacity="{opacity:.2f}"/>'
        )

    def box(self, px: float, py: float, width: float, height: float, fill: str, opacity: float) -> None:
        """Fill and frame a box at a place given in units of the picture."""
        self._parts.append(
            f'<rect x="{px:.1f}" y="{py:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"'
            f' fill-opacity="{opacity:.2f}" stroke="currentColor" stroke-opacity=".35"/>'
        )

    def frame(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """Draw the thin outline of a box."""
        left, right = sorted((self.px(x1), self.px(x2)))
        top, bottom = sorted((self.py(y1), self.py(y2)))
        self._parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}" fill="none"'
            f' stroke="currentColor" stroke-opacity=".35"/>'
        )

    def whisker(self, low: float, high: float, at: float, *, upright: bool) -> None:
        """Draw an interval with short end lines: upright at x = `at`, else lying at y = `at`."""
        if upright:
            x, y1, y2 = self.px(at), self.py(low), self.py(high)
            lines = [(x, y1, x, y2), (x - 4, y1, x + 4, y1), (x - 4, y2, x + 4, y2)]
        else:
            y, x1, x2 = self.py(at), self.px(low), self.px(high)
            lines = [(x1, y, x2, y), (x1, y - 4, x1, y + 4), (x2, y - 4, x2, y + 4)]
        for line in lines:
            self._line(*line, 'stroke-width="1.4"')

    def dot(self, x: float, y: float, style: int = 0) -> None:
        """Draw a marker: circle, square, triangle or rhombus by style."""
        px, py = self.px(x), self.py(y)
        shapes = (
            f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4"',
            f'<rect x="{px - 3.5:.1f}" y="{py - 3.5:.1f}" width="7" height="7"',
            f'<path d="M{px:.1f} {py - 4.5:.1f}l4.5 8h-9z"',
            f'<path d="M{px:.1f} {py - 5:.1f}l5 5l-5 5l-5 -5z"',
        )
        self._parts.append(f'{shapes[style % 4]} fill="{COLOURS[style % 6]}"/>')

    def words(
        self,
        px: float,
        py: float,
        text: str,
        *,
        anchor: str = "start",
        faint: bool = False,
        bold: bool = False,
        extra: str = "",
    ) -> None:
        """Write a text at a place given in units of the picture."""
        looks = f'text-anchor="{anchor}"'
        if faint:
            looks += ' fill-opacity=".75"'
        if bold:
            looks += ' font-weight="600"'
        self._parts.append(f'<text x="{px:.1f}" y="{py:.1f}" {looks} {extra}>{escape(text)}</text>')

    def key(self, names: Sequence[str]) -> None:
        """Write the names of the styles above the axes, which need the room that `key_places` asks for."""
        places, _ = key_places(names, self.left, self.width)
        for style, (name, (px, py)) in enumerate(zip(names, places, strict=True)):
            dash = f' stroke-dasharray="{DASHES[style % 6]}"' if DASHES[style % 6] else ""
            ends = f'x1="{px}" y1="{py - 4}" x2="{px + 24}" y2="{py - 4}"'
            self._parts.append(f'<line {ends} stroke="{COLOURS[style % 6]}" stroke-width="2.2"{dash}/>')
            self.words(px + 29, py, name)

    def squares(self, boxes: Iterable[tuple[float, float, float, float]], opacity: float) -> None:
        """Fill many boxes (left, bottom, right, top) with one shade."""
        path = "".join(
            f"M{self.px(x1):.1f} {self.py(y1):.1f}H{self.px(x2):.1f}V{self.py(y2):.1f}H{self.px(x1):.1f}z"
            for x1, y1, x2, y2 in boxes
        )
        if path:
            self._parts.append(f'<path d="{path}" fill="{COLOURS[0]}" fill-opacity="{opacity:.2f}"/>')

    def text(self, title: str, alt: str) -> str:
        """Return the picture as SVG text with its words for those who do not see it."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" role="img"'
            f' width="{self.width}" height="{self.height}" fill="currentColor" stroke="none"'
            f' font-family="system-ui, sans-serif" font-size="{FONT}">'
        )
        return f"{head}<title>{escape(title)}</title><desc>{escape(alt)}</desc>{''.join(self._parts)}</svg>"

    def _line(self, x1: float, y1: float, x2: float, y2: float, extra: str = "") -> None:
        ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        self._parts.append(f'<line {ends} stroke="currentColor" {extra}/>')


def key_places(names: Sequence[str], left: int, width: int) -> tuple[list[tuple[float, float]], int]:
    """Return where each name of a key goes, and the height of all, in units of the picture."""
    places, x, y = [], float(left), 14
    for name in names:
        room = 29 + len(name) * 7.4 + 14
        if x > left and x + room > width:
            x, y = float(left), y + 18
        places.append((x, float(y)))
        x += room
    return places, y + 10


def _open(ends: tuple[float, float]) -> tuple[float, float]:
    """Return a range that has a width, and holds no NaN."""
    low, high = (float(end) if math.isfinite(end) else 0.0 for end in ends)
    if high > low:
        return low, high
    room = abs(low) * 0.05 or 0.5
    return low - room, low + room
