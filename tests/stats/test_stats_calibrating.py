"""Calibration and thresholds: against scikit-learn, and what must hold for any probabilities."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import f1_score, roc_auc_score

from mlframe import stats


def overconfident(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities whose log-odds are three times too large, and the truth."""
    rng = np.random.default_rng(seed)
    score = rng.normal(0, 1.2, rows)
    y = (rng.random(rows) < 1 / (1 + np.exp(-score))).astype(np.intp)
    p = 1 / (1 + np.exp(-3 * score - 1))
    return np.stack([1 - p, p], axis=1), y


def log_loss(y: np.ndarray, proba: np.ndarray) -> float:
    return stats.figures(y, stats.Scores(proba.argmax(axis=1), proba), only=["log_loss"])["log_loss"]


def test_sigmoid_finds_the_curve_that_was_bent():
    proba, y = overconfident(20_000)
    slope, constant = stats.fit_calibration("sigmoid", proba, y)["parts"][0]
    assert slope == pytest.approx(1 / 3, abs=0.02)
    assert constant == pytest.approx(-1 / 3, abs=0.05)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration_lowers_the_loss_of_fresh_rows(method: str):
    calibration = stats.fit_calibration(method, *overconfident(3000, 1))
    proba, y = overconfident(3000, 2)
    better = stats.calibrate(proba, json.loads(json.dumps(calibration)))
    assert log_loss(y, better) < log_loss(y, proba) - 0.1
    np.testing.assert_allclose(better.sum(axis=1), 1.0)


def test_isotonic_is_scikit_learns():
    proba, y = overconfident(500)
    weight = np.random.default_rng(0).uniform(0.5, 2, 500)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(proba[:, 1], y, weight)
    fresh = np.linspace(0, 1, 301)
    ours = stats.calibrate(np.stack([1 - fresh, fresh], axis=1), stats.fit_calibration("isotonic", proba, y, weight))
    np.testing.assert_allclose(ours[:, 1], theirs.predict(fresh), atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_sigmoid_keeps_the_ranking_even_where_it_is_wrong(seed: int):
    proba, y = overconfident(400, seed)
    for truth in (y, 1 - y):
        after = stats.calibrate(proba, stats.fit_calibration("sigmoid", proba, truth))
        assert roc_auc_score(y, after[:, 1]) == roc_auc_score(y, proba[:, 1])


def test_more_classes_are_calibrated_one_against_the_rest():
    rng = np.random.default_rng(3)
    score = rng.normal(0, 1, (4000, 3))
    true = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    y = np.array([rng.choice(3, p=row) for row in true])
    bent = true**3 / (true**3).sum(axis=1, keepdims=True)
    for method in ("sigmoid", "isotonic"):
        after = stats.calibrate(bent, stats.fit_calibration(method, bent, y))
        np.testing.assert_allclose(after.sum(axis=1), 1.0)
        assert log_loss(y, after) < log_loss(y, bent)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30),
    st.sampled_from(["sigmoid", "isotonic"]),
)
def test_any_rows_give_probabilities(rows: list[tuple[float, bool]], method: str):
    p = np.array([row[0] for row in rows])
    y = np.array([row[1] for row in rows]).astype(np.intp)
    proba = np.stack([1 - p, p], axis=1)
    after = stats.calibrate(proba, stats.fit_calibration(method, proba, y))
    assert np.isfinite(after).all()
    assert (after >= 0).all()
    assert (after <= 1).all()
    rising = after[np.argsort(p, kind="stable"), 1]
    assert (np.diff(rising) >= -1e-12).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=25))
def test_no_threshold_beats_the_best_one(rows: list[tuple[int, bool]]):
    p = np.array([row[0] for row in rows]) / 6
    truth = np.array([row[1] for row in rows])
    best = stats.best_threshold(p, truth)
    score = f1_score(truth, p >= best, zero_division=0)
    for threshold in [*np.unique(p), 2.0]:
        assert score >= f1_score(truth, p >= threshold, zero_division=0) - 1e-12


def test_the_threshold_follows_the_value():
    p = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.9])
    truth = np.array([False, False, True, False, True, True])
    assert stats.best_threshold(p, truth, value={"tp": 100, "fp": -1}) == pytest.approx(0.25)
    assert stats.best_threshold(p, truth, value={"tp": 1, "fp": -100}) == pytest.approx(0.5)
    assert stats.best_threshold(p, truth, value={"fp": -1}) > 1  # nothing is worth calling
    assert stats.best_threshold(p, truth, value={"tp": 1}) <= 0.3
    assert stats.best_threshold(p, truth, value={"fn": -1, "fp": -1}, weight=np.array([1, 1, 1, 5, 1, 1])) > 0.4
