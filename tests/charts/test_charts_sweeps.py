from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlframe.charts.page import figure
from mlframe.charts.sweeps import Axis, Candidate, front, history, parallel, pareto

points = st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 100)), min_size=1, max_size=30)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("}text")]


def lines(svg: str) -> list[ElementTree.Element]:
    return [element for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("}polyline")]


@given(points, st.sampled_from(["higher", "lower"]))
def test_the_front_holds_who_nobody_beats(pairs, better):
    sign = 1 if better == "higher" else -1
    made = [Candidate(str(i), score, cost=cost) for i, (score, cost) in enumerate(pairs)]
    kept = {(made[i].score, made[i].cost) for i in front(made, better)}
    for one in made:
        beaten = any(
            sign * other.score >= sign * one.score
            and other.cost <= one.cost
            and (other.score, other.cost) != (one.score, one.cost)
            for other in made
        )
        assert ((one.score, one.cost) in kept) == (not beaten)


def test_pareto_names_front_and_proposal_and_leaves_out_the_hopeless():
    made = [Candidate(str(i), 0.8 + i / 100, 0.79 + i / 100, 0.81 + i / 100, cost=1 + 4 * i) for i in range(5)]
    made += [Candidate("5", 0.83, cost=30, marked=True), Candidate("6", 0.1, cost=2)]
    chart = pareto(made, metric="roc_auc", better="higher", cost="milliseconds a prediction")
    assert {"0", "4", "5"} <= set(texts(chart.svg))
    assert "6" not in texts(chart.svg)
    assert "1 far worse one is not drawn" in chart.alt
    assert "the one proposed, 5" in chart.alt
    assert "<svg" in figure(chart)
    assert "data:image" not in figure(chart), "it takes the page's colours"


def test_costs_that_span_much_get_a_logarithmic_axis():
    for spread, word in ((10, False), (1000, True)):
        made = [Candidate("a", 0.8, cost=1.0), Candidate("b", 0.9, cost=float(spread))]
        chart = pareto(made, metric="m", better="higher", cost="ms")
        assert ("ms (logarithmic)" in texts(chart.svg)) is word


def test_parallel_breaks_a_line_where_a_value_is_absent():
    axes = [
        Axis("model", ["lgbm", "linear"]),
        Axis("depth", [3, 4]),
        Axis("C", [None, 1.0]),
        Axis("rate", [0.1, 0.2]),
    ]
    drawn = lines(parallel(axes, [0.9, 0.8], metric="m", better="higher").svg)
    assert sorted(len((line.get("points") or "").split()) for line in drawn) == [2, 2, 5]


def test_parallel_draws_a_hundred_lines_and_the_best_of_all_thick():
    rng = np.random.default_rng(0)
    scores = rng.random(1000)
    scores[617] = 2.0
    chart = parallel([Axis("rate", list(10 ** rng.uniform(-4, 0, 1000)))], list(scores), metric="m", better="higher")
    drawn = lines(chart.svg)
    assert len(drawn) == 100
    assert sum(float(line.get("stroke-width", 0)) > 2 for line in drawn) == 5
    assert "m 2." in chart.alt
    assert "100 of 1000 candidates are drawn" in chart.alt
    assert len(chart.svg) < 60_000


def test_parallel_puts_the_better_end_on_top():
    for better, best in (("higher", 0.9), ("lower", 0.1)):
        chart = parallel([Axis("a", [1, 2, 3, 4])], [0.9, 0.1, 0.5, 0.4], metric="m", better=better)
        thick = next(line for line in lines(chart.svg) if float(line.get("stroke-width", 0)) > 2)
        end = float((thick.get("points") or "").split()[-1].split(",")[1])
        assert end == 52, "the top of the axis"
        assert f"m {best}" in chart.alt


def test_parallel_leaves_out_axes_that_few_have():
    axes = [Axis(f"a{i}", [1 + i, 2.0, None if i % 2 else 3]) for i in range(12)]
    chart = parallel(axes, [0.1, 0.2, 0.3], metric="m", better="higher")
    assert "Not drawn: a7, a9, a11" in chart.alt


def test_history_never_gets_worse():
    chart = history([3, 1, 2, 7], [0.7, 0.5, 0.6, 0.65], metric="m", better="higher")
    (line,) = lines(chart.svg)
    heights = [float(point.split(",")[1]) for point in (line.get("points") or "").split()]
    assert heights == sorted(heights, reverse=True)
    assert re.search(r"from 0\.5000 to 0\.7000, which trial 3 reached", chart.alt)


@pytest.mark.parametrize("better", ["higher", "lower"])
@pytest.mark.parametrize("scores", [[0.5], [0.5, 0.5], [1e9, -1e9, 0.0]])
def test_one_equal_and_extreme_scores_draw_something(scores, better):
    made = [Candidate(str(i), score, cost=1.0) for i, score in enumerate(scores)]
    for chart in (
        pareto(made, metric="m", better=better, cost="ms"),
        history(range(len(scores)), scores, metric="m", better=better),
        parallel([Axis("flag", [True] * len(scores))], scores, metric="m", better=better),
        parallel([], scores, metric="m", better=better),
    ):
        assert "nan" not in chart.svg
        ElementTree.fromstring(chart.svg)
