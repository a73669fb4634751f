"""False discoveries among many tests: how many of those that are called something are nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["benjamini_hochberg", "benjamini_yekutieli"]

Array = npt.NDArray[Any]


def benjamini_hochberg(p: Array, total: int | None = None) -> Array:
    """Return q-values: rejecting those up to q keeps the expected share of false discoveries below q.

    Holds for tests that are independent or go up and down together.

    Args:
        p: p-values, shape (tests,).
        total: number of tests, when some with p = 1 are not in `p`.

    Source: Y. Benjamini and Y. Hochberg (1995), Controlling the false discovery rate.
    """
    if len(p) == 0:
        return p.astype(np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * (total or len(p)) / np.arange(1, len(p) + 1)
    q = np.empty(len(p))
    q[order] = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    return q


def benjamini_yekutieli(p: Array, total: int | None = None) -> Array:
    """Return q-values that hold whatever the tests have to do with each other.

    Args:
        p: p-values, shape (tests,).
        total: number of tests, when some with p = 1 are not in `p`.

    Source: Y. Benjamini and D. Yekutieli (2001), The control of the false discovery rate in multiple testing under
    dependency.
    """
    tests = total or len(p)
    factor = float((1 / np.arange(1, tests + 1)).sum()) if tests else 1.0
    return np.minimum(1.0, benjamini_hochberg(p, total) * factor) if len(p) else p.astype(np.float64)
