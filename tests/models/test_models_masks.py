"""Bit masks give the sums that walking the trees gives, whatever the trees and the values."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from mlframe.models import boosting_fast, lgbm_fast, masks
from mlframe.models.masks import Leaf, Split, masks_of

NUMBERS = st.sampled_from([-2.5, -1.0, 0.0, 0.5, 1.0, 3.0, 1e300])


def splits(below):
    numbers = st.builds(Split, st.integers(0, 2), below, below, st.booleans(), threshold=NUMBERS)
    codes = st.frozensets(st.integers(0, 5), min_size=1)
    return numbers | st.builds(Split, st.integers(3, 4), below, below, st.booleans(), codes=codes)


TREES = st.recursive(st.floats(-5, 5).map(Leaf), splits, max_leaves=20)
VALUES = st.none() | NUMBERS | st.floats(allow_infinity=False)
CODES = st.none() | st.integers(-2, 9)


def walk(tree, row) -> float:
    while isinstance(tree, Split):
        value = row[tree.feature]
        if np.isnan(value):
            passes = tree.missing
        else:
            passes = value <= tree.threshold if tree.threshold is not None else value in tree.codes
        tree = tree.left if passes else tree.right
    return tree.value


@settings(max_examples=200, deadline=None)
@given(
    st.lists(TREES, min_size=2, max_size=6).filter(lambda trees: len(trees) % 2 == 0),
    st.lists(st.tuples(VALUES, VALUES, VALUES, CODES, CODES), min_size=1, max_size=5),
    st.sampled_from([1, 2]),
)
def test_masks_find_the_leaves_that_walks_find(trees, rows, outputs):
    matrix = np.array(rows, dtype=np.float64)
    wanted = [[sum(walk(tree, row) for tree in trees[k::outputs]) for k in range(outputs)] for row in matrix]
    made = masks_of(trees, outputs)
    np.testing.assert_allclose(made.scores(matrix), wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(made.scores(np.asfortranarray(matrix)), made.scores(matrix))


def chain(leaves: int):
    tree = Leaf(0.0)
    for number in range(1, leaves):
        tree = Split(0, Leaf(float(number)), tree, missing=False, threshold=float(-number))
    return tree


@pytest.mark.parametrize("leaves", [2, 32, 33, 64])
def test_as_many_leaves_as_a_word_has_bits(leaves: int):
    values = np.linspace(-70, 1, 143)[:, None]
    made = masks_of([chain(leaves)], 1)
    np.testing.assert_array_equal(made.scores(values)[:, 0], [walk(chain(leaves), row) for row in values])


def test_large_trees_and_large_tables_have_no_masks(monkeypatch):
    assert masks_of([chain(65)], 1) is None
    assert masks_of([], 1) is None
    monkeypatch.setattr(masks, "MOST_BYTES", 100)
    assert masks_of([chain(40)], 1) is None


# ------------------------------------------------------------------------------------------------ LightGBM


def rows(count: int, seed: int):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(count, 5))
    matrix[:, 4] = rng.integers(0, 12, count)
    target = matrix[:, 0] + np.isin(matrix[:, 4], [1, 5]) + 0.1 * rng.normal(size=count)
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    matrix[:, 3] = rng.integers(-3, 4, count)  # training sees no missing value here
    return matrix, target


@pytest.mark.parametrize(
    ("options", "masked"),
    [
        ({}, True),
        ({"boosting_type": "dart"}, True),
        ({"num_leaves": 64}, True),
        ({"max_depth": 1}, True),
        ({"min_child_samples": 10**6}, True),
        ({"objective": "quantile"}, True),
        ({"objective": "poisson"}, True),
        ({"objective": "tweedie"}, True),
        ({"objective": "gamma"}, True),
        ({"objective": "regression", "reg_sqrt": True}, False),
        ({"boosting_type": "rf", "subsample": 0.5, "subsample_freq": 1}, False),
        ({"linear_tree": True}, False),
        ({"zero_as_missing": True}, False),
        ({"num_leaves": 100}, False),
    ],
)
def test_lightgbms_values(monkeypatch, options, masked: bool):
    matrix, target = rows(2000, 0)
    target = np.exp(target)
    estimator = lightgbm.LGBMRegressor(n_estimators=30, verbosity=-1, n_jobs=1, cat_smooth=1, **options)
    estimator.fit(matrix, target, categorical_feature=[4])
    fresh, _ = rows(300, 1)
    fresh[::7, 3] = np.nan
    fresh[::5, 4] = 40.0  # a category that training did not see
    wanted = estimator.predict(fresh)
    calls = []
    scores = masks.Masks.scores
    monkeypatch.setattr(masks.Masks, "scores", lambda self, matrix: calls.append(1) or scores(self, matrix))
    given_ = lgbm_fast.predictor(estimator, 30)(fresh)
    np.testing.assert_allclose(given_, wanted, rtol=1e-12)
    assert bool(calls) is masked


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("rounds", [1, 7, 30])
def test_lightgbms_classes_in_fewer_rounds(classes: int, rounds: int):
    matrix, target = rows(2000, 0)
    codes = np.digitize(target, np.quantile(target, np.arange(1, classes) / classes))
    estimator = lightgbm.LGBMClassifier(n_estimators=30, verbosity=-1, n_jobs=1).fit(matrix, codes)
    fresh, _ = rows(300, 1)
    ask = lgbm_fast.predictor(estimator, rounds)
    np.testing.assert_allclose(ask(fresh), estimator.predict_proba(fresh, num_iteration=rounds), rtol=1e-11)
    np.testing.assert_allclose(ask(fresh[:1]), estimator.predict_proba(fresh[:1], num_iteration=rounds), rtol=1e-11)


# ------------------------------------------------------------------------------------------------ scikit-learn


@pytest.mark.parametrize("categories", [None, [4]])
@pytest.mark.parametrize("task", ["squared_error", "poisson", 2, 3])
def test_scikit_learns_boosting(task, categories):
    matrix, target = rows(2000, 0)
    matrix[:, 4] = np.where(matrix[:, 4] == 3, 4, matrix[:, 4])  # a category between the others that training lacks
    if isinstance(task, str):
        estimator = HistGradientBoostingRegressor(max_iter=20, loss=task, categorical_features=categories)
        estimator.fit(matrix, np.exp(target))
    else:
        estimator = HistGradientBoostingClassifier(max_iter=20, categorical_features=categories)
        estimator.fit(matrix, np.digitize(target, np.quantile(target, np.arange(1, task) / task)))
    fresh, _ = rows(300, 1)
    fresh[::7, 3] = np.nan
    fresh[::5, 4] = 40.0
    wanted = estimator.predict(fresh) if isinstance(task, str) else estimator.predict_proba(fresh)
    ask = boosting_fast.predictor(estimator)
    np.testing.assert_allclose(ask(fresh), wanted, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(ask(fresh[:1]), wanted[:1], rtol=1e-10, atol=1e-12)


def test_scikit_learns_large_trees_have_no_fast_way():
    matrix, target = rows(2000, 0)
    grown = HistGradientBoostingRegressor(max_iter=2, max_leaf_nodes=100, min_samples_leaf=2).fit(matrix, target)
    assert boosting_fast.predictor(grown) is None
    moved = HistGradientBoostingRegressor(max_iter=2).fit(matrix, target)
    del moved._predictors
    assert boosting_fast.predictor(moved) is None


@pytest.mark.parametrize("leaves", [31, 100])  # with masks, and without
def test_many_rows_in_fewer_rounds(leaves: int):
    matrix, target = rows(3000, 0)
    estimator = lightgbm.LGBMRegressor(n_estimators=20, num_leaves=leaves, min_child_samples=5, verbosity=-1, n_jobs=1)
    estimator.fit(matrix, target)
    fresh, _ = rows(lgbm_fast.MANY + 100, 1)
    given_ = lgbm_fast.predictor(estimator, 5)(fresh)
    np.testing.assert_allclose(given_, estimator.predict(fresh, num_iteration=5), rtol=1e-12, atol=1e-15)


def test_many_rows_are_scored_in_blocks():
    made = masks_of([chain(9), chain(5)], 2)
    matrix = np.linspace(-12.0, 3.0, 2 * masks.BLOCK + 7)[:, None]
    one_by_one = np.concatenate([made.scores(row[None]) for row in matrix])
    np.testing.assert_array_equal(made.scores(matrix), one_by_one)
