"""A document of sections, written as one HTML page or as Markdown: reports, cards, comparisons look and fail alike.

A section gives its blocks one after another. A block that cannot be written, or a section that raises half-way, leaves a
visible note in its place, and the rest of the document is written; `Written.missing` names what is not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Template
from markupsafe import Markup

from mlframe.charts.page import Link, cells, environment, facts, figure, interval, text_of
from mlframe.contracts import Chart, Interval

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "Answer",
    "Code",
    "Document",
    "Fold",
    "Form",
    "Heading",
    "Links",
    "Pictures",
    "Points",
    "Section",
    "Table",
    "Written",
    "inert",
]


@dataclass(frozen=True)
class Heading:
    """A heading below a section's."""

    text: str


@dataclass(frozen=True)
class Answer:
    """A box that stands out: one word with a mark, a sentence, a number, and notes.

    Args:
        kind: good | warn | bad | none.
        word: the answer in a word or two.
        text: the answer in a sentence.
        big: a figure in large letters, empty for none.
        figure: its value with interval.
        notes: sentences below it.
    """

    kind: str
    word: str
    text: str
    big: str = ""
    figure: Interval | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Points:
    """A list of statements, each with the word that it stands under (such as a severity), which may be empty."""

    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """Rows under column names.

    Args:
        columns: names.
        rows: values; an `Interval` is written with its ends.
        note: a sentence below, such as how many rows are left out.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""

    @classmethod
    def of(cls, frame: pl.DataFrame, most: int) -> Table:
        """Return the first rows of a frame."""
        note = f"{most:,} of {frame.height:,} rows are shown." if frame.height > most else ""
        return cls(frame.columns, frame.head(most).rows(), note)


@dataclass(frozen=True)
class Pictures:
    """Charts side by side."""

    charts: Sequence[Chart]


@dataclass(frozen=True)
class Code:
    """Text whose lines stay as they are."""

    text: str


@dataclass(frozen=True)
class Links:
    """Files beside the document.

    Args:
        items: relative address and what the file holds.
    """

    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Form:
    """Fields that a reader fills in, sent as a question (GET) to a page of the same server; pages only.

    Args:
        address: path of the page that answers.
        fields: name, label and value of each.
        button: what the button says.
    """

    address: str
    fields: Sequence[tuple[str, str, str]]
    button: str


@dataclass(frozen=True)
class Fold:
    """Blocks that a reader of the page opens; on paper and in Markdown they are open."""

    title: str
    blocks: Sequence[Any]


@dataclass(frozen=True)
class Section:
    """A part of a document.

    Args:
        id: its anchor, lower snake case.
        title: its heading.
        blocks: gives the blocks: texts, mappings (as lists of facts), the classes of this module, and functions that give
            one of these; a function that raises takes no other block with it.
    """

    id: str
    title: str
    blocks: Callable[[], Iterable[Any]]


@dataclass(frozen=True)
class Written:
    """A document as text.

    Args:
        text: the text.
        missing: section and error of each part that could not be written.
    """

    text: str
    missing: list[tuple[str, Exception]]


@dataclass(frozen=True)
class Document:
    """A document.

    Args:
        title: its title.
        kicker: a line above the title: what kind of document this is, and of what.
        sections: its parts in order.
        lead: a sentence below the title.
        places: other pages of the same server, shown above the title.
    """

    title: str
    kicker: str
    sections: Sequence[Section]
    lead: str = ""
    places: Sequence[Link] = ()

    def html(self) -> Written:
        """Write one self-contained page: no script, no address outside, legible on a phone and on paper."""
        writer = _Html()
        parts = [
            {"id": part.id, "title": part.title, "body": Markup("\n").join(writer.section(part))}
            for part in self.sections
        ]
        page = _template().render(
            title=self.title, kicker=self.kicker, lead=self.lead, sections=parts, places=self.places
        )
        return Written(page, writer.missing)

    def markdown(self) -> Written:
        """Write GitHub's Markdown; pictures are told in words."""
        writer = _Markdown()
        parts = [f"# {inert(self.title)}", inert(self.kicker), inert(self.lead)]
        for part in self.sections:
            parts += [f"## {inert(part.title)}", *writer.section(part)]
        return Written("\n\n".join(part for part in parts if part) + "\n", writer.missing)


@cache
def _template() -> Template:
    return environment(Path(__file__).parent / "templates").get_template("page.html")


class _Writer:
    """Writes blocks, and a note in place of what raises."""

    def __init__(self) -> None:
        self.missing: list[tuple[str, Exception]] = []
        self._title = ""

    def section(self, section: Section) -> list[Any]:
        """Write the blocks of a section; what it gave before it raised stays."""
        self._title = section.title
        parts = []
        try:
            for block in section.blocks():
                parts.append(self.block(block))
        except Exception as error:
            parts.append(self._note(error))
        return parts

    def block(self, block: Any) -> Any:
        """Write one block; one that is a function gives the block to write."""
        try:
            return self.write(block() if callable(block) else block)
        except Exception as error:
            return self._note(error)

    def write(self, block: Any) -> Any:
        """Write one block, or raise."""
        raise NotImplementedError

    def gap(self, text: str) -> Any:
        """Write a note about a missing part."""
        raise NotImplementedError

    def _note(self, error: Exception) -> Any:
        self.missing.append((self._title, error))
        return self.gap(f"A part of '{self._title}' is missing here: {type(error).__name__}: {error}")


