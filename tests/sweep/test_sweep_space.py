"""What a sweep varies: how axes are read, what a grid takes, and that every value can be typed again."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlframe.config.compose import parse
from mlframe.errors import MlframeError, Problems
from mlframe.sweep.samplers import BayesSampler, GridSampler, RandomSampler
from mlframe.sweep.space import Axis, Space, axes_of, axis_of_override, axis_of_value, spell

MODELS = Axis("model", ("lgbm", "linear"))
LEAVES = Axis("model.num_leaves", low=4, high=64, log=True, points=3, owner=("model", "lgbm"))
COST = Axis("model.C", low=0.01, high=10.0, log=True, points=2, owner=("model", "linear"))
SPACE = Space((MODELS, LEAVES, COST))


def axis(line: str) -> Axis:
    (parsed,), errors = parse([line])
    assert not errors
    return axis_of_override(parsed)


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("model=lgbm,linear", ("lgbm", "linear")),
        ("seed=1,2", (1, 2)),
        ("model.C=choice(0.1,1.5)", (0.1, 1.5)),
        ("seed=range(1,4)", (1, 2, 3)),
        ("model.weights='a b',null,true", ("a b", None, True)),
        ("model.hidden=[8],[16,8]", ([8], [16, 8])),
    ],
)
def test_hydras_grammar_gives_choices(line: str, values: tuple[Any, ...]) -> None:
    assert axis(line).choices == values


def test_an_interval_is_a_range_of_whole_numbers_or_of_any() -> None:
    whole = axis("model.num_leaves=int(interval(4,64))")
    assert (whole.low, whole.high, whole.whole) == (4, 64, True)
    log = axis("model.C=tag(log,interval(0.1,10))")
    assert (log.low, log.high, log.log, log.whole) == (0.1, 10.0, True, False)


def test_a_grid_runs_through_the_axes_of_the_picked_option_only() -> None:
    found = list(SPACE.combinations({}))
    assert [item["model"] for item in found] == ["lgbm"] * 3 + ["linear"] * 2
    assert [item.get("model.num_leaves") for item in found] == [4, 16, 64, None, None]
    assert all(("model.C" in item) == (item["model"] == "linear") for item in found)
    assert list(SPACE.combinations({"model": "linear"})) == found  # an axis of the command line speaks for itself
    assert [item["model.C"] for item in Space((COST,)).combinations({"model": "linear"})] == [0.01, 10.0]


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.booleans(), st.integers(1, 9))
def test_grid_points_lie_in_the_range_in_order_and_reach_both_ends(
    low: int, width: int, log: bool, points: int
) -> None:
    made = axis_of_value("k", {"low": low, "high": low + width, "log": log, "points": points}, where="here")
    values = made.grid()
    assert values == sorted(set(values))
    assert all(isinstance(value, int) and low <= value <= low + width for value in values)
    if points > 1:
        assert (values[0], values[-1]) == (low, low + width)


plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**9), 10**9),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="$"), max_size=12),
)


@given(st.one_of(plain, st.lists(plain, max_size=4)))
def test_every_value_reads_back_as_it_was(value: Any) -> None:
    (parsed,), errors = parse([f"key={spell(value)}"])
    assert not errors, spell(value)
    from mlframe.sweep.space import unquoted

    back = unquoted(parsed.value())
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("leaf", "words"),
    [
        ([], "no values"),
        ({"low": 5, "high": 5}, "is empty"),
        ({"low": 9, "high": 2}, "is empty"),
        ({"low": 0, "high": 2, "log": True}, "logarithmic"),
        ({"low": "a", "high": 2}, "must be a number"),
        ({"low": 1, "high": 2, "stpe": 1}, "did you mean 'step'"),
        ({"low": 1, "high": 2, "step": 0}, "step must be above 0"),
        ({"low": 1, "high": 2, "points": 0}, "points must be 1 or more"),
        (7, "no list and no range"),
    ],
)
def test_an_axis_that_cannot_be_is_refused_with_its_place(leaf: Any, words: str) -> None:
    with pytest.raises(MlframeError, match=words) as caught:
        axis_of_value("model.k", leaf, where="conf/sweep/space/mine.yaml")
    assert "mine.yaml" in str(caught.value)


def test_all_broken_axes_of_a_space_are_told_together() -> None:
    with pytest.raises(Problems) as caught:
        axes_of({"model": {"a": [], "b": {"low": 2, "high": 1}, "c": [1]}}, where="here")
    assert len(caught.value.errors) == 2


def test_axes_of_the_other_kind_of_task_are_left_out() -> None:
    node = {"model": {"classification": {"C": [1.0]}, "regression": {"alpha": [1.0]}, "k": [1]}}
    assert [item.key for item in axes_of(node, where="", task="binary")] == ["model.classification.C", "model.k"]
    assert [item.key for item in axes_of(node, where="", task="regression")] == ["model.regression.alpha", "model.k"]


@pytest.mark.parametrize("kind", [RandomSampler, BayesSampler])
def test_a_sampler_draws_inside_the_space_and_the_same_again(kind: type[RandomSampler]) -> None:
    def draw(skip: int = 0) -> list[dict[str, Any]]:
        sampler, found = kind(SPACE, {}, 3), []
        for number in range(skip, 14):
            values = sampler.ask(number)
            found.append(values)
            sampler.tell(number, values, _loss(values))
        return found

    def _loss(values: dict[str, Any]) -> float:
        return math.log(values["model.num_leaves"]) if values["model"] == "lgbm" else 10 + values["model.C"]

    first = draw()
    assert first == draw()
    for values in first:
        assert set(values) == ({"model", "model.num_leaves"} if values["model"] == "lgbm" else {"model", "model.C"})
        assert 4 <= values.get("model.num_leaves", 4) <= 64
        assert 0.01 <= values.get("model.C", 1) <= 10
    assert len({str(values) for values in first}) > 5


def test_random_draws_do_not_depend_on_what_came_before() -> None:
    one, other = RandomSampler(SPACE, {}, 1), RandomSampler(SPACE, {}, 1)
    drawn = [one.ask(number) for number in range(6)]
    assert [other.ask(number) for number in (5, 3, 0)] == [drawn[5], drawn[3], drawn[0]]


def test_bayes_goes_where_earlier_trials_did_well() -> None:
    space = Space((Axis("x", low=0.0, high=1.0),))

    def distance(warm: bool) -> float:
        sampler = BayesSampler(space, {}, 0)
        for number in range(40 if warm else 0):
            values = {"x": number / 39}
            sampler.tell(-1, values, abs(values["x"] - 0.8))
        drawn = [sampler.ask(number)["x"] for number in range(10)]
        return sum(abs(value - 0.8) for value in drawn) / len(drawn)

    assert distance(warm=True) < distance(warm=False) / 2


def test_a_grid_can_be_asked_for_any_trial() -> None:
    sampler = GridSampler(SPACE, {})
    assert sampler.ask(4) == {"model": "linear", "model.C": 10.0}
    assert sampler.ask(0) == {"model": "lgbm", "model.num_leaves": 4}
    assert sampler.ask(5) is None
