from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_reader import Reader, read

from mlframe.charts.document import (
    Answer,
    Code,
    Document,
    Fold,
    Heading,
    Links,
    Pictures,
    Points,
    Section,
    Table,
    inert,
)
from mlframe.contracts import Chart, Interval

NASTY = "<script>alert(1)</script> [x](javascript:y) *b* | `c`"
CHART = Chart("c", NASTY, NASTY, '<svg xmlns="http://www.w3.org/2000/svg"><g/></svg>')
BLOCKS = [
    NASTY,
    {NASTY: {"inner": NASTY, "many": [1, 2]}, "none": None},
    Heading(NASTY),
    Answer("good", NASTY, NASTY, "auc", Interval(0.5, 0.4, 0.6), [NASTY]),
    Points([("warning", NASTY), ("", NASTY)]),
    Table.of(pl.DataFrame({NASTY: [NASTY, "b", "c"], "n": [1.5, None, 2.0]}), 2),
    Pictures([CHART, CHART]),
    Code(f"{NASTY}\n```\nend"),
    Links([("data/a b.csv", NASTY)]),
    Fold(NASTY, [NASTY, Table(["x"], [[Interval(0.9, 0.8, 1.0)]])]),
]


def document(blocks: Any) -> Document:
    return Document(NASTY, NASTY, [Section("one", NASTY, lambda: blocks), Section("two", "Two", lambda: ["fine"])])


def test_every_block_is_written_and_inert(tmp_path: Path) -> None:
    page = document(BLOCKS).html()
    assert page.missing == []
    (tmp_path / "page.html").write_text(page.text)
    reader = read(tmp_path / "page.html")
    assert "script" not in reader.tags
    assert reader.addresses == ["data/a%20b.csv"]
    assert reader.words.count(NASTY) >= 15
    for word in ("0.5000 (0.4000 to 0.6000)", "0.9000 (0.8000 to 1.0000)", "2 of 3 rows are shown"):
        assert word in reader.words


def test_markdown_says_the_same_and_holds_no_markup_of_the_data() -> None:
    text = document(BLOCKS).markdown()
    assert text.missing == []
    outside, fenced = text.text.split("````text\n")
    assert "<script" not in outside
    assert not re.search(r"(?<!\\)\]\(javascript", outside)
    assert NASTY in fenced  # a fence longer than any in the text
    assert "| n |" in outside.replace("\\|", "")
    assert "0.5000 (0.4000 to 0.6000)" in outside
    assert "[data/a b.csv](data/a%20b.csv)" in fenced


def bursts() -> Iterator[Any]:
    yield "before"
    yield Points([("one",)])  # type: ignore[list-item]
    yield "between"
    yield Fold("more", [object(), "inside"])
    raise ZeroDivisionError("the end")


@pytest.mark.parametrize("how", ["html", "markdown"])
def test_what_fails_is_noted_in_its_place_and_the_rest_is_there(how: str) -> None:
    made = Document("t", "k", [Section("one", "First", bursts), Section("two", "Second", lambda: ["after"])])
    written = getattr(made, how)()
    assert [title for title, _ in written.missing] == ["First"] * 3
    assert [type(error).__name__ for _, error in written.missing] == ["ValueError", "TypeError", "ZeroDivisionError"]
    words = written.text
    if how == "html":
        reader = Reader()
        reader.feed(written.text)
        words = reader.words
    order = ["before", "A part of 'First' is missing", "between", "inside", "ZeroDivisionError: the end", "after"]
    if how == "markdown":
        order = [inert(word) for word in order]
        assert words.count("**Missing.**") == 3
    places = [words.index(word) for word in order]
    assert places == sorted(places)


def test_one_bad_picture_does_not_take_the_others() -> None:
    bad = Chart("bad", "t", "words", None)  # type: ignore[arg-type]
    page = document([Pictures([CHART, bad, CHART])]).html()
    assert len(page.missing) == 1
    assert page.text.count("<figure") == 2
    assert page.text.count('class="missing"') == 1


@given(st.text(max_size=60))
def test_a_text_in_markdown_marks_nothing(text: str) -> None:
    found = inert(text)
    assert "\n" not in found
    assert "<" not in found
    plain = found.replace("\\\\", "")
    for sign in "*`[]|~":
        assert plain.count(sign) == plain.count(f"\\{sign}")
    assert not plain.startswith(("#", ">"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("roc_auc", "roc_auc"),
        ("_id_", r"\_id\_"),
        ("1. one", r"1\. one"),
        ("0.5", "0.5"),
        ("- a", r"\- a"),
        ("-5", "-5"),
    ],
)
def test_words_stay_legible(text: str, wanted: str) -> None:
    assert inert(text) == wanted
