"""How strongly two columns hang together, on one scale for every kind of column."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["cramers_v", "quantile_bins"]

Array = npt.NDArray[Any]


def quantile_bins(values: Array, bins: int) -> Array:
    """Return the number of each value's quantile bin, 0..bins-1; NaN gets a bin of its own, the last.

    Args:
        values: shape (rows,), float.
        bins: wanted number of bins; ties may leave fewer.

    Returns:
        Codes, shape (rows,), intp.
    """
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(values), dtype=np.intp)
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, bins + 1)[1:-1], method="higher"))
    codes = np.searchsorted(edges, values, side="left").astype(np.intp)
    codes[~known] = len(edges) + 1
    return codes


def cramers_v(a: Array, b: Array) -> float:
    """Return Cramér's V of two codes with Bergsma's correction of its bias: 0 is independent, 1 is determined.

    Args:
        a: codes from 0, shape (rows,), integer.
        b: codes from 0, shape (rows,), integer.

    Source: W. Bergsma (2013), A bias-correction for Cramér's V and Tschuprow's T.
    """
    rows = len(a)
    if rows < 2:
        return 0.0
    wide = int(b.max()) + 1
    table = np.bincount(a * wide + b, minlength=(int(a.max()) + 1) * wide).reshape(-1, wide).astype(np.float64)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    r, k = table.shape
    if min(r, k) < 2:
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / rows
    phi = float(((table - expected) ** 2 / expected).sum()) / rows
    phi = max(0.0, phi - (k - 1) * (r - 1) / (rows - 1))
    r_fair, k_fair = r - (r - 1) ** 2 / (rows - 1), k - (k - 1) ** 2 / (rows - 1)
    least = min(r_fair, k_fair) - 1
    return float(min(1.0, np.sqrt(phi / least))) if least > 0 else 0.0
