"""How far a column has moved from what it was: the population stability index."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["counts_by_edges", "stability_index"]

Array = npt.NDArray[Any]

LEAST = 1e-4
"""Share that an empty bin counts as: a bin without rows would be infinitely far."""


def stability_index(expected: Array, found: Array) -> float:
    """Return the population stability index of two histograms with the same bins.

    0 is the same; by custom 0.1 is worth a look and 0.25 is another population. Few rows alone make it large: of the same
    population it is about (bins - 1) * (1 / rows before + 1 / rows now) on average.

    Args:
        expected: counts or shares before, shape (bins,).
        found: counts or shares now, shape (bins,).

    Source: the symmetrised Kullback-Leibler divergence, see B. Yurdakul (2018), Statistical properties of population
    stability index.
    """
    total, now = float(np.sum(expected)), float(np.sum(found))
    if total <= 0 or now <= 0:
        return 0.0
    before = np.maximum(np.asarray(expected, dtype=np.float64) / total, LEAST)
    after = np.maximum(np.asarray(found, dtype=np.float64) / now, LEAST)
    return float(((after - before) * np.log(after / before)).sum())


def counts_by_edges(values: Array, edges: Array) -> Array:
    """Count values by bins; a bin holds its lower edge, the last one both, and the outer bins what lies beyond them.

    Args:
        values: finite, shape (rows,).
        edges: ascending, shape (bins + 1,); a single edge is one bin.

    Returns:
        Counts, shape (bins,), intp.
    """
    inner = edges[1:-1]
    return np.bincount(np.searchsorted(inner, values, side="right"), minlength=len(inner) + 1)
