"""What a prediction costs, on a machine that does other things too."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from mlframe.steps import measure


class Ticking:
    """A clock that the pipeline moves: 2 ms a row, and whatever else the machine does."""

    def __init__(self, busy: list[float]) -> None:
        self.now, self.busy = 0.0, busy

    def perf_counter(self) -> float:
        return self.now

    def outputs(self, frame: pl.DataFrame) -> Any:
        assert frame.height == 1
        self.now += 0.002 + self.busy.pop(0)
        return np.zeros(1)


def test_latency_is_the_minimum_so_a_busy_machine_adds_nothing(monkeypatch) -> None:
    frame = pl.DataFrame({"x": [1.0, 2.0]})
    for busy, tries in (([0.0] * 3, 3), ([0.5, 0.1, 0.0], 3), ([0.3] * 14 + [0.0], measure.SURE_TRIES)):
        clock = Ticking(list(busy))
        monkeypatch.setattr(measure.time, "perf_counter", clock.perf_counter)
        assert round(measure.latency(clock, frame, tries), 9) == 2.0  # type: ignore[arg-type]
        assert not clock.busy
