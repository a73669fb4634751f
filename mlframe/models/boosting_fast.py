"""scikit-learn's histogram boosting for a few rows at a time: bit masks in place of a thread team for each tree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_classifier

from mlframe.models.masks import Leaf, Split, Tree, masks_of

if TYPE_CHECKING:
    from mlframe.contracts import Array, Matrix

__all__ = ["predictor"]


def predictor(estimator: Any) -> Callable[[Matrix], Array] | None:
    """Return what gives probabilities (rows, classes) or values (rows,) of a fitted estimator.

    Returns:
        None when the trees have no masks, or this scikit-learn keeps its trees elsewhere than those that are known.
    """
    try:
        rounds, baseline, loss = estimator._predictors, estimator._baseline_prediction, estimator._loss
        places, known = _places(estimator)
    except AttributeError:
        return None
    if any((codes != np.round(codes)).any() or (codes < 0).any() for codes in known.values()):
        return None
    trees = [_tree(one, one.nodes[0], places, known) for turn in rounds for one in turn]
    masks = masks_of(trees, estimator.n_trees_per_iteration_)
    if masks is None:
        return None

    def ask(matrix: Matrix) -> Array:
        dense: Any = matrix
        raw = baseline + masks.scores(dense)
        given: Array = loss.predict_proba(raw) if classifies else loss.link.inverse(raw.ravel())
        return given

    classifies = is_classifier(estimator)
    return ask


def _places(estimator: Any) -> tuple[list[int], Mapping[int, Array]]:
    """Return the column of each feature of the trees, and of those with categories the ones that training saw.

    The estimator puts columns with categories in front, and numbers the categories.
    """
    width, marked = estimator.n_features_in_, estimator.is_categorical_
    if estimator._preprocessor is None:
        return list(range(width)), {}
    front = [int(column) for column in np.flatnonzero(marked)]
    seen = estimator._preprocessor.named_transformers_["encoder"].categories_
    known = {column: codes[~np.isnan(codes)] for column, codes in zip(front, seen, strict=True)}
    return front + [column for column in range(width) if column not in known], known


def _tree(one: Any, node: Any, places: list[int], known: Mapping[int, Array]) -> Tree:
    if node["is_leaf"]:
        return Leaf(float(node["value"]))
    left, right = (_tree(one, one.nodes[node[side]], places, known) for side in ("left", "right"))
    feature, missing = places[node["feature_idx"]], bool(node["missing_go_to_left"])
    if not node["is_categorical"]:
        return Split(feature, left, right, missing, threshold=float(node["num_threshold"]))
    bits = one.raw_left_cat_bitsets[node["bitset_idx"]]
    passes = {int(code): bool(bits[number // 32] >> (number % 32) & 1) for number, code in enumerate(known[feature])}
    # A category that training did not see goes where missing values go; so name those that go the other way.
    codes = frozenset(code for code, left_side in passes.items() if left_side is not missing)
    if not codes:
        return left if missing else right
    first, second = (right, left) if missing else (left, right)
    return Split(feature, first, second, missing=False, codes=codes)
