from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlframe.stats import label_suspects


def noisy(seed: int, rows: int, classes: int, share: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give labels with a share of wrong ones, sharp probabilities of the true class, and which labels are wrong."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, rows)
    wrong = rng.random(rows) < share
    y = np.where(wrong, (true + rng.integers(1, classes, rows)) % classes, true)
    logits = rng.normal(0, 0.7, (rows, classes))
    logits[np.arange(rows), true] += 5
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return y, proba, wrong


@given(seed=st.integers(0, 1000), classes=st.integers(2, 4), share=st.floats(0, 0.2), weighted=st.booleans())
@settings(max_examples=25, deadline=None)
def test_wrong_labels_of_separable_classes_are_counted_and_found(seed, classes, share, weighted) -> None:
    y, proba, wrong = noisy(seed, 3_000, classes, share)
    weight = np.random.default_rng(seed).uniform(0.5, 2, 3_000) if weighted else np.ones(3_000)
    found = label_suspects(y, proba, weight, resamples=200)
    assert found is not None
    assert found.share == pytest.approx(np.average(wrong, weights=weight), abs=0.02)
    assert 0 <= found.low <= found.share <= found.high <= 1
    if share > 0.05:
        assert wrong[found.rows].mean() > 0.9
        assert wrong[found.rows].sum() > 0.9 * wrong.sum()


def test_the_surest_suspect_comes_first_and_seeds_repeat() -> None:
    y = np.array([0] * 50 + [1] * 50)
    p = np.where(y == 1, 0.9, 0.1).astype(float)
    p[3], p[7], p[60] = 0.95, 0.99, 0.02
    found = label_suspects(y, np.stack([1 - p, p], axis=1), np.ones(100), seed=1)
    assert found.rows.tolist() == [7, 60, 3]
    assert found.likely.tolist() == [1, 0, 1]
    again = label_suspects(y, np.stack([1 - p, p], axis=1), np.ones(100), seed=1)
    assert (found.low, found.high) == (again.low, again.high)
    assert found.low < found.high


def test_one_class_has_no_suspects() -> None:
    assert label_suspects(np.zeros(10, dtype=int), np.full((10, 2), 0.5), np.ones(10)) is None
