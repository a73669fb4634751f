"""A limit of time for the members of an ensemble."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mlframe.errors import Pruned

__all__ = ["TimeLimit"]

Checkpoint = Callable[[str, float, bool], None]


@dataclass
class TimeLimit:
    """Ends members that would not be done in time; what the kept ones take to be fitted again is set aside.

    A member is judged after each fold: a row is taken to cost the same in every fit. One that is over its time is
    interrupted at its next Python instruction.

    Args:
        seconds: most seconds for all members, None for no limit.
        rows: train rows of each fold.
        whole: rows that a kept member is fitted on again; 0 where the folds' models are deployed.
        clock: gives the time in seconds.
    """

    seconds: float | None
    rows: Sequence[int]
    whole: int
    clock: Callable[[], float] = time.monotonic
    set_aside: float = 0.0
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    @property
    def left(self) -> float:
        """Seconds for members that are not fitted yet."""
        return (self.seconds or 0.0) - self.set_aside - (self.clock() - self.began)

    @contextmanager
    def member(self) -> Iterator[Checkpoint | None]:
        """Limit the member that is fitted inside; give what it tells its folds to, None without a limit.

        Raises:
            Pruned: nothing is left, or the member would not be done in time.
        """
        if self.seconds is None:
            yield None
            return
        start, left, done = self.clock(), self.left, 0
        if left <= 0:
            raise Pruned(f"the {self.seconds:g} s are over")

        def look(place: str, value: float, higher: bool) -> None:
            nonlocal done
            done += place.startswith("fold")
            if done:
                need = (self.clock() - start) * (sum(self.rows) + self.whole) / sum(self.rows[:done])
                if need > left:
                    raise Pruned(f"it takes about {need:.0f} s, and {left:.0f} of {self.seconds:g} s were left")

        with _alarm(
            left * sum(self.rows) / (sum(self.rows) + self.whole),
            f"it is not done in the {left:.0f} of {self.seconds:g} s that were left",
        ):
            yield look

    def keep(self, spent: float) -> None:
        """Set time aside for fitting a member again whose folds took so many seconds, judged and stored."""
        self.set_aside += spent * self.whole / sum(self.rows)


@contextmanager
def _alarm(seconds: float, reason: str) -> Iterator[None]:
    """Interrupt what runs inside after some seconds, where the system can (in the main thread of a Unix process)."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    over = False

    def end(number: int, frame: Any) -> None:
        nonlocal over
        over = True
        raise Pruned(reason)

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
    try:
        yield
    except Exception as error:
        if (
            over
        ):  # what runs inside may tell an interruption as a failure of its own, such as a file that cannot be read
            raise Pruned(reason) from error
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
