"""LightGBM's models in their fastest way: few rows without threads, and bit masks where these are faster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit

from mlframe.models import lgbm_saved
from mlframe.models.masks import Leaf, Masks, Split, Tree, masks_of

if TYPE_CHECKING:
    from mlframe.contracts import Array, Matrix

__all__ = ["predictor"]

WALKS = 14
"""So many walks (rows times trees) a column cost as much as looking the column up in the tables (measured)."""

MANY = 1024
"""From so many rows LightGBM's threads pay for their start."""

PLAIN_OBJECTIVES = ("regression", "regression_l1", "huber", "fair", "quantile", "mape")
"""Objectives whose score is the value."""

LOG_OBJECTIVES = ("poisson", "gamma", "tweedie")
"""Objectives whose score is the logarithm of the value."""


def predictor(estimator: Any, rounds: int) -> Callable[[Matrix], Array]:
    """Return what gives probabilities (rows, classes) or values (rows,) of a fitted estimator.

    Args:
        estimator: LightGBM's, or one of `mlframe.models.lgbm_saved`.
        rounds: rounds that predictions use.
    """
    booster, classifies = estimator.booster_, hasattr(estimator, "classes_")
    described = booster.dump_model(num_iteration=rounds)
    masks, link = _masks(described), _link(described["objective"].split())

    threads = lgbm_saved.threads_of(estimator)
    own = {} if threads is None else {"num_threads": threads}

    def ask(matrix: Matrix) -> Array:
        dense = isinstance(matrix, np.ndarray)
        if masks and link and dense and len(matrix) * masks.trees > WALKS * len(masks.columns):
            return link(masks.scores(matrix))
        options = own if matrix.shape[0] >= MANY else {"num_threads": 1}
        given = np.asarray(booster.predict(matrix, num_iteration=rounds, **options))
        return np.stack([1.0 - given, given], axis=1) if classifies and given.ndim == 1 else given

    return ask


def _link(objective: list[str]) -> Callable[[Array], Array] | None:
    """Return what makes predictions of scores, None for an objective that is left to LightGBM."""
    match objective:
        case ["binary", "sigmoid:1"]:
            return _binary
        case ["multiclass", *_]:
            return _softmax
        case [name] if name in PLAIN_OBJECTIVES:
            return _value
        case [name, *_] if name in LOG_OBJECTIVES:
            return _exponential
    return None


def _binary(scores: Array) -> Array:
    positive = expit(scores)
    return np.hstack([1.0 - positive, positive])


def _softmax(scores: Array) -> Array:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _value(scores: Array) -> Array:
    return scores[:, 0]


def _exponential(scores: Array) -> Array:
    return np.asarray(np.exp(scores[:, 0]))


def _masks(described: Mapping[str, Any]) -> Masks | None:
    """Return the trees as tables, None for those that are more than sums of leaves."""
    if described["average_output"]:
        return None
    try:
        trees = [_tree(item["tree_structure"]) for item in described["tree_info"]]
    except _Other:
        return None
    return masks_of(trees, described["num_tree_per_iteration"])


class _Other(Exception):
    """A tree has what the tables cannot say."""


def _tree(node: Mapping[str, Any]) -> Tree:
    if "leaf_value" in node:
        if "leaf_coeff" in node:  # a linear model in each leaf
            raise _Other
        return Leaf(node["leaf_value"])
    left, right = _tree(node["left_child"]), _tree(node["right_child"])
    if node["decision_type"] == "==":
        codes = frozenset(int(code) for code in node["threshold"].split("||"))
        return Split(node["split_feature"], left, right, missing=False, codes=codes)
    if node["missing_type"] == "Zero":
        raise _Other
    # Where training saw no missing value, LightGBM reads one as zero.
    missing = node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0.0
    return Split(node["split_feature"], left, right, missing=missing, threshold=node["threshold"])
