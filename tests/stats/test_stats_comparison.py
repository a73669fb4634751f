from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlframe.stats import corrected_mean, holm, paired_comparison, share_interval

scores = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20)
shares = st.floats(0.05, 0.5)


def keyed(values) -> dict[int, float]:
    return dict(enumerate(values))


def both(pairs) -> tuple[dict[int, float], dict[int, float]]:
    return keyed(a for a, _ in pairs), keyed(b for _, b in pairs)


def test_it_is_the_t_test_with_a_wider_error():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.8, 0.02, 10), rng.normal(0.79, 0.02, 10)
    found = paired_comparison(keyed(a), keyed(b), 0.1)
    plain = stats.ttest_rel(a, b)
    widened = np.sqrt((1 / 10 + 0.1 / 0.9) / (1 / 10))
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(plain.statistic) / widened, 9))
    ends = plain.confidence_interval()
    assert found.high - found.low == pytest.approx((ends.high - ends.low) * widened)
    assert found.value == pytest.approx(np.mean(a - b))


@given(scores, shares)
def test_swapping_turns_the_sign_only(pairs, share):
    a, b = both(pairs)
    there, back = paired_comparison(a, b, share), paired_comparison(b, a, share)
    assert there.value == pytest.approx(-back.value)
    assert there.p_value == back.p_value
    assert (there.low is None) == (back.low is None)
    if there.low is not None:
        assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=20), shares)
def test_the_unit_of_the_score_does_not_matter(pairs, share):
    small = paired_comparison(*both([(a / 1024, b / 1024) for a, b in pairs]), share)
    large = paired_comparison(*both(pairs), share)
    assert large.value == pytest.approx(small.value * 1024)
    assert (large.p_value is None) == (small.p_value is None)
    if large.p_value is not None:
        assert large.p_value == pytest.approx(small.p_value)
    if large.low is not None:
        assert (large.low, large.high) == pytest.approx((small.low * 1024, small.high * 1024))


@given(scores, shares)
def test_interval_and_p_value_agree(pairs, share):
    found = paired_comparison(*both(pairs), share)
    if found.low is not None and found.low < found.high:
        assert found.low <= found.value <= found.high
        if abs(found.p_value - 0.05) > 1e-9:
            assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)


def test_equal_models_are_seldom_called_different():
    """Ten folds of correlated differences, as train sets that overlap give: correlation valid / (train + valid)."""
    rng = np.random.default_rng(1)
    corrected = plain = 0
    for _ in range(2000):
        shared = rng.normal() * np.sqrt(0.1)
        differences = shared + rng.normal(size=10) * np.sqrt(0.9)
        found = paired_comparison(keyed(differences), keyed(np.zeros(10)), 0.1)
        corrected += found.p_value < 0.05
        plain += stats.ttest_1samp(differences, 0).pvalue < 0.05
    assert 0.03 < corrected / 2000 < 0.07
    assert plain / 2000 > 0.12, "the plain test must fail here, else this shows nothing"


def test_equal_classifiers_on_real_folds_are_seldom_called_different():
    """Two nearest-mean classifiers, each on half of equally good columns, judged on the same folds of fresh rows."""
    rng = np.random.default_rng(2)
    claims, worlds = 0, 400
    folds = np.arange(200) % 5
    for _ in range(worlds):
        y = rng.integers(0, 2, 200)
        x = rng.normal(size=(200, 8)) + 0.4 * y[:, None]
        found: list[dict[int, float]] = [{}, {}]
        for fold in range(5):
            train, valid = folds != fold, folds == fold
            means = [x[train & (y == k)].mean(axis=0) for k in (0, 1)]
            for which, columns in enumerate((slice(0, 4), slice(4, 8))):
                distances = [((x[valid, columns] - m[columns]) ** 2).sum(axis=1) for m in means]
                found[which][fold] = float(((distances[1] < distances[0]) == y[valid]).mean())
        claims += paired_comparison(found[0], found[1], 0.2).p_value < 0.05
    assert claims / worlds < 0.08


def test_the_interval_of_a_mean_covers_it():
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(1000):
        found = corrected_mean(0.8 + rng.normal() * np.sqrt(0.2) + rng.normal(size=5) * np.sqrt(0.8), 0.2)
        hits += found.low <= 0.8 <= found.high
    assert 0.93 < hits / 1000 < 0.97


def test_only_common_folds_are_paired():
    found = paired_comparison({(0, 0): 1.0, (0, 1): 2.0, (1, 0): 9.0}, {(0, 1): 1.0, (0, 0): 0.5, (0, 2): 7.0}, 0.2)
    assert (found.pairs, found.value) == (2, 0.75)
    assert paired_comparison({0: 1.0}, {1: 1.0}, 0.2) is None


def test_one_fold_claims_nothing():
    found = paired_comparison({0: 0.9}, {0: 0.1}, 0.2)
    assert (found.value, found.low, found.high, found.p_value) == (0.8, None, None, None)
    assert paired_comparison({0: 0.9}, {0: 0.9}, 0.2).p_value is None
    mean = corrected_mean([0.9], 0.2)
    assert (mean.value, mean.std, mean.low, mean.high) == (0.9, None, None, None)


def test_differences_without_spread():
    same = paired_comparison(keyed([0.7, 0.8, 0.9]), keyed([0.7, 0.8, 0.9]), 0.2)
    assert (same.value, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)
    shifted = paired_comparison(keyed([0.7, 0.8, 0.9]), keyed([0.6, 0.7, 0.8]), 0.2)
    assert (shifted.low, shifted.high, shifted.p_value) == (None, None, 0.25)


@pytest.mark.parametrize(
    ("values", "share"), [([], 0.2), ([float("nan")], 0.2), ([0.5, float("inf")], 0.2), ([0.5], 0.0), ([0.5], 1.0)]
)
def test_what_cannot_be_judged_is_refused(values, share):
    with pytest.raises(ValueError, match=r"scores must|test_share must"):
        corrected_mean(values, share)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=30))
def test_holm_keeps_the_order_and_lies_between_plain_and_bonferroni(values):
    adjusted = holm(values)
    assert all(p <= q <= min(1.0, p * len(values)) for p, q in zip(values, adjusted, strict=True))
    assert all(
        adjusted[i] <= adjusted[j] for i in range(len(values)) for j in range(len(values)) if values[i] < values[j]
    )


def test_holm_makes_few_false_claims():
    rng = np.random.default_rng(4)
    assert np.mean([min(holm(rng.random(20))) < 0.05 for _ in range(2000)]) < 0.07


@given(st.integers(0, 50), st.integers(1, 50))
def test_the_interval_of_a_share_is_scipys(count, rows):
    count = min(count, rows)
    known = stats.binomtest(count, rows).proportion_ci(0.95, method="wilson")
    assert share_interval(count, rows) == pytest.approx((count / rows, known.low, known.high), abs=1e-6)
