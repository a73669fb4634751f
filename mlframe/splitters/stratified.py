"""K folds in which every class, or every range of the target, has the share that it has in the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mlframe.errors import ConfigError, DataError
from mlframe.splitters.base import class_name, strata
from mlframe.splitters.kfold import KFoldSplitter
from mlframe.table import Table

__all__ = ["StratifiedSplitter"]

Array = npt.NDArray[Any]


class StratifiedSplitter(KFoldSplitter):
    """Cuts rows at random inside each class; in regression inside each of `bins` equal parts of the ordered target.

    Args:
        folds: number of folds, 2 or more.
        holdout: share of the rows that only the final evaluation reads; 0 for none.
        bins: parts of the target in regression.
        seed: seed of every random choice.
        repeats: how often the folds are cut, each time from another shuffle; the holdout stays the same.
    """

    def __init__(self, folds: int = 5, holdout: float = 0.2, bins: int = 10, seed: int = 0, repeats: int = 1) -> None:
        super().__init__(folds, holdout, seed, repeats)
        if bins < 1:
            raise ConfigError(
                "splitter.bins must be 1 or more",
                value=bins,
                where="splitter.bins",
                hint="10 cuts a numeric target into tenths",
            )
        self.bins = bins

    def check(self, table: Table, target: Array, task: str) -> None:
        """Refuse a class that cannot be in every fold and in the holdout.

        Raises:
            DataError: the class, its rows and what to do.
        """
        super().check(table, target, task)
        if task == "regression":
            return
        counts = np.bincount(target.astype(np.intp))
        needed = self.folds + (1 if self.holdout else 0)
        for code in np.flatnonzero((counts > 0) & (counts < needed)):
            fitting = int(counts[code]) - (1 if self.holdout else 0)
            fewer = f"set splitter.folds={fitting}, " if fitting >= 2 else ""
            raise DataError(
                f"Class {class_name(table, target, int(code))!r} has {counts[code]} rows, "
                f"{self.folds} folds{' and a holdout' if self.holdout else ''} need {needed}",
                where="splitter.folds",
                hint=f"{fewer}give more rows of this class, merge it with another, or use splitter=kfold, "
                "which does not mind",
            )

    def strata(self, table: Table, target: Array, task: str, rows: Array) -> Array:
        """Return classes, or ranges of the target."""
        return strata(target[rows], task, self.bins)
