from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from mlframe.stats import compare_rates, group_errors, group_rates


@given(seed=st.integers(0, 1000), rows=st.sampled_from([60, 400, 3000]))
@settings(max_examples=15, deadline=None)
def test_rates_equal_sklearn(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    positive = np.r_[True, False, rng.random(rows) < 0.4]
    score = np.clip(rng.random(rows + 2) + 0.2 * positive, 0, 1)
    called, weight = score > 0.5, rng.uniform(0.5, 2, rows + 2)
    found = group_rates(positive, called, score, weight, resamples=50, seed=seed)
    want = {
        "selection_rate": np.average(called, weights=weight),
        "true_positive_rate": metrics.recall_score(positive, called, sample_weight=weight),
        "false_positive_rate": 1 - metrics.recall_score(~positive, ~called, sample_weight=weight),
        "precision": metrics.precision_score(positive, called, sample_weight=weight),
        "calibration_gap": np.average(score - positive, weights=weight),
        "roc_auc": metrics.roc_auc_score(positive, score, sample_weight=weight),
    }
    assert set(found) == set(want)
    for name, value in want.items():
        assert found[name].value == pytest.approx(value)
        low, high = found[name].interval
        assert low is not None
        assert low <= value <= high


def test_intervals_of_a_difference_cover_the_truth() -> None:
    """Selection rates 0.5 and 0.4: 95 % of the intervals hold the difference; 200 trials leave 90 to 99 %."""
    hits = 0
    for trial in range(200):
        rng = np.random.default_rng(trial)
        rates = []
        for k, share in enumerate((0.5, 0.4)):
            called = rng.random(300) < share
            rates.append(
                group_rates(rng.random(300) < 0.5, called, called.astype(float), np.ones(300), resamples=200, seed=k)
            )
        _, low, high = compare_rates(rates[0]["selection_rate"], rates[1]["selection_rate"])["difference"]
        hits += low <= 0.1 <= high
    assert 0.90 <= hits / 200 <= 0.99


def test_what_a_group_does_not_define_is_nan() -> None:
    none = np.zeros(40, dtype=bool)
    found = group_rates(none, none, np.linspace(0, 1, 40), np.ones(40), resamples=20, seed=0)
    for name in ("true_positive_rate", "precision", "roc_auc"):
        assert np.isnan(found[name].value)
        assert found[name].interval == (None, None)
    assert found["selection_rate"].interval == (None, None), "no spread is no certainty"


def test_errors_and_no_resamples() -> None:
    error, weight = np.array([1.0, -1.0, 4.0]), np.array([1.0, 1.0, 2.0])
    found = group_errors(error, weight, resamples=0, seed=0)
    assert found.value == 2.0
    assert found.interval == (None, None)
    plain = group_rates(error > 0, error > 2, np.abs(error) / 4, weight, resamples=0, seed=0)
    assert plain["precision"].value == 1.0
    assert compare_rates(found, found)["ratio"] == (1.0, None, None)
