"""Folds of whole groups: no customer, patient or machine is both learned from and judged on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mlframe.errors import DataError
from mlframe.splitters.base import RuleSplitter
from mlframe.table import Table

__all__ = ["GroupSplitter"]

Array = npt.NDArray[Any]


class GroupSplitter(RuleSplitter):
    """Cuts between groups, never through one; the groups are the values of the column with the role group.

    Groups go to the folds largest first, each to the fold with the fewest rows (as scikit-learn's GroupKFold does),
    in random order among equals.

    Args:
        folds: number of folds, 2 or more.
        holdout: share of the rows that only the final evaluation reads; 0 for none. Groups of random order that fit
            into the share are held out, at least one.
        seed: seed of every random choice.
        repeats: how often the folds are cut, each time from another shuffle; the holdout stays the same.
    """

    def __init__(self, folds: int = 5, holdout: float = 0.2, seed: int = 0, repeats: int = 1) -> None:
        super().__init__(folds, holdout, seed, repeats)

    def check(self, table: Table, target: Array, task: str) -> None:
        """Refuse tables without a usable group column.

        Raises:
            DataError: no such column, nulls in it, or fewer groups than parts.
        """
        super().check(table, target, task)
        count = len(np.unique(_groups(table)))
        needed = self.folds + (1 if self.holdout else 0)
        if count < needed:
            raise DataError(
                f"{count} group{'s' if count != 1 else ''} cannot make {self.folds} folds"
                + (" and a holdout" if self.holdout else ""),
                where=f"splitter.folds, data.columns.{table.one('group')}",
                hint=f"{needed} groups are needed: use fewer folds, or another column with the role group",
            )

    def part(self, table: Table, target: Array, task: str, rows: Array, share: float, salt: int) -> tuple[Array, Array]:
        """Take random whole groups that fit into the share; at least one, and at least one is left."""
        _, groups = np.unique(_groups(table)[rows], return_inverse=True)
        sizes = np.bincount(groups)
        order = self.random(salt).permutation(len(sizes))
        # Enough groups stay for the folds when the holdout is taken.
        most = len(sizes) - (self.folds if salt == 0 else 1)
        room, taken = share * len(rows), np.zeros(len(sizes), dtype=np.bool_)
        for group in order:
            if sizes[group] <= room and taken.sum() < most:
                taken[group] = True
                room -= sizes[group]
        if not taken.any() and most > 0:  # every group is larger than the share: the smallest comes nearest
            taken[order[np.argmin(sizes[order])]] = True
        mask = taken[groups]
        return rows[~mask], rows[mask]

    def pairs(self, table: Table, target: Array, task: str, rows: Array, repeat: int) -> Sequence[tuple[Array, Array]]:
        """Deal whole groups out to the folds, each to the one with the fewest rows."""
        _, groups = np.unique(_groups(table)[rows], return_inverse=True)
        sizes = np.bincount(groups)
        order = self.random(1, repeat).permutation(len(sizes))
        if repeat == 0:
            order = order[np.argsort(-sizes[order], kind="stable")]
        # Later repeats keep the random order: largest first would cut groups of different sizes the same way again.
        fold_of, load = np.zeros(len(sizes), dtype=np.intp), np.zeros(self.folds, dtype=np.intp)
        for group in order:
            fold_of[group] = np.argmin(load)
            load[fold_of[group]] += sizes[group]
        fold = fold_of[groups]
        return [(rows[fold != number], rows[fold == number]) for number in range(self.folds)]


def _groups(table: Table) -> Array:
    """Return one number a row, equal within a group."""
    name = table.one("group")
    if name is None:
        raise DataError(
            "splitter=group needs a column with the role 'group'",
            where="data.columns",
            hint="name it: 'data.columns.NAME.role=group', or use another splitter",
        )
    column = table.frame[name]
    missing = column.null_count()
    if missing:
        raise DataError(
            f"The group {name!r} is missing in {missing} rows",
            where=f"data.columns.{name}",
            hint="fill it, or drop these rows: 'nullable: false' in data.schema and validators.pandera.policy=drop",
        )
    return column.rank("dense").to_numpy()
