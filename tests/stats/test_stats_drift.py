"""Exact distances and tests agree with scipy's where both define them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from scipy.spatial.distance import jensenshannon

from mlframe import stats

COUNTS = st.lists(st.integers(0, 1000), min_size=3, max_size=3)
VALUES = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=60)
CLOSE = 1e-9


def test_the_index_of_a_known_pair():
    found = stats.stability_index(np.array([50, 50]), np.array([25, 75]))
    assert found == pytest.approx(0.25 * np.log(3))


@settings(deadline=None)
@given(COUNTS, COUNTS)
def test_the_index_is_symmetric_zero_for_the_same_and_never_negative(one, other):
    first, second = np.array(one), np.array(other)
    assert stats.stability_index(first, second) == pytest.approx(stats.stability_index(second, first))
    assert stats.stability_index(first, second) >= 0
    assert stats.stability_index(first, first * 3) == pytest.approx(0)


def test_a_bin_that_was_empty_is_no_infinity():
    assert 1 < stats.stability_index(np.array([100, 0]), np.array([0, 100])) < 20
    assert stats.stability_index(np.array([0, 0]), np.array([1, 2])) == 0


@settings(deadline=None)
@given(COUNTS, COUNTS)
def test_jensen_shannon_is_scipys_in_base_two(one, other):
    first, second = np.array(one), np.array(other)
    assume(first.sum() and second.sum())
    wanted = jensenshannon(first / first.sum(), second / second.sum(), base=2)
    # The root of a difference of two sums of entropies: near zero, rounding of 1e-16 is 1e-8 in both.
    assert stats.jensen_shannon(first, second) ** 2 == pytest.approx(np.nan_to_num(wanted) ** 2, abs=CLOSE)
    assert stats.jensen_shannon(first, second, corrected=True) <= stats.jensen_shannon(first, second)


@settings(deadline=None)
@given(VALUES, VALUES)
def test_wasserstein_is_scipys(one, other):
    wanted = scipy_stats.wasserstein_distance(one, other)
    assert stats.wasserstein(np.array(one), np.array(other)) == pytest.approx(wanted, rel=CLOSE, abs=CLOSE)


@settings(deadline=None)
@given(VALUES, VALUES)
def test_kolmogorov_smirnov_is_scipys(one, other):
    assume(min(len(one), len(other)) > 1)  # scipy divides by zero
    statistic, p = stats.kolmogorov_smirnov(np.array(one), np.array(other))
    assert statistic == pytest.approx(scipy_stats.ks_2samp(one, other, method="asymp").statistic, abs=CLOSE)
    scale = np.sqrt(len(one) * len(other) / (len(one) + len(other)))
    assert p == pytest.approx(scipy_stats.kstwobign.sf(scale * statistic), abs=CLOSE)


@settings(deadline=None)
@given(COUNTS, COUNTS)
def test_chi_squared_is_scipys(one, other):
    table = np.array([one, other])
    assume(table.sum(axis=1).all() and table.sum(axis=0).all())
    wanted = scipy_stats.chi2_contingency(table, correction=False)
    found = stats.chi_squared(*table)
    assert found.statistic == pytest.approx(wanted.statistic, rel=CLOSE, abs=CLOSE)
    assert (found.freedom, found.p) == (wanted.dof, pytest.approx(wanted.pvalue, abs=CLOSE))


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.lists(st.integers(0, 300), min_size=12, max_size=12))
def test_rare_bins_are_pooled_until_the_test_holds(one, other):
    first, second = np.array(one), np.array(other[: len(one)])
    found = stats.chi_squared(first, second, least=5)
    assert 0 <= found.p <= 1
    if found.freedom:
        assert min(first.sum(), second.sum()) * (found.freedom + 1) >= 0
        assert found.freedom < len(one)


def test_no_rows_and_one_bin_are_no_test():
    assert stats.chi_squared(np.array([0, 0]), np.array([1, 2])).p == 1
    assert stats.chi_squared(np.array([5]), np.array([9])) == (0.0, 0, 1.0)
    assert stats.jensen_shannon(np.array([0, 0]), np.array([1, 2])) == 0


def test_what_chance_gives_is_taken_off_the_distance():
    rng = np.random.default_rng(0)
    shares = np.full(10, 0.1)
    pairs = [(rng.multinomial(2000, shares), rng.multinomial(200, shares)) for _ in range(400)]
    plain = np.mean([stats.jensen_shannon(*pair) ** 2 for pair in pairs])
    squared = [np.array(stats.jensen_shannon(*pair, corrected=True)) ** 2 for pair in pairs]
    assert np.median(squared) < 0.2 * plain


# ------------------------------------------------------------------------------------------------ false discoveries


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_both_corrections_are_scipys(p):
    given_p = np.array(p)
    for method, mine in (("bh", stats.benjamini_hochberg), ("by", stats.benjamini_yekutieli)):
        wanted = scipy_stats.false_discovery_control(given_p, method=method)
        np.testing.assert_allclose(mine(given_p), wanted, atol=CLOSE)
    assert (stats.benjamini_yekutieli(given_p) >= stats.benjamini_hochberg(given_p)).all()


def test_no_tests_are_no_discoveries():
    assert len(stats.benjamini_yekutieli(np.zeros(0))) == 0


# ------------------------------------------------------------------------------------------------ classifier test


def correlated(rows, rho, seed):
    rng = np.random.default_rng(seed)
    first = rng.normal(size=rows)
    return np.column_stack([first, rho * first + np.sqrt(1 - rho**2) * rng.normal(size=rows), rng.normal(size=rows)])


def test_columns_that_go_together_otherwise_are_told_apart():
    found = stats.told_apart(correlated(800, 0.9, 0), correlated(800, -0.9, 1))
    assert found.auc > 0.85
    assert found.p < 1e-6
    assert found.importance.sum() == pytest.approx(1)
    assert found.importance[2] < 0.1


def test_samples_of_one_population_are_not_told_apart():
    p = [stats.told_apart(correlated(150, 0.5, 2 * k), correlated(150, 0.5, 2 * k + 1), seed=k).p for k in range(30)]
    assert sum(value < 0.05 for value in p) <= 2


def test_samples_that_are_too_small_are_not_judged():
    assert stats.told_apart(correlated(49, 0, 0), correlated(500, 0, 1)) is None
    assert stats.told_apart(np.zeros((100, 0)), np.zeros((100, 0))) is None


def test_missing_and_infinite_values_are_no_exception():
    rows = correlated(200, 0, 0)
    other = rows.copy()
    other[::2, 0] = np.nan
    other[1::4, 1] = np.inf
    assert stats.told_apart(rows, other).auc > 0.6
