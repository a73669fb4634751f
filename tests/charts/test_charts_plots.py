from __future__ import annotations

import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlframe.charts import plots
from mlframe.charts.svg import Board, key_places, number, ticks
from mlframe.contracts import Chart
from mlframe.testing.checks import check_charts

NASTY = '<script>alert("x")</script> & "more"'


def pictures(label: str) -> list[Chart]:
    xs = np.linspace(0, 1, 5)
    rng = np.random.default_rng(0)
    series = [plots.Series(label, xs, xs**2, marks=True, low=xs**2 - 0.1, high=xs**2 + 0.1), plots.Series("b", xs, xs)]
    return [
        plots.lines("lines", label, label, series, x=label, y=label, rule=(0, 0, 1, 1)),
        plots.bars("bars", label, label, [label, "b"], [0.5, -0.1], x=label, spread=[0.1, 0.0]),
        plots.bars("percent", label, label, [label], [0.5], x=label, percent=True),
        plots.dots("dots", label, label, [label, "b"], [0.5, 2.0], [0.1, None], [0.6, None], x=label, rule=0.0),
        plots.columns("columns", label, label, [label, "b"], [3, 4], y=label),
        plots.histogram("histogram", label, label, xs, [(label, xs[:4]), ("b", xs[1:])], x=label),
        plots.matrix("matrix", label, label, [label, "b"], np.array([[3, 1], [0, 0]])),
        plots.density("density", label, label, rng.normal(size=500), rng.normal(size=500), x=label, y=label),
    ]


@pytest.mark.parametrize("chart", pictures(NASTY), ids=lambda chart: chart.name)
def test_labels_are_words_and_never_markup(chart: Chart) -> None:
    root = ElementTree.fromstring(chart.svg)
    assert not [element for element in root.iter() if element.tag.endswith("script")]
    assert root.find("{http://www.w3.org/2000/svg}desc").text == NASTY  # type: ignore[union-attr]
    assert "http" not in chart.svg.replace("http://www.w3.org/2000/svg", "")


def test_equal_data_give_equal_pictures() -> None:
    assert pictures("a") == pictures("a")


def test_series_differ_without_colour() -> None:
    xs = np.linspace(0, 1, 3)
    chart = plots.lines("l", "t", "a", [plots.Series(n, xs, xs + i) for i, n in enumerate("abcd")], x="x", y="y")
    lines = [e for e in ElementTree.fromstring(chart.svg).iter() if e.tag.endswith("polyline")]
    assert len({line.get("stroke-dasharray") for line in lines}) == 4
    for name in "abcd":
        assert f">{name}</text>" in chart.svg


def test_marks_stay_inside_the_picture() -> None:
    chart = plots.bars("b", "t", "a", ["one", "two"], [0.5, -0.3], x="x", spread=[0.2, 0.4])
    root = ElementTree.fromstring(chart.svg)
    for line in (e for e in root.iter() if e.tag.endswith("}line")):
        for key in ("x1", "x2"):
            assert 0 <= float(line.get(key, "")) <= 420


@pytest.mark.parametrize("values", [[0.0], [], [float("nan")]])
def test_empty_and_flat_data_draw_something(values: list[float]) -> None:
    array = np.array(values)
    chart = plots.lines("l", "t", "a", [plots.Series("s", array, array)], x="x", y="y")
    ElementTree.fromstring(chart.svg)
    ElementTree.fromstring(plots.bars("b", "t", "a", ["n"] * len(values), [0.0] * len(values), x="x").svg)


def test_a_large_density_stays_small() -> None:
    rng = np.random.default_rng(0)
    chart = plots.density("d", "t", "a", rng.normal(size=100_000), rng.normal(size=100_000), x="x", y="y")
    assert len(chart.svg) < 60_000


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_are_few_and_lie_inside(low: float, span: float) -> None:
    high = low + span
    if not span > 1e-7 * abs(low):  # floats of that size have no finer steps
        return
    found = ticks(low, high)
    assert len(found) <= 8
    assert all(low - span * 1e-6 <= tick <= high + span * 1e-6 for tick in found)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (0.5, "0.5"), (0.12345, "0.123"), (1.5, "1.5"), (12.34, "12.3"), (1234.4, "1\u202f234"),
        (-0.001234, "-0.00123"), (float("nan"), "n/a"), (3e-9, "3.00e-09"), (100.0, "100"),
    ],
)  # fmt: skip
def test_numbers_have_the_digits_a_reader_needs(value: float, text: str) -> None:
    assert number(value) == text


def test_key_wraps_within_the_picture() -> None:
    places, height = key_places(["a long name of a class"] * 4, 58, 420)
    assert len({y for _, y in places}) > 1
    assert height > max(y for _, y in places)


def test_board_maps_corners() -> None:
    board = Board((0, 10), (0, 1))
    assert board.px(0) == board.left
    assert board.px(10) == board.width - board.right
    assert board.py(1) == board.top


def test_pictures_need_no_plotting_library_and_no_templates() -> None:
    code = (
        "import sys, mlframe.charts.plots; sys.exit(any(m in sys.modules for m in ('matplotlib', 'jinja2', 'polars')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_dots_show_long_names_in_full_and_intervals_where_there_are_any() -> None:
    long = "contract = 'Month-to-month' and internet_service = 'Fiber optic'"
    chart = plots.dots(
        "gaps", "Gaps", "Two gaps with words.", [long, "b"], [0.5, -0.2], [0.4, None], [0.6, None], x="gap", rule=0.0,
        notes=["(812 rows)", "(7 rows)"],
    )  # fmt: skip
    texts = [element.text or "" for element in ElementTree.fromstring(chart.svg).iter() if element.tag.endswith("text")]
    assert long in " ".join(texts)
    assert any("(812 rows)" in text for text in texts)
    assert chart.svg.count("<circle") == 2
    assert chart.svg.count('stroke-width="1.4"') == 3, "one interval, of three strokes"
    check_charts([chart])


def test_dots_of_nothing_are_a_picture_too() -> None:
    check_charts([plots.dots("none", "None", "There is nothing here.", [], [], [], [], x="gap")])
    check_charts([plots.dots("one", "One", "There is one here.", ["a"], [0.0], [None], [None], x="gap", percent=True)])
