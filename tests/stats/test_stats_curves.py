from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from mlframe.stats import (
    calibration_bins,
    confusion,
    cramers_v,
    precision_recall_points,
    quantile_bins,
    roc_points,
    threshold_rows,
)


@given(seed=st.integers(0, 1000), rows=st.integers(5, 3000), ties=st.booleans())
@settings(max_examples=40, deadline=None)
def test_roc_points_hold_the_area(seed: int, rows: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    positive = np.r_[True, False, rng.random(rows) < 0.4]
    score = rng.random(rows + 2) + positive * 0.3
    score = np.round(score, 1) if ties else score
    weight = rng.uniform(0.5, 2, rows + 2)
    x, y = roc_points(positive, score, weight)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert len(x) <= 250
    assert (np.diff(x) >= 0).all()
    assert np.trapezoid(y, x) == pytest.approx(metrics.roc_auc_score(positive, score, sample_weight=weight), abs=0.01)
    recall, precision = precision_recall_points(positive, score, weight)
    assert recall[-1] == 1
    assert precision[-1] == pytest.approx(weight[positive].sum() / weight.sum())


def test_threshold_rows_equal_sklearn() -> None:
    rng = np.random.default_rng(0)
    positive, score = rng.random(500) < 0.3, np.round(rng.random(500), 2)
    at = np.array([0.0, 0.25, 0.5, 0.9, 1.5])
    table = threshold_rows(positive, score, np.ones(500), at)
    for i, threshold in enumerate(at[:-1]):
        called = score >= threshold
        assert table["precision"][i] == pytest.approx(metrics.precision_score(positive, called))
        assert table["recall"][i] == pytest.approx(metrics.recall_score(positive, called))
        assert table["f1"][i] == pytest.approx(metrics.f1_score(positive, called))
        assert table["flagged"][i] == pytest.approx(called.mean())
    assert np.isnan(table["precision"][-1])
    assert table["flagged"][-1] == 0


def test_calibration_of_honest_probabilities_lies_on_the_diagonal() -> None:
    rng = np.random.default_rng(0)
    score = rng.random(20_000)
    bins = calibration_bins(rng.random(20_000) < score, score, np.ones(20_000))
    assert len(bins["said"]) == 10
    assert np.abs(bins["said"] - bins["seen"]).max() < 0.04
    assert ((bins["low"] <= bins["seen"]) & (bins["seen"] <= bins["high"])).all()


def test_calibration_of_a_constant_is_one_bin() -> None:
    bins = calibration_bins(np.array([True, False]), np.array([0.5, 0.5]), np.ones(2))
    assert bins["seen"].tolist() == [0.5]


def test_confusion_counts_truth_by_prediction() -> None:
    y, predicted = np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2])
    assert (confusion(y, predicted, np.ones(4), 3) == metrics.confusion_matrix(y, predicted)).all()


def test_cramers_v_knows_dependence_and_independence() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 8, 5000)
    assert cramers_v(a, a) == pytest.approx(1, abs=1e-6)
    assert cramers_v(a, (a > 3).astype(int)) == pytest.approx(1, abs=0.01)
    assert cramers_v(a, rng.integers(0, 4, 5000)) < 0.05
    assert cramers_v(a, np.zeros(5000, dtype=int)) == 0


@given(st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), min_size=1, max_size=200))
@settings(deadline=None)
def test_quantile_bins_keep_order_and_set_missing_apart(values: list[float]) -> None:
    array = np.array(values)
    codes = quantile_bins(array, 5)
    known = np.isfinite(array)
    order = np.argsort(array[known])
    assert (np.diff(codes[known][order]) >= 0).all()
    if known.any() and not known.all():
        assert codes[~known].min() > codes[known].max()
