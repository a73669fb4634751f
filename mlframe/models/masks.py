"""Boosted trees of few leaves, scored for all rows at once with bit masks.

A tree walk is a chain of guesses that the processor gets wrong half of the time. Here no row walks: each test of a tree
excludes the leaves on its other side, so what is left of a tree after all tests is the leaf of the row. The exclusions of one
column are the same for every value between two thresholds, so they are laid down in a table when the model is loaded, and
scoring is one look-up a column, for all trees (QuickScorer, Lucchese et al. 2015).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from mlframe.contracts import Array

__all__ = ["Leaf", "Masks", "Split", "masks_of"]

MOST_LEAVES = 64
BLOCK = 512
"""Rows that are scored at once: their masks fit into the processor's own memory."""

MOST_BYTES = 32 << 20
"""Of a table; a model that needs more is scored by its library."""


@dataclass(frozen=True)
class Leaf:
    """The end of a walk.

    Args:
        value: what it adds to the score.
    """

    value: float


@dataclass(frozen=True)
class Split:
    """A test of one column.

    Args:
        feature: position of the column.
        left: where rows go that pass.
        right: where the others go.
        missing: whether rows without a value go left.
        threshold: a row passes up to here; None for categories.
        codes: a row passes with these categories (whole numbers from zero).
    """

    feature: int
    left: Tree
    right: Tree
    missing: bool
    threshold: float | None = None
    codes: frozenset[int] = frozenset()


Tree: TypeAlias = Leaf | Split


class Masks:
    """Trees as tables.

    Args:
        edges: column to its thresholds, ascending, infinity last: a value's place among them is its row of the table.
        tables: column to masks of the leaves that remain, shape (places + 1, trees); the last row is for missing values.
        values: leaf values, shape (trees, leaves).
        outputs: trees take turns: tree t adds to output t % outputs.
    """

    def __init__(self, edges: dict[int, Array], tables: dict[int, Array], values: Array, outputs: int) -> None:
        self.columns = [(feature, edges[feature], tables[feature]) for feature in sorted(tables)]
        self.values = np.ascontiguousarray(values).ravel()
        self.starts = np.arange(len(values)) * values.shape[1]
        self.trees = len(values)
        self.outputs = outputs

    def scores(self, matrix: Array) -> Array:
        """Return the sums of the trees, shape (rows, outputs), float64.

        Args:
            matrix: shape (rows, features), dense; NaN is missing.
        """
        if not self.columns:
            return np.tile(self.values[self.starts].reshape(-1, self.outputs).sum(axis=0), (len(matrix), 1))
        if len(matrix) <= BLOCK:
            return self._block(matrix)
        return np.concatenate([self._block(matrix[start : start + BLOCK]) for start in range(0, len(matrix), BLOCK)])

    def _block(self, matrix: Array) -> Array:
        # A column of numbers in a row of memory each; searchsorted puts NaN behind infinity.
        by_column = np.ascontiguousarray(matrix.T, dtype=np.float64)
        left: Any = None
        for feature, edges, table in self.columns:
            found = table[edges.searchsorted(by_column[feature])]
            left = found if left is None else np.bitwise_and(left, found, out=left)
        leaf = np.bitwise_count(left - 1)  # one bit is left: the bits below it count its place
        sums: Array = self.values[self.starts + leaf].reshape(len(matrix), -1, self.outputs).sum(axis=1)
        return sums


def masks_of(trees: Sequence[Tree], outputs: int) -> Masks | None:
    """Return trees as tables, None when a tree has too many leaves or the tables would be too large.

    Args:
        trees: in the order in which they take turns.
        outputs: how many outputs they add to.
    """
    ends = [list(_leaves(tree)) for tree in trees]
    width = max(map(len, ends), default=0)
    if not 0 < width <= MOST_LEAVES:
        return None
    word: Any = np.uint32 if width <= 32 else np.uint64
    places: dict[int, set[float]] = {}
    for split in (split for tree in trees for split in _splits(tree)):
        found = places.setdefault(split.feature, set())
        found |= {split.threshold} if split.threshold is not None else {-1.0, *map(float, range(max(split.codes) + 1))}
    edges = {feature: np.array([*sorted(found), np.inf]) for feature, found in places.items()}
    if sum(len(found) + 1 for found in edges.values()) * len(trees) * word(0).itemsize > MOST_BYTES:
        return None
    laid = {feature: np.empty((len(trees), len(found) + 1), dtype=word) for feature, found in edges.items()}
    values = np.zeros((len(trees), width))
    for number, (tree, leaves) in enumerate(zip(trees, ends, strict=True)):
        values[number, : len(leaves)] = [leaf.value for leaf in leaves]
        rows = {feature: table[number] for feature, table in laid.items()}
        for row in rows.values():
            row[:] = (1 << len(leaves)) - 1
        _lay(tree, 0, edges, rows, word)
    return Masks(edges, {f: np.ascontiguousarray(table.T) for f, table in laid.items()}, values, outputs)


def _lay(tree: Tree, start: int, edges: dict[int, Array], rows: dict[int, Array], word: Any) -> int:
    """Exclude the leaves on the other side of each test; return how many leaves there are below."""
    if isinstance(tree, Leaf):
        return 1
    left = _lay(tree.left, start, edges, rows, word)
    right = _lay(tree.right, start + left, edges, rows, word)
    passed, failed = ~word(((1 << right) - 1) << (start + left)), ~word(((1 << left) - 1) << start)
    places, row = edges[tree.feature], rows[tree.feature]
    if tree.threshold is None:
        row[:-1] &= np.where(np.isin(places, list(tree.codes)), passed, failed)
    else:
        first = places.searchsorted(tree.threshold) + 1
        row[:first] &= passed
        row[first:-1] &= failed
    row[-1] &= passed if tree.missing else failed
    return left + right


def _splits(tree: Tree) -> Iterator[Split]:
    if isinstance(tree, Split):
        yield tree
        yield from _splits(tree.left)
        yield from _splits(tree.right)


def _leaves(tree: Tree) -> Iterable[Leaf]:
    if isinstance(tree, Leaf):
        yield tree
    else:
        yield from _leaves(tree.left)
        yield from _leaves(tree.right)
