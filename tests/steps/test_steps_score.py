"""How figures of folds become one."""

from __future__ import annotations

import pytest

from mlframe.contracts import Interval
from mlframe.steps.score import mean_of


def test_folds_narrow_the_interval_and_repeats_do_not():
    fold = Interval(0.8, 0.7, 0.9)
    once = mean_of([fold] * 4)
    again = mean_of([fold] * 12, repeats=3)
    assert once is not None
    assert again is not None
    assert once.low == pytest.approx(0.75)
    assert once.high == pytest.approx(0.85)
    assert (again.low, again.high) == (pytest.approx(once.low), pytest.approx(once.high))


def test_a_fold_without_an_interval_leaves_the_mean():
    assert mean_of([Interval(0.5), Interval(0.7, 0.6, 0.8)]) == Interval(0.6)
    assert mean_of([]) is None
