"""Money of decisions: sums by hand, and intervals that hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlframe.stats.bootstrap import estimate_means
from mlframe.stats.money import worth_of_decisions, worth_of_values


def test_the_pay_off_is_counted_by_outcome():
    positive = np.array([True, True, False, False])
    called = np.array([True, False, True, False])
    found = worth_of_decisions(positive, called, {"tp": 8, "fp": -2, "fn": -4, "tn": 1}, resamples=0)
    assert found.model.value == pytest.approx(1000 * (8 - 4 - 2 + 1) / 4)
    assert found.alternatives["doing nothing"].value == pytest.approx(1000 * (-4 - 4 + 1 + 1) / 4)
    assert found.alternatives["acting on all"].value == pytest.approx(1000 * (8 + 8 - 2 - 2) / 4)
    assert found.rival == "acting on all"
    assert found.gain.value == pytest.approx(found.model.value - found.alternatives["acting on all"].value)


def test_rows_count_by_weight_and_missing_prices_are_nothing():
    positive, called = np.array([True, False]), np.array([True, True])
    found = worth_of_decisions(positive, called, {"tp": 10}, np.array([3.0, 1.0]), resamples=0)
    assert found.model.value == pytest.approx(7500)


def test_errors_of_a_number_cost():
    truth, said = np.array([1.0, 2.0, 9.0]), np.array([1.0, 3.0, 7.0])
    found = worth_of_values(truth, said, 2.0, 0.5, resamples=0)
    assert found.model.value == pytest.approx(-1000 * 0.5 * 1.0)
    assert found.alternatives["always saying the median"].value == pytest.approx(-1000 * 0.5 * 8 / 3)
    assert found.gain.value > 0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 100), rows=st.sampled_from([200, 8000]))
def test_the_interval_is_that_of_a_mean(seed: int, rows: int):
    values = np.random.default_rng(seed).normal(3, 2, rows)
    found = estimate_means({"x": values}, resamples=400, seed=seed)["x"]
    assert found.value == pytest.approx(values.mean())
    assert found.low is not None
    assert found.high is not None
    half = 1.96 * values.std() / np.sqrt(rows)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.25)


def test_the_gain_is_measured_on_the_same_rows():
    random = np.random.default_rng(0)
    positive = random.random(3000) < 0.3
    called = positive ^ (random.random(3000) < 0.02)
    found = worth_of_decisions(positive, called, {"tp": 5, "fp": -5}, seed=1)
    assert found.gain.low is not None
    assert found.gain.low > 0
    assert found.rival == "doing nothing"
    assert worth_of_decisions(positive, called, {"tp": 5, "fp": -5}, seed=1) == found
