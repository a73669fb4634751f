"""River's detectors of change by name: what each reads, and how it is set up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from river import drift
from river.drift import binary

__all__ = ["DETECTORS", "Detector", "signals"]

Array = npt.NDArray[Any]

RECENT = 50
"""So many values before a signal are compared with those before them: only a rise counts."""


class Detector(NamedTuple):
    """One of River's detectors.

    Args:
        reads: `loss`, numbers within 0..1, or `wrong`, true or false.
        make: makes it of the spread of the losses and a seed.
    """

    reads: str
    make: Callable[[float, int], Any]


DETECTORS: Mapping[str, Detector] = {
    # A. Bifet and R. Gavaldà (2007), Learning from time-changing data with adaptive windowing
    "adwin": Detector("loss", lambda spread, seed: drift.ADWIN(delta=0.002)),  # type: ignore[no-untyped-call]
    # C. Raab, M. Heusinger and F.-M. Schleif (2020), Reactive soft prototype computing for concept drift streams
    "kswin": Detector("loss", lambda spread, seed: drift.KSWIN(alpha=1e-4, window_size=300, stat_size=60, seed=seed)),
    # E. S. Page (1954), Continuous inspection schemes
    "page_hinkley": Detector(
        "loss", lambda spread, seed: drift.PageHinkley(delta=spread / 4, threshold=25 * spread, mode="up")
    ),
    # J. Gama et al. (2004), Learning with drift detection
    "ddm": Detector("wrong", lambda spread, seed: binary.DDM()),
    # M. Baena-García et al. (2006), Early drift detection method
    "eddm": Detector("wrong", lambda spread, seed: binary.EDDM()),
    # I. Frías-Blanco et al. (2015), Online and non-parametric drift detection methods based on Hoeffding's bounds
    "hddm_a": Detector("wrong", lambda spread, seed: binary.HDDMA(drift_confidence=1e-4)),  # type: ignore[no-untyped-call]
    "hddm_w": Detector("wrong", lambda spread, seed: binary.HDDMW(drift_confidence=1e-4)),  # type: ignore[no-untyped-call]
}
"""Every detector by its name in the config."""


def signals(name: str, values: Array, *, spread: float, seed: int) -> list[int]:
    """Return the places at which a detector says that values have risen.

    Args:
        name: one of `DETECTORS`.
        values: what it reads, the oldest first.
        spread: standard deviation of losses while nothing had changed.
        seed: for the one that draws (KSWIN).
    """
    detector = DETECTORS[name].make(spread, seed)
    found: list[int] = []
    start = 0
    for place, value in enumerate(values.tolist()):
        detector.update(value)
        if detector.drift_detected:
            middle = max(start, place + 1 - RECENT)
            before = values[start:middle]
            if len(before) and float(np.mean(values[middle : place + 1])) > float(np.mean(before)):
                found.append(place)
            start = place + 1
    return found
