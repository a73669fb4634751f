from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from mlframe.stats import CLASSIFICATION, REGRESSION, Scores, figures


def rows_of(seed: int, rows: int, classes: int, ties: bool) -> tuple[np.ndarray, Scores, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.r_[np.arange(classes), rng.integers(0, classes, rows)].astype(np.intp)
    logits = rng.normal(size=(len(y), classes))
    logits[np.arange(len(y)), y] += 1
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if ties:
        proba = np.round(proba, 1) + 0.01
        proba /= proba.sum(axis=1, keepdims=True)
    if classes == 2:  # the positive column alone decides the order
        proba[:, 0] = 1 - proba[:, 1]
    return y, Scores(proba.argmax(axis=1), proba), rng.uniform(0.1, 3, len(y))


def by_sklearn(y: np.ndarray, scores: Scores, weight: np.ndarray) -> dict[str, float]:
    proba, predicted = scores.proba, scores.predicted
    assert proba is not None
    classes = proba.shape[1]
    average = "binary" if classes == 2 else "macro"
    score = proba[:, 1] if classes == 2 else proba
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        truth = y if classes == 2 else np.eye(classes)[y]
        auc = (
            metrics.roc_auc_score(y, score, sample_weight=weight)
            if classes == 2
            else np.mean([metrics.roc_auc_score(y == k, proba[:, k], sample_weight=weight) for k in range(classes)])
        )
        return {
            "roc_auc": auc,
            "average_precision": metrics.average_precision_score(truth, score, sample_weight=weight),
            "log_loss": metrics.log_loss(y, proba, sample_weight=weight, labels=range(classes)),
            "brier": metrics.brier_score_loss(y, score, sample_weight=weight, labels=range(classes)),
            "accuracy": metrics.accuracy_score(y, predicted, sample_weight=weight),
            "f1": metrics.f1_score(y, predicted, sample_weight=weight, average=average, zero_division=0),
            "precision": metrics.precision_score(y, predicted, sample_weight=weight, average=average, zero_division=0),
            "recall": metrics.recall_score(y, predicted, sample_weight=weight, average=average, zero_division=0),
            "mcc": metrics.matthews_corrcoef(y, predicted, sample_weight=weight),
        }


@given(seed=st.integers(0, 10_000), rows=st.integers(2, 120), classes=st.integers(2, 5), ties=st.booleans())
@settings(max_examples=60, deadline=None)
def test_class_figures_equal_sklearn(seed: int, rows: int, classes: int, ties: bool) -> None:
    y, scores, weight = rows_of(seed, rows, classes, ties)
    found, wanted = figures(y, scores, weight), by_sklearn(y, scores, weight)
    assert set(found) == set(CLASSIFICATION)
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name


@given(seed=st.integers(0, 10_000), rows=st.integers(3, 200), quantile=st.floats(0.05, 0.95), far=st.booleans())
@settings(max_examples=40, deadline=None)
def test_value_figures_equal_sklearn(seed: int, rows: int, quantile: float, far: bool) -> None:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=rows) + (1e6 if far else 0)
    predicted, weight = y + rng.normal(size=rows), rng.uniform(0.1, 3, rows)
    found = figures(y, Scores(predicted), weight, quantile=quantile)
    assert set(found) == set(REGRESSION)
    common = {"sample_weight": weight}
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(y, predicted, **common))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(y, predicted, **common))
    assert found["r2"] == pytest.approx(metrics.r2_score(y, predicted, **common), abs=1e-9)
    assert found["mape"] == pytest.approx(metrics.mean_absolute_percentage_error(y, predicted, **common))
    assert found["pinball"] == pytest.approx(metrics.mean_pinball_loss(y, predicted, alpha=quantile, **common))


def test_figures_of_one_class_are_left_out() -> None:
    proba = np.array([[0.9, 0.1], [0.4, 0.6]])
    found = figures(np.zeros(2, dtype=np.intp), Scores(proba.argmax(axis=1), proba))
    assert set(found) == {"log_loss", "brier", "accuracy"}
    assert found["accuracy"] == 0.5


def test_a_class_without_rows_does_not_enter_the_mean() -> None:
    y, scores, weight = rows_of(1, 80, 3, False)
    assert scores.proba is not None
    kept = y != 2
    found = figures(y[kept], Scores(scores.predicted[kept], scores.proba[kept]), weight[kept])
    parts = [metrics.roc_auc_score(y[kept] == k, scores.proba[kept][:, k], sample_weight=weight[kept]) for k in (0, 1)]
    assert found["roc_auc"] == pytest.approx(np.mean(parts))


def test_constant_target_has_no_r2_and_zero_target_no_mape() -> None:
    constant = figures(np.full(5, 1e6 + 0.1), Scores(np.arange(5.0)))
    assert "r2" not in constant
    zero = figures(np.array([0.0, 1.0, 2.0]), Scores(np.array([0.1, 1.0, 2.0])))
    assert "mape" not in zero
    assert zero["r2"] > 0.9


def test_no_rows_give_no_figures() -> None:
    assert figures(np.zeros(0, dtype=np.intp), Scores(np.zeros(0, dtype=np.intp), np.zeros((0, 2)))) == {}


def test_a_weight_of_two_is_a_row_twice() -> None:
    y, scores, _ = rows_of(3, 50, 2, True)
    assert scores.proba is not None
    times = np.where(np.arange(len(y)) % 3 == 0, 2, 1)
    twice = np.repeat(np.arange(len(y)), times)
    once = figures(y, scores, times.astype(float))
    again = figures(y[twice], Scores(scores.predicted[twice], scores.proba[twice]))
    assert once == pytest.approx(again)
