"""Parts of HTML pages: figures with captions, tables, definition lists. Everything is escaped."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from mlframe.charts.svg import number
from mlframe.contracts import Chart, Interval

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Link", "cells", "environment", "facts", "figure", "interval", "is_drawing", "table", "text_of", "value"]


@dataclass(frozen=True)
class Link:
    """Words that lead to another page of the same server.

    Args:
        text: the words.
        address: path, quoted, from the root: `/versions/email/7`.
    """

    text: str
    address: str

    def __post_init__(self) -> None:
        """Refuse what leads elsewhere: a text from outside must not become an address."""
        if not self.address.startswith("/") or self.address.startswith("//"):
            raise ValueError(f"no path of this server: {self.address!r}")

    def __str__(self) -> str:
        """Return the words."""
        return self.text

    def __html__(self) -> str:
        """Return the link as HTML."""
        return Markup('<a href="{}">{}</a>').format(self.address, self.text)


LONG = 40
"""Letters from which on a cell of a table keeps a width that can be read."""

DRAWING = frozenset(
    ("svg", "g", "title", "desc", "line", "polyline", "polygon", "path", "rect", "circle", "ellipse", "text", "tspan")
)
"""Elements that a picture inside a page may have; any other makes it an image, in which nothing can run."""


def environment(folder: Path) -> Environment:
    """Return a Jinja environment for the templates in a folder that escapes everything and refuses unknown names.

    Templates get the filters `figure`, `table`, `facts`, `interval` and `value` of this module.
    """
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(figure=figure, table=table, facts=facts, interval=interval, value=value)
    return made


def figure(chart: Chart) -> Markup:
    """Return a picture with its title and its words."""
    return Markup(
        '<figure id="chart-{name}"><figcaption>{title}</figcaption>{picture}<p class="alt">{alt}</p></figure>'
    ).format(name=chart.name, title=chart.title, alt=chart.alt, picture=_picture(chart))


def _picture(chart: Chart) -> Markup:
    """Return plain drawings as they are, so that they take the page's colours, and anything else as an image."""
    if is_drawing(chart.svg):
        return Markup(chart.svg)
    data = base64.b64encode(chart.svg.encode()).decode()
    return Markup('<img alt="{alt}" src="data:image/svg+xml;base64,{data}">').format(alt=chart.alt, data=data)


def is_drawing(svg: str) -> bool:
    """Whether a picture holds shapes and words only: nothing that runs, nothing from outside."""
    if "<!" in svg or "<?" in svg:
        return False
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError:
        return False
    for element in root.iter():
        if str(element.tag).removeprefix("{http://www.w3.org/2000/svg}") not in DRAWING:
            return False
        for key, text in element.attrib.items():
            if key.lower().startswith("on") or "href" in key.lower() or key == "style" or "url(" in text.lower():
                return False
    return True


def table(frame: pl.DataFrame, rows: int = 50) -> Markup:
    """Return a frame as a table that scrolls sideways on a narrow page; rows beyond `rows` are counted, not shown."""
    note = f"{rows} of {frame.height} rows are shown." if frame.height > rows else ""
    return cells(frame.columns, frame.head(rows).rows(), note)


def cells(columns: Sequence[str], rows: Sequence[Sequence[Any]], note: str = "") -> Markup:
    """Return rows as a table that scrolls sideways on a narrow page; columns of numbers stand to the right.

    Args:
        columns: names of the columns.
        rows: values, as many a row as there are columns; an `Interval` is written with its ends.
        note: a sentence below.
    """
    right = [_numbers([row[place] for row in rows]) for place in range(len(columns))]
    head = Markup("").join(_cell("th", name, side) for name, side in zip(columns, right, strict=True))
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(_cell("td", _content(item), side) for item, side in zip(row, right, strict=True))
        )
        for row in rows
    )
    return Markup(
        '<div class="scroll" tabindex="0"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>{}'
    ).format(head, body, Markup('<p class="faint">{}</p>').format(note) if note else "")


def _numbers(items: Sequence[Any]) -> bool:
    known = [item for item in items if item is not None]
    return bool(known) and all(
        isinstance(item, int | float | Interval) and not isinstance(item, bool) for item in known
    )


def _content(item: Any) -> str:
    if isinstance(item, Link):
        return escape(item)
    return interval(item) if isinstance(item, Interval) else value(item)


def _cell(tag: str, text: str, right: bool) -> Markup:
    shown = text.striptags() if isinstance(text, Markup) else text  # an address is not shown, however long it is
    kind = "n" if right else "long" if len(shown) > LONG else ""
    return Markup("<{tag}{kind}>{text}</{tag}>").format(
        tag=tag, text=text, kind=Markup(' class="{}"').format(kind) if kind else ""
    )


def facts(items: Mapping[str, Any]) -> Markup:
    """Return a mapping, nested or not, as definition lists; long and many-lined texts fold away."""
    parts = [
        Markup("<dt>{}</dt><dd>{}</dd>").format(name, _fact(item))
        for name, item in items.items()
        if item is not None and item != {} and item != [] and item != ""
    ]
    return Markup("<dl>{}</dl>").format(Markup("").join(parts))


def _fact(item: Any) -> Markup:
    if isinstance(item, Mapping):
        if len(item) > 12:
            return Markup("<details><summary>{} entries</summary>{}</details>").format(len(item), facts(item))
        return facts(item)
    if isinstance(item, list | tuple):
        if len(item) > 1 and all(isinstance(part, Mapping) and _is_flat(part) for part in item):
            return _records(item)
        if any(isinstance(part, Mapping) for part in item):
            return Markup("").join(_fact(part) for part in item)
        return Markup(", ").join(escape(_content(part)) for part in item)
    if isinstance(item, Link):
        return escape(item)
    text = value(item)
    if "\n" in text or len(text) > 300:
        return Markup("<details><summary>show</summary><pre>{}</pre></details>").format(text)
    return escape(text)


def _is_flat(item: Mapping[str, Any]) -> bool:
    return not any(isinstance(part, Mapping | list | tuple) for part in item.values())


def _records(items: Sequence[Mapping[str, Any]]) -> Markup:
    """Return records as a table, one row each."""
    names = list(dict.fromkeys(name for item in items for name in item))
    head = Markup("").join(_cell("th", name, False) for name in names)
    rows = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(_cell("td", value(item.get(name)), False) for name in names))
        for item in items
    )
    return Markup('<div class="scroll" tabindex="0"><table><tr>{}</tr>{}</table></div>').format(head, rows)


def interval(item: Interval) -> Markup:
    """Return a figure with its interval, which may go to a line of its own."""
    text, ends = _interval(item)
    return Markup('{} <span class="ends">{}</span>').format(text, ends) if ends else escape(text)


def _interval(item: Interval) -> tuple[str, str]:
    small = abs(item.value) < 10
    text, *ends = (
        "" if end is None else f"{end:.4f}" if small else number(end) for end in (item.value, item.low, item.high)
    )
    return text, f"({ends[0]} to {ends[1]})" if all(ends) else ""


def text_of(item: Any) -> str:
    """Return any value, an `Interval` too, as plain text for people."""
    return " ".join(filter(None, _interval(item))) if isinstance(item, Interval) else value(item)


def value(item: Any) -> str:
    """Return any value as text for people."""
    if item is None:
        return ""
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, int):
        return f"{item:,}".replace(",", "\u202f") if abs(item) >= 10_000 else str(item)
    if isinstance(item, float):
        return number(item)
    return str(item)
