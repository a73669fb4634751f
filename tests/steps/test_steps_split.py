"""Whether the folds' models are deployed."""

from __future__ import annotations

import numpy as np
import pytest

from mlframe.contracts import Split as Cut
from mlframe.steps.split import keeps_folds

ROWS = np.arange(12)
NONE = ROWS[:0]


def cut(*trains: object) -> Cut:
    """Return folds with these train rows; what they validate does not matter here."""
    return Cut(tuple((np.asarray(train), ROWS[-2:]) for train in trains), NONE, ROWS)


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("windows along time", cut(ROWS[:3], ROWS[:6], ROWS[:9]), True),
        ("windows of rows in another order", cut(ROWS[[5, 2]], ROWS[[2, 9, 5]]), True),
        ("cross-validation", cut(ROWS[4:], np.r_[ROWS[:4], ROWS[8:]], ROWS[:8]), False),
        ("cross-validation of unequal folds", cut(ROWS[6:], ROWS[:9]), False),
        ("the same rows twice", cut(ROWS[:6], ROWS[:6]), False),
        ("one fold", cut(ROWS[:6]), False),
    ],
)
def test_auto_keeps_only_windows_that_grow(name: str, given: Cut, kept: bool) -> None:
    assert keeps_folds("auto", given) is kept, name
    assert keeps_folds("folds", given)
    assert not keeps_folds("full", given)
