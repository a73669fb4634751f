"""What happens to input in real life: values go missing, are new, noisy or misspelt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from mlframe.table import Column

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    Array = npt.NDArray[Any]

__all__ = ["KINDS", "damaged"]

KINDS = {
    "missing": "every value goes missing",
    "unseen": "every value is one that was never seen",
    "shuffled": "values are shuffled between rows",
    "noise": "numbers get noise",
    "typos": "one letter of ten is mistyped",
}
"""Kinds of damage, in words."""
FEW = 10
"""Distinct values up to which a number is a code: noise would make no sense."""
TYPO_SHARE = 0.1
LETTERS = "abcdefghijklmnopqrstuvwxyz"
UNSEEN = "(a value never seen)"


def damaged(
    series: pl.Series, column: Column, noise: float, rng: np.random.Generator
) -> Iterator[tuple[str, pl.Series]]:
    """Give the kinds of damage that suit a column, each with the damaged values.

    Args:
        series: the values.
        column: what the column is.
        noise: standard deviation of the noise, in standard deviations of the column.
        rng: source of chance.
    """
    yield "missing", pl.Series(series.name, [None] * len(series), dtype=series.dtype)
    if column.kind == "numeric" and series.dtype.is_numeric() and series.n_unique() > FEW:
        values = series.cast(pl.Float64)
        spread = values.drop_nans().std()
        shift = rng.normal(0, noise * float(spread if isinstance(spread, float) else 0.0), len(series))
        noisy = values + pl.Series(shift)
        yield "noise", _back(noisy, series)
    elif series.dtype in (pl.String, pl.Categorical, pl.Enum):
        text = series.cast(pl.String)
        if column.kind == "text":
            typed = [None if value is None else _mistype(value, rng) for value in text]
            yield "typos", pl.Series(series.name, typed, dtype=pl.String)
        else:
            unseen = pl.Series(series.name, [UNSEEN] * len(series), dtype=pl.String)
            yield "unseen", unseen if series.dtype != pl.Categorical else unseen.cast(pl.Categorical)
            yield "shuffled", series[rng.permutation(len(series))]
    elif not series.dtype.is_nested():
        yield "shuffled", series[rng.permutation(len(series))]


def _back(values: pl.Series, like: pl.Series) -> pl.Series:
    """Return numbers in the column's own type; whole numbers stay whole and within what the type can hold."""
    if not like.dtype.is_integer():
        return values.cast(like.dtype)
    known = like.drop_nulls()
    if known.is_empty():
        return like
    return values.round().clip(float(known.to_numpy().min()), float(known.to_numpy().max())).cast(like.dtype)


def _mistype(text: str, rng: np.random.Generator) -> str:
    """Replace, drop or double single letters."""
    hit = np.flatnonzero(rng.random(len(text)) < TYPO_SHARE)
    letters = list(text)
    for place, how in zip(hit.tolist(), rng.integers(0, 3, len(hit)).tolist(), strict=True):
        other = LETTERS[int(rng.integers(len(LETTERS)))]
        letters[place] = ("", letters[place] * 2, other)[how]
    return "".join(letters)
