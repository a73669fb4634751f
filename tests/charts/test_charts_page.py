from __future__ import annotations

from pathlib import Path

import jinja2
import polars as pl
import pytest

from mlframe.charts.page import Link, cells, environment, facts, figure, interval, table, value
from mlframe.contracts import Chart, Interval

NASTY = "<script>alert(1)</script>"
PLAIN = '<svg xmlns="http://www.w3.org/2000/svg"><g><text x="1">words</text></g></svg>'


def test_a_plain_drawing_is_inlined_with_escaped_words() -> None:
    html = str(figure(Chart("c", NASTY, NASTY, PLAIN)))
    assert PLAIN in html
    assert "<script" not in html


@pytest.mark.parametrize(
    "svg",
    [
        '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg"><a href="javascript:alert(1)"><text>x</text></a></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg"><style>*{background:url(http://x.example)}</style></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg"><rect fill="url(http://x.example)"/></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg"><foreignObject/></svg>',
        "<svg><text>not closed",
        '<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg"/>',
    ],
)
def test_anything_that_could_run_becomes_an_image(svg: str) -> None:
    html = str(figure(Chart("c", "t", "words", svg)))
    assert svg not in html
    assert '<img alt="words" src="data:image/svg+xml;base64,' in html


def test_tables_escape_names_and_values_and_count_the_rest() -> None:
    frame = pl.DataFrame({NASTY: [NASTY, None, "c"], "n": [1.23456, 2.0, 3.0]})
    html = str(table(frame, rows=2))
    assert "<script" not in html
    assert html.count("<tr>") == 3
    assert "1.23" in html
    assert "2 of 3 rows" in html


def test_facts_escape_and_nest_and_fold() -> None:
    html = str(facts({NASTY: {"inner": [NASTY, 1]}, "none": None, "long": "x\n" + NASTY, "list": [{"a": 1}, {"a": 2}]}))
    assert "<script" not in html
    assert "none" not in html
    assert html.count("<details>") == 1
    assert html.count("<dl>") == 2
    assert html.count("<tr>") == 3  # records are a table


def test_interval_and_value_are_for_people() -> None:
    assert str(interval(Interval(0.5))) == "0.5000"
    assert "(0.4000 to 0.6000)" in str(interval(Interval(0.5, 0.4, 0.6)))
    assert "1\u202f234" in str(interval(Interval(1234.0, 1000.0, 2000.0)))
    assert [value(item) for item in (None, True, 12_345, 0.123456, "a")] == ["", "yes", "12\u202f345", "0.123", "a"]


def test_environment_escapes_and_refuses_unknown_names(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("{{ word }} {{ missing }}")
    template = environment(tmp_path).get_template("page.html")
    assert template.render(word=NASTY, missing="") == "&lt;script&gt;alert(1)&lt;/script&gt; "
    with pytest.raises(jinja2.UndefinedError):
        template.render(word="")


def test_a_cell_is_long_by_what_is_shown_and_not_by_the_address_behind_it() -> None:
    html = str(cells(["short", "long"], [[Link("orders/1", "/versions/" + "x" * 99), "y" * 41]]))
    assert html.count('class="long"') == 1
    assert '<td class="long">yyy' in html
