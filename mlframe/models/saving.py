"""Trees of scikit-learn on disk: skops, plus a check that no node points outside.

skops trusts no tree because scikit-learn follows the indices in its nodes without looking: a file made by a bad hand
would read foreign memory. Here the nodes are checked before the estimator is handed out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import skops.io
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.tree._tree import Tree

from mlframe.contracts import Adapter
from mlframe.errors import BundleError

__all__ = ["TREES", "TreeSaver"]

TREES = ("sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor")


class TreeSaver(Adapter):
    """Save and load estimators that hold trees. Subclasses add what else their estimator can do."""

    trusted: Collection[str] = ()
    """Types beside skops' own and trees that a file may hold."""

    def save(self, estimator: Any) -> bytes:
        """Return the estimator in skops' format."""
        data: bytes = skops.io.dumps(estimator)
        return data

    def load(self, data: bytes) -> Any:
        """Return the estimator.

        Raises:
            BundleError: the data holds another type, or a tree whose nodes point outside.
        """
        allowed = {*TREES, *self.trusted}
        unknown = sorted(set(skops.io.get_untrusted_types(data=data)) - allowed)
        if unknown:
            raise BundleError(
                "The saved estimator holds types that are not trusted",
                value=unknown,
                hint="do not use this file; train the model again",
            )
        estimator = skops.io.loads(data, trusted=sorted(allowed))
        for tree, width in _trees(estimator, 0, set()):
            if not (_sound_tree(tree, width) if isinstance(tree, Tree) else _sound_predictor(tree, width)):
                raise BundleError(
                    "The saved estimator holds a tree whose nodes point outside it",
                    value=type(tree).__name__,
                    hint="the file was changed or made by a bad hand; do not use it, train the model again",
                )
        return estimator


def _trees(item: Any, width: int, seen: set[int]) -> Iterator[tuple[Any, int]]:
    """Yield every tree below an object with the number of features of the estimator that holds it."""
    if id(item) in seen:
        return
    seen.add(id(item))
    if isinstance(item, Tree | TreePredictor):
        yield item, width
        return
    if isinstance(item, dict):
        children = list(item.values())
    elif isinstance(item, list | tuple | set):
        children = list(item)
    elif isinstance(item, np.ndarray) and item.dtype == object:
        children = list(item.ravel())
    elif hasattr(item, "__dict__") and not isinstance(item, type):
        width = int(getattr(item, "n_features_in_", width))
        children = list(vars(item).values())
    else:
        return
    for child in children:
        yield from _trees(child, width, seen)


def _sound_tree(tree: Any, width: int) -> bool:
    nodes = tree.__getstate__()["nodes"]
    left, right = nodes["left_child"], nodes["right_child"]
    leaf = left == -1
    inner = ~leaf
    return (
        len(nodes) > 0
        and tree.n_features <= width
        and bool((right[leaf] == -1).all())
        and _forward(left, right, inner)
        and bool(((nodes["feature"][inner] >= 0) & (nodes["feature"][inner] < width)).all())
    )


def _sound_predictor(predictor: Any, width: int) -> bool:
    nodes = predictor.nodes
    inner = nodes["is_leaf"] == 0
    split = inner & (nodes["is_categorical"] != 0)
    known = (predictor.raw_left_cat_bitsets, predictor.binned_left_cat_bitsets)
    return (
        len(nodes) > 0
        and _forward(nodes["left"].astype(np.int64), nodes["right"].astype(np.int64), inner)
        and bool(((nodes["feature_idx"][inner] >= 0) & (nodes["feature_idx"][inner] < width)).all())
        and all(bitsets.ndim == 2 and bitsets.shape[1] == 8 for bitsets in known)
        and bool((nodes["bitset_idx"][split] < min(len(bitsets) for bitsets in known)).all())
    )


def _forward(left: Any, right: Any, inner: Any) -> bool:
    """Whether children lie behind their parent and inside the array, so that every walk ends."""
    own, count = np.flatnonzero(inner), len(inner)
    return all(bool(((child[inner] > own) & (child[inner] < count)).all()) for child in (left, right))
