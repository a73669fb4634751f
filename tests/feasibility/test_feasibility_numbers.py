"""Rules of thumb, learning curves, doubtful labels, smallest effect and verdict, against what is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlframe.feasibility.curve import PowerLaw, extrapolate, fit_power_law, rows_needed, sizes_of
from mlframe.feasibility.noise import doubtful_labels, doubtful_values
from mlframe.feasibility.rules import alike_in_time, ask_one_question, no_change, repeat_last
from mlframe.feasibility.verdict import Evidence, judge, smallest_effect
from mlframe.table import ROW, Table, describe_columns


def make(**columns: Any) -> Table:
    frame = pl.DataFrame(columns).with_row_index(ROW)
    return Table(frame, describe_columns(frame, {}))


# ------------------------------------------------------------------------------------------------ rules of thumb


def test_the_last_answer_follows_time_and_not_the_file():
    times, target = np.array([3, 1, 2]), np.array([30.0, 10.0, 20.0])
    np.testing.assert_array_equal(no_change(times, target), [20.0, np.nan, 10.0])


def test_the_last_answer_gives_shares_that_were_counted():
    target = np.array([0] * 50 + [1] * 50 + [0] * 50 + [1] * 50)
    said = repeat_last(np.arange(200), target, np.arange(150), np.arange(150, 200), 2)
    np.testing.assert_allclose(said.sum(axis=1), 1.0)
    assert (said.argmax(axis=1) == target[150:]).mean() == pytest.approx(0.98)
    assert said[1:, 1].min() > 0.9
    values = repeat_last(np.arange(4), np.array([1.0, 2.0, 3.0, 4.0]), np.arange(2), np.array([0, 3]), 0)
    np.testing.assert_array_equal(values, [1.5, 3.0])


def test_neighbours_in_time_are_alike_or_not():
    random = np.random.default_rng(0)
    slow, fast = np.arange(1000) // 100 % 2, random.integers(0, 2, 1000)
    assert alike_in_time(np.arange(1000), slow, "binary") > 0.95
    assert alike_in_time(np.arange(1000), fast, "binary") < 0.1
    assert alike_in_time(np.arange(1000), np.cumsum(random.normal(size=1000)), "regression") > 0.95
    assert alike_in_time(np.arange(1000), random.normal(size=1000), "regression") < 0.1


def test_one_question_finds_the_cut_of_a_number():
    x = np.linspace(0, 10, 500)
    target = (x > 4).astype(int)
    found = ask_one_question(make(noise=np.random.default_rng(0).normal(size=500), x=x), target, 2)
    assert found is not None
    assert found.column == "x"
    said = found.say(pl.DataFrame({"x": [1.0, 9.0, None]}))
    assert said[0, 0] > 0.9
    assert said[1, 1] > 0.9
    assert said[2, 1] > 0.5, "a missing value is no 'yes'"


def test_one_question_finds_a_word_and_says_means_of_numbers():
    word = ["a", "b", "c", None] * 100
    target = np.array([1.0, 9.0, 1.0, 1.0] * 100)
    found = ask_one_question(make(word=word), target, 0)
    assert found is not None
    assert found.text == "word is 'b'"
    np.testing.assert_allclose(found.say(pl.DataFrame({"word": ["b", "a", None]})), [9.0, 1.0, 1.0], atol=0.1)


def test_without_a_column_there_is_no_question():
    assert ask_one_question(make(flat=[1] * 10), np.arange(10) % 2, 2) is None


# ------------------------------------------------------------------------------------------------ learning curve


@settings(max_examples=50, deadline=None)
@given(
    floor=st.floats(0, 0.3), scale=st.floats(0.5, 5), exponent=st.floats(0.2, 1.2), rows=st.sampled_from([1000, 50_000])
)
def test_a_power_law_is_found_again(floor: float, scale: float, exponent: float, rows: int):
    law, sizes = PowerLaw(floor, scale, exponent), np.array(sizes_of(rows, 5, 10), dtype=float)
    found = fit_power_law(sizes, law.at(sizes))
    assert found.at(2 * rows) == pytest.approx(float(law.at(2 * rows)), abs=0.02 * float(law.at(rows)) + 1e-9)
    assert found.floor >= 0
    assert found.scale >= 0


def test_more_rows_never_hurt():
    law = fit_power_law(np.array([100.0, 200.0, 400.0]), np.array([0.1, 0.2, 0.3]))
    assert law.at(100) == pytest.approx(law.at(10_000))


def test_the_look_ahead_holds_the_truth_and_widens():
    random = np.random.default_rng(0)
    sizes, law = np.array([125.0, 250, 500, 1000, 2000]), PowerLaw(0.05, 1.5, 0.5)
    errors = law.at(sizes) + random.normal(0, 0.004, (5, 5))
    _, ahead, laws = extrapolate(sizes, errors, [4000, 20_000], seed=0)
    assert len(laws) == 200
    for rows, (value, low, high) in zip((4000, 20_000), ahead, strict=True):
        assert low <= value <= high
        assert low <= law.at(rows) <= high
    assert ahead[1][2] - ahead[1][1] > ahead[0][2] - ahead[0][1]


def test_rows_needed():
    law = PowerLaw(0.05, 1.0, 0.5)
    assert rows_needed(law, 0.5, 1000) == 1000
    assert rows_needed(law, 0.06, 1000) == pytest.approx(10_000, rel=0.01)
    assert rows_needed(law, 0.05, 1000) is None
    assert rows_needed(law, 0.0501, 1000) is None, "farther than a hundred times"


@given(rows=st.integers(1, 10_000), count=st.integers(2, 6), least=st.integers(1, 500))
def test_sizes_double_up_to_all_rows(rows: int, count: int, least: int):
    sizes = sizes_of(rows, count, least)
    assert sizes[-1] == rows
    assert sizes == sorted(set(sizes)) or rows < 2**count
    assert all(size >= least for size in sizes[:-1])


# ------------------------------------------------------------------------------------------------ labels, effect


def test_flipped_labels_are_counted():
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 4000)
    sure = np.clip(0.9 + 0.05 * random.normal(size=4000), 0.6, 0.99)
    proba = np.where(truth == 1, sure, 1 - sure)
    given_ = truth ^ (random.random(4000) < 0.1)
    found = doubtful_labels(given_, np.c_[1 - proba, proba])
    assert found.share == pytest.approx(0.1, abs=0.03)
    assert doubtful_labels(truth, np.c_[1 - proba, proba]).share < 0.02
    assert {pair[:2] for pair in found.pairs} == {(0, 1), (1, 0)}
    assert sum(pair[2] for pair in found.pairs) == found.rows


def test_far_values_are_counted():
    random = np.random.default_rng(0)
    predicted = random.normal(size=1000)
    truth = predicted + 0.1 * random.normal(size=1000)
    truth[:30] += 50
    assert doubtful_values(truth, predicted).rows == 30
    assert doubtful_values(predicted, predicted).rows == 0


def test_the_holdout_shows_less_when_it_is_smaller():
    found = smallest_effect([0.1, 0.1], [100, 100], 400)
    assert found is not None
    assert found.half_width == pytest.approx(0.05)
    assert found.detectable == pytest.approx(0.05 * 2.80 / 1.96, rel=0.01)
    assert smallest_effect([0.1], [100], 0) is None


# ------------------------------------------------------------------------------------------------ verdict

SCORES = {"usual answer": (0.5, 0.5, 0.5), "linear": (0.8, 0.78, 0.82)}


def verdict(**changes: Any) -> dict[str, Any]:
    evidence = {"metric": "roc_auc", "better": "higher", "scores": SCORES, "trivial": ("usual answer",), "rows": 1000}
    return judge(Evidence(**{**evidence, **changes}))


def test_a_target_that_is_reached_is_a_go():
    found = verdict(target=0.75, gain=(120.0, 80.0, 160.0), currency="EUR")
    assert found["word"] == "go"
    assert any("gain 120 EUR" in reason for reason in found["reasons"])


def test_a_target_that_more_rows_reach_asks_for_them():
    found = verdict(target=0.85, needed=3000, farthest=(10_000, 0.9))
    assert found["word"] == "more data"
    assert "3,000 rows, 3.0 times as many" in found["reasons"][0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": 0.95, "farthest": (10_000, 0.83)}, "even 10,000 rows give only 0.83"),
        ({"leaks": ["'boat' tells the class"]}, "cannot be believed: 'boat' tells"),
        ({"scores": {"usual answer": (0.5, 0.5, 0.5), "linear": (0.49, 0.4, 0.6)}}, "nothing learned is better"),
        ({"baseline": 0.9, "farthest": (10_000, 0.85)}, "today it is 0.9"),
        ({"gain": (-50.0, -80.0, -20.0), "currency": "EUR"}, "which is no gain"),
    ],
)
def test_what_stands_against_it_comes_first(changes: dict[str, Any], words: str):
    found = verdict(**changes)
    assert found["word"] == "no-go"
    assert words in found["reasons"][0]


def test_a_holdout_that_cannot_tell_asks_for_rows():
    effect = smallest_effect([0.3], [100], 100)
    found = verdict(effect=effect)
    assert found["word"] == "more data"
    assert "100 holdout rows show differences of" in found["reasons"][0]


def test_lower_is_better_where_it_is():
    scores = {"usual answer": (10.0, 9.0, 11.0), "linear": (4.0, 3.5, 4.5)}
    assert verdict(scores=scores, better="lower", metric="rmse", target=5)["word"] == "go"
    assert verdict(scores=scores, better="lower", metric="rmse", target=3)["word"] == "more data"
