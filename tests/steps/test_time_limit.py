"""The limit of time for members: who is ended, when, and what is set aside."""

from __future__ import annotations

import signal
import time

import pytest

from mlframe.errors import Pruned
from mlframe.steps.time_limit import TimeLimit


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def limit(seconds: float | None, clock: Clock) -> TimeLimit:
    """Five folds of 80 rows, 100 rows to fit again on."""
    return TimeLimit(seconds, [80] * 5, 100, clock)


def test_without_a_limit_nobody_is_asked() -> None:
    with limit(None, Clock()).member() as checkpoint:
        assert checkpoint is None


def test_a_member_that_fits_is_left_alone_and_one_that_does_not_is_ended_after_a_fold() -> None:
    clock = Clock()
    watch = limit(60, clock)
    with watch.member() as checkpoint:
        assert checkpoint is not None
        checkpoint("round 25", 0.5, True)  # the first fold is under way: nothing can be said yet
        clock.now = 9
        checkpoint("fold 0", 0.5, True)  # 9 s for 80 of 500 rows: 56 s
    clock.now = 0
    with watch.member() as checkpoint:
        assert checkpoint is not None
        clock.now = 10
        with pytest.raises(Pruned, match="it takes about 62 s, and 60 of 60 s were left"):
            checkpoint("fold 0", 0.5, True)


def test_time_to_fit_again_is_set_aside() -> None:
    clock = Clock()
    watch = limit(60, clock)
    clock.now = 40
    watch.keep(40)
    assert watch.left == pytest.approx(10)
    watch.keep(40)
    with pytest.raises(Pruned, match="the 60 s are over"), watch.member():
        raise AssertionError("a member began")


def test_nothing_is_set_aside_where_the_folds_are_deployed() -> None:
    clock = Clock()
    watch = TimeLimit(60, [20, 40, 60], 0, clock)
    with watch.member() as checkpoint:
        assert checkpoint is not None
        clock.now = 9
        checkpoint("fold 0", 0.5, True)  # 9 s for 20 of 120 rows: 54 s
    watch.keep(9)
    assert watch.left == pytest.approx(51)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers of the system")
def test_a_fit_that_tells_nothing_is_interrupted_and_the_old_handler_is_back() -> None:
    before = signal.getsignal(signal.SIGALRM)
    watch = TimeLimit(0.05, [80] * 5, 100)
    with pytest.raises(Pruned, match="it is not done"), watch.member():
        time.sleep(600)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_interruption_that_is_told_as_a_failure_is_an_interruption() -> None:
    def read() -> None:
        try:
            time.sleep(600)
        except Exception as error:
            raise ValueError("the file cannot be read") from error

    with pytest.raises(Pruned, match="not done"), TimeLimit(0.05, [10], 0).member():
        read()
    with pytest.raises(ValueError, match="its own"), TimeLimit(60, [10], 0).member():
        raise ValueError("its own")
