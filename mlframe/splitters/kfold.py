"""K random folds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mlframe.splitters.base import RuleSplitter, even_folds, even_share
from mlframe.table import Table

__all__ = ["KFoldSplitter"]

Array = npt.NDArray[Any]


class KFoldSplitter(RuleSplitter):
    """Cuts rows at random: every row is validated once.

    Args:
        folds: number of folds, 2 or more.
        holdout: share of the rows that only the final evaluation reads; 0 for none.
        seed: seed of every random choice.
        repeats: how often the folds are cut, each time from another shuffle; the holdout stays the same.
    """

    def __init__(self, folds: int = 5, holdout: float = 0.2, seed: int = 0, repeats: int = 1) -> None:
        super().__init__(folds, holdout, seed, repeats)

    def strata(self, table: Table, target: Array, task: str, rows: Array) -> Array:
        """Return the stratum of each of `rows`; one for all here."""
        return np.zeros(len(rows), dtype=np.intp)

    def part(self, table: Table, target: Array, task: str, rows: Array, share: float, salt: int) -> tuple[Array, Array]:
        """Draw a share of the rows."""
        mask = even_share(self.strata(table, target, task, rows), share, self.random(salt))
        return rows[~mask], rows[mask]

    def pairs(self, table: Table, target: Array, task: str, rows: Array, repeat: int) -> Sequence[tuple[Array, Array]]:
        """Deal the rows out to the folds."""
        fold = even_folds(self.strata(table, target, task, rows), self.folds, self.random(1, repeat))
        return [(rows[fold != number], rows[fold == number]) for number in range(self.folds)]
