"""One train part, one validation part, one holdout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mlframe.splitters.base import RuleSplitter, check_share, even_share, strata
from mlframe.table import Table

__all__ = ["HoldoutSplitter"]

Array = npt.NDArray[Any]


class HoldoutSplitter(RuleSplitter):
    """Cuts rows once, at random: fast, for tables large enough that one validation part says enough.

    Args:
        valid: share of the development rows that is validated.
        holdout: share of all rows that only the final evaluation reads; 0 for none.
        stratify: keep the shares of classes (in regression: of tenths of the ordered target) in every part.
        seed: seed of every random choice.
    """

    least_folds = 1

    def __init__(self, valid: float = 0.25, holdout: float = 0.2, stratify: bool = True, seed: int = 0) -> None:
        super().__init__(1, holdout, seed)
        self.valid = check_share("valid", valid, zero=False)
        self.stratify = stratify

    def part(self, table: Table, target: Array, task: str, rows: Array, share: float, salt: int) -> tuple[Array, Array]:
        """Draw a share of the rows."""
        labels = strata(target[rows], task, 10) if self.stratify else np.zeros(len(rows), dtype=np.intp)
        mask = even_share(labels, share, self.random(salt))
        return rows[~mask], rows[mask]

    def pairs(self, table: Table, target: Array, task: str, rows: Array, repeat: int) -> Sequence[tuple[Array, Array]]:
        """Return the only fold."""
        return [self.part(table, target, task, rows, self.valid, 1)]
