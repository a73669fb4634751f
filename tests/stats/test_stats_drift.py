from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlframe.stats import counts_by_edges, stability_index

COUNTS = st.lists(st.integers(0, 1000), min_size=3, max_size=3)


def test_the_index_of_a_known_pair():
    found = stability_index(np.array([50, 50]), np.array([25, 75]))
    assert found == pytest.approx(0.25 * np.log(3))


@given(COUNTS, COUNTS)
def test_the_index_is_symmetric_zero_for_the_same_and_never_negative(one, other):
    first, second = np.array(one), np.array(other)
    assert stability_index(first, second) == pytest.approx(stability_index(second, first))
    assert stability_index(first, second) >= 0
    assert stability_index(first, first * 3) == pytest.approx(0)


def test_a_bin_that_was_empty_is_no_infinity():
    assert 1 < stability_index(np.array([100, 0]), np.array([0, 100])) < 20
    assert stability_index(np.array([0, 0]), np.array([1, 2])) == 0


@given(st.lists(st.integers(-50, 50), min_size=1))
def test_every_value_is_in_one_bin_as_numpy_has_it(values):
    numbers, edges = np.array(values, dtype=float), np.array([-50.0, -3, 0, 7, 50])
    np.testing.assert_array_equal(counts_by_edges(numbers, edges), np.histogram(numbers, edges)[0])
    assert counts_by_edges(numbers * 100, edges).sum() == len(values)
    assert counts_by_edges(numbers, np.array([3.0])).tolist() == [len(values)]
