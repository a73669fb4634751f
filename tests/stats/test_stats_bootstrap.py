from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mlframe.stats import Scores, bootstrap, estimate, figures, paired_bootstrap


def sample(rows: int, seed: int, strength: float = 1.0) -> tuple[np.ndarray, Scores]:
    rng = np.random.default_rng(seed)
    y = (rng.random(rows) < 0.3).astype(np.intp)
    return y, scores_of(y, rng, strength)


def scores_of(y: np.ndarray, rng: np.random.Generator, strength: float) -> Scores:
    p = 1 / (1 + np.exp(-(rng.normal(size=len(y)) + strength * (y - 0.5))))
    return Scores((p >= 0.5).astype(np.intp), np.stack([1 - p, p], axis=1))


def test_interval_equals_a_plain_bootstrap_with_sklearn() -> None:
    y, scores = sample(400, 1)
    assert scores.proba is not None
    found = estimate(y, scores, resamples=2000, seed=3)["roc_auc"]
    rng = np.random.default_rng(5)
    drawn = []
    for _ in range(500):
        rows = rng.integers(0, len(y), len(y))
        drawn.append(roc_auc_score(y[rows], scores.proba[rows, 1]))
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert found.low == pytest.approx(low, abs=0.012)
    assert found.high == pytest.approx(high, abs=0.012)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    y, scores = sample(200_000, 0)
    truth = figures(y, scores)
    hits = dict.fromkeys(truth, 0)
    for seed in range(100):
        y, scores = sample(300, seed + 1)
        for name, item in estimate(y, scores, resamples=200, seed=seed).items():
            assert item.low is not None
            assert item.high is not None
            hits[name] += item.low <= truth[name] <= item.high
    assert all(86 <= count <= 100 for count in hits.values()), hits


def test_bundles_give_the_intervals_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    y, scores = sample(8000, 2)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    bundled = estimate(y, scores, weight, resamples=1000)
    monkeypatch.setattr(bootstrap, "BUNDLED", 10_000)
    plain = estimate(y, scores, weight, resamples=1000)
    for name, item in plain.items():
        other = bundled[name]
        assert item.value == other.value
        assert None not in (item.low, item.high, other.low, other.high)
        width = item.high - item.low  # type: ignore[operator]
        assert other.low == pytest.approx(item.low, abs=0.2 * width), name
        assert other.high == pytest.approx(item.high, abs=0.2 * width), name


def test_equal_seeds_give_equal_intervals_and_zero_resamples_none() -> None:
    y, scores = sample(300, 4)
    assert estimate(y, scores, resamples=50, seed=1) == estimate(y, scores, resamples=50, seed=1)
    assert estimate(y, scores, resamples=50, seed=1) != estimate(y, scores, resamples=50, seed=2)
    assert all(item.low is None for item in estimate(y, scores, resamples=0).values())


def test_rare_class_gets_no_interval_when_most_resamples_lack_it() -> None:
    y = np.r_[1, np.zeros(3, dtype=np.intp), np.zeros(200, dtype=np.intp)]
    weight = np.ones(len(y))
    y, scores = y.astype(np.intp), scores_of(y, np.random.default_rng(0), 1)
    found = estimate(y, scores, weight, resamples=200)
    assert found["log_loss"].low is not None
    assert found["roc_auc"].value >= 0


def test_regression_interval_holds_the_value() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=500)
    for item in estimate(y, Scores(y + rng.normal(size=500)), resamples=300).values():
        assert item.low is not None
        assert item.high is not None
        assert item.low < item.value < item.high


@pytest.mark.parametrize("rows", [600, 9000])
def test_paired_difference_is_narrower_than_two_intervals(rows: int) -> None:
    y, first = sample(rows, 7)
    assert first.proba is not None
    noise = np.random.default_rng(1).normal(0, 0.02, rows)
    p = np.clip(first.proba[:, 1] + noise, 0.001, 0.999)
    second = Scores((p >= 0.5).astype(np.intp), np.stack([1 - p, p], axis=1))
    found = paired_bootstrap("roc_auc", y, first, second, resamples=500)
    alone = estimate(y, first, resamples=500)["roc_auc"]
    assert found is not None
    assert found.value == pytest.approx(found.a - found.b)
    assert found.low < found.value < found.high
    assert alone.low is not None
    assert alone.high is not None
    assert found.high - found.low < (alone.high - alone.low) / 2


def test_a_better_model_is_found_better_and_an_equal_one_equal() -> None:
    y, weak = sample(1500, 8, 0.5)
    strong = scores_of(y, np.random.default_rng(9), 2.5)
    better = paired_bootstrap("log_loss", y, strong, weak)
    assert better is not None
    assert better.high < 0
    same = paired_bootstrap("log_loss", y, weak, weak)
    assert same is not None
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_unknown_figure_is_refused_and_an_undefined_one_is_none() -> None:
    y, scores = sample(50, 1)
    with pytest.raises(KeyError):
        paired_bootstrap("rmse", y, scores, scores)
    assert paired_bootstrap("roc_auc", np.zeros_like(y), scores, scores) is None