class _Html(_Writer):
    def gap(self, text: str) -> Markup:
        return Markup('<p class="missing" role="note"><strong>Missing.</strong> {}</p>').format(text)

    def write(self, block: Any) -> Markup:
        match block:
            case str():
                return Markup("<p>{}</p>").format(block)
            case Mapping():
                return facts(block)
            case Heading():
                return Markup("<h3>{}</h3>").format(block.text)
            case Table():
                return cells(block.columns, block.rows, block.note)
            case Points():
                return _points(block)
            case Answer():
                return _answer(block)
            case Pictures():
                drawn = [self.block(chart) for chart in block.charts]
                return Markup('<div class="charts">{}</div>').format(Markup("").join(drawn))
            case Chart():
                return figure(block)
            case Links():
                lines = [Markup('<li><a href="{}">{}</a> {}</li>').format(quote(a), a, text) for a, text in block.items]
                return Markup("<ul>{}</ul>").format(Markup("").join(lines))
            case Link():
                return Markup("<p>{}</p>").format(block)
            case Form():
                return _form(block)
            case Code():
                return Markup("<pre>{}</pre>").format(block.text)
            case Fold():
                inner = Markup("").join(self.block(part) for part in block.blocks)
                return Markup("<details><summary>{}</summary>{}</details>").format(block.title, inner)
        raise TypeError(f"no block of a document: {type(block).__name__}")


def _points(block: Points) -> Markup:
    items = (
        Markup('<li><span class="tag {kind}">{kind}</span> {text}</li>').format(kind=word, text=text)
        if word
        else Markup("<li>{}</li>").format(text)
        for word, text in block.items
    )
    return Markup("<ul>{}</ul>").format(Markup("").join(items))


def _form(block: Form) -> Markup:
    fields = (
        Markup('<label>{} <input name="{}" value="{}" autocomplete="off"></label> ').format(label, name, text)
        for name, label, text in block.fields
    )
    return Markup('<form method="get" action="{}">{}<button>{}</button></form>').format(
        block.address, Markup("").join(fields), block.button
    )


def _answer(block: Answer) -> Markup:
    marks = {"good": "✓", "warn": "!", "bad": "✗"}
    parts = [
        Markup('<p><span class="badge">{} {}</span></p><p>{}</p>').format(
            marks.get(block.kind, "○"), block.word, block.text
        )
    ]
    if block.figure is not None:
        parts.append(Markup('<p class="big">{} {}</p>').format(block.big, interval(block.figure)))
    parts += [Markup('<p class="faint">{}</p>').format(note) for note in block.notes]
    return Markup('<div class="answer {}">{}</div>').format(block.kind, Markup("").join(parts))


class _Markdown(_Writer):
    def gap(self, text: str) -> str:
        return f"> **Missing.** {inert(text)}"

    def write(self, block: Any) -> str:
        match block:
            case str():
                return inert(block)
            case Mapping():
                return "\n".join(_bullets(block, 0))
            case Heading():
                return f"### {inert(block.text)}"
            case Table():
                head, rule = _row(block.columns), f"|{' --- |' * len(block.columns)}"
                text = "\n".join([head, rule, *map(_row, block.rows)])
                return f"{text}\n\n{inert(block.note)}".rstrip()
            case Points():
                return "\n".join(
                    f"- {f'**{inert(word)}** ' if word else ''}{inert(text)}" for word, text in block.items
                )
            case Answer():
                lines = [f"**{inert(block.word)}.** {inert(block.text)}"]
                if block.figure is not None:
                    lines.append(f"**{inert(block.big)} {_cell(block.figure)}**")
                return "\n\n".join([*lines, *map(inert, block.notes)])
            case Pictures():
                return "\n\n".join(self.block(chart) for chart in block.charts)
            case Chart():
                return f"*{inert(block.title)}*: {inert(block.alt)}"
            case Links():
                return "\n".join(f"- [{inert(a)}]({quote(a)}) {inert(text)}" for a, text in block.items)
            case Code():
                fence = "`" * max(3, 1 + max(map(len, re.findall("`+", block.text)), default=0))
                return f"{fence}text\n{block.text.rstrip()}\n{fence}"
            case Fold():
                return "\n\n".join([f"### {inert(block.title)}", *map(self.block, block.blocks)])
        raise TypeError(f"no block of a document: {type(block).__name__}")


def inert(text: str) -> str:
    """Return a text as Markdown that means the text and nothing else: no markup, no HTML, no link, one line."""
    line = " ".join(str(text).split())
    line = re.sub(r"([\\`*\[\]|~])", r"\\\1", line.replace("&", "&amp;").replace("<", "&lt;"))
    line = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", line)  # inside a word it marks nothing
    line = re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", line)
    return re.sub(r"^(#|>|[-+=](?=[\s=-]|$))", r"\\\1", line)


def _row(items: Sequence[Any]) -> str:
    return f"| {' | '.join(map(_cell, items))} |"


def _cell(item: Any) -> str:
    return inert(text_of(item))


def _bullets(items: Mapping[str, Any], depth: int) -> list[str]:
    lines = []
    for name, item in items.items():
        if item is None or item in ({}, [], ""):
            continue
        start = f"{'  ' * depth}- **{inert(name)}**"
        if isinstance(item, Mapping):
            lines += [start, *_bullets(item, depth + 1)]
        elif isinstance(item, list | tuple):
            lines.append(f"{start}: {', '.join(_cell(part) for part in item)}")
        else:
            lines.append(f"{start}: {_cell(item)}")
    return lines
