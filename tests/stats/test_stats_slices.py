from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from mlframe.stats import Codes, benjamini_hochberg, slice_search


def coded(rng: np.random.Generator, rows: int, sizes: tuple[int, ...]) -> list[Codes]:
    return [Codes(f"c{k}", rng.integers(0, size, rows), size) for k, size in enumerate(sizes)]


@given(seed=st.integers(0, 10_000), tests=st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_q_values_equal_scipy(seed: int, tests: int) -> None:
    p = np.random.default_rng(seed).random(tests) ** 2
    assert benjamini_hochberg(p) == pytest.approx(false_discovery_control(p))


def test_tests_that_were_not_kept_count_too() -> None:
    assert benjamini_hochberg(np.array([0.01, 0.02]), 100) == pytest.approx([1.0, 1.0])
    assert benjamini_hochberg(np.array([]), 100).tolist() == []


@given(seed=st.integers(0, 10_000), weighted=st.booleans(), single=st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_planted_slice_is_found_first(seed: int, weighted: bool, single: bool) -> None:
    rng = np.random.default_rng(seed)
    rows = 4_000
    columns = coded(rng, rows, (4, 5, 3, 6, 2))
    bad = (columns[1].codes == 2) & (single | (columns[3].codes == 4))
    loss = rng.exponential(0.3, rows) + 0.6 * bad
    weight = rng.uniform(0.5, 2.0, rows) if weighted else np.ones(rows)
    found = slice_search(columns, loss, weight)
    first = found.slices[0]
    assert first.parts == (((1, 2),) if single else ((1, 2), (3, 4)))
    assert first.rows == bad.sum()
    assert first.loss == pytest.approx(np.average(loss[bad], weights=weight[bad]))
    assert first.rest == pytest.approx(np.average(loss[~bad], weights=weight[~bad]))
    reach = (first.high - first.low) / 2
    assert first.low - reach < 0.6 < first.high + reach  # the interval itself misses one time in twenty, as it says
    assert first.low > 0
    assert len(found.slices) <= 2, "the rest is chance, or the same again"


LOSSES = {
    "exponential": lambda rng, n: rng.exponential(0.5, n),
    "heavy": lambda rng, n: rng.standard_t(3, n) ** 2,
    "mostly high": lambda rng, n: -(rng.exponential(0.5, n) ** 2),
    "even": lambda rng, n: rng.random(n),
}


@pytest.mark.parametrize("kind", LOSSES)
def test_random_losses_survive_in_one_of_twenty_at_most(kind: str) -> None:
    rng = np.random.default_rng(20)
    trials = 200
    hits = 0
    for _ in range(trials):
        columns = coded(rng, 1_000, (4, 3, 5, 6))
        weight = rng.uniform(0.5, 2.0, 1_000)
        hits += bool(slice_search(columns, LOSSES[kind](rng, 1_000), weight, least=30).slices)
    # 5 % of 200 are 10; more than 17 would come once in a hundred.
    assert hits <= 17


def test_one_true_slice_lets_no_crowd_of_chance_in() -> None:
    """Slices that the true one dilutes are significant too; folding them must not leave false ones behind."""
    rng = np.random.default_rng(3)
    extra = 0
    for _ in range(40):
        columns = coded(rng, 6_000, (6,) * 8)
        bad = (columns[0].codes == 1) & (columns[1].codes == 1)
        found = slice_search(columns, rng.exponential(0.3, 6_000) + 1.0 * bad, np.ones(6_000))
        assert found.significant > 20
        extra += sum(item.parts != ((0, 1), (1, 1)) for item in found.slices)
    assert extra <= 6


def test_equal_columns_fold_and_one_origin_is_not_paired() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, 3_000)
    loss = rng.random(3_000) + (codes == 1)
    twins = [Codes("a", codes, 4), Codes("b", codes, 4), Codes("b", codes % 2, 2)]
    found = slice_search(twins, loss, np.ones(3_000))
    assert [len(item.parts) for item in found.slices] == [1]
    # 4 + 4 + 2 values; the pairs of a and b only repeat values, those of b's two columns are never formed.
    assert found.tried == 10


def test_a_worse_part_of_a_bad_slice_is_told_apart() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, 6_000), rng.integers(0, 3, 6_000)
    loss = rng.random(6_000) + 0.5 * (a == 1) + 0.5 * ((a == 1) & (b == 2))
    found = slice_search([Codes("a", a, 3), Codes("b", b, 3)], loss, np.ones(6_000))
    assert [item.parts for item in found.slices] == [((0, 1), (1, 2)), ((0, 1),)]


def test_small_slices_and_unpaired_columns() -> None:
    rng = np.random.default_rng(0)
    columns = coded(rng, 2_000, (3, 4, 2))
    rare = np.zeros(2_000, dtype=np.intp)
    rare[:30] = 1
    loss = rng.random(2_000) + 5 * rare
    assert slice_search([*columns, Codes("rare", rare, 2)], loss, np.ones(2_000), least=31).slices == []
    found = slice_search([*columns, Codes("rare", rare, 2)], loss, np.ones(2_000), least=30)
    assert found.slices[0].parts == ((3, 1),)
    none = slice_search(columns, loss, np.ones(2_000), pairs=0)
    assert none.tried == 3 + 4 + 2 + 12 + 6 + 8, "pairs that were not formed count as tried in vain"


def test_nothing_to_search_is_no_error() -> None:
    assert slice_search([], np.arange(500.0), np.ones(500)).slices == []
    assert slice_search([Codes("a", np.zeros(500, int), 1)], np.ones(500), np.ones(500)).tried == 0
    assert slice_search([Codes("a", np.arange(500) % 2, 2)], np.arange(500.0), np.zeros(500)).tried == 0
