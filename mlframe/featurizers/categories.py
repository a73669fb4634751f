"""Categories: codes for estimators that know categories (or cut on codes), one-hot for the others.

Only the most frequent values are kept, so a column of a million values costs no more than one of a hundred.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from mlframe.featurizers.blocks import Block, Entries, Plain

if TYPE_CHECKING:
    from mlframe.contracts import Matrix

__all__ = ["Codes", "OneHot"]


class Codes(Block):
    """One feature a column: 0..K-1 by falling frequency; all values left out share one more code; NaN = missing.

    A value never seen in the train rows counts as one left out; where none was left out it is NaN.

    Args:
        columns: names of the columns.
        max_categories: most codes of a column, the shared one counted; 2 or more.
        min_count: a value needs so many train rows to be kept.
        native: whether the estimator is told that the codes are categories.
        fill: give missing values the code after the last, for estimators that take no NaN.
    """

    def __init__(
        self, columns: Sequence[str], *, max_categories: int, min_count: int, native: bool, fill: bool = False
    ) -> None:
        super().__init__(columns)
        self.fill = fill
        self.max_categories = max_categories
        self.min_count = min_count
        self.categorical = native
        self.exact = False
        self.values: list[list[str]] = []
        self.others: list[bool] = []
        self.whole: list[bool] = []

    def fit(self, frame: pl.DataFrame) -> None:
        """Choose the values that get a code of their own."""
        for name in self.columns:
            kept, others, whole = _frequent(frame[name], self.max_categories, self.min_count)
            self.values.append(kept)
            self.others.append(others)
            self.whole.append(whole)
            self.name(name)
            form = "native categories" if self.categorical else "codes by frequency"
            self.choices[name] = f"category, {form} ({len(kept)}{' and the rest' if others else ''})"

    def transform(self, frame: pl.DataFrame, dtype: Any) -> Matrix:
        """Return shape (rows, columns)."""
        codes = _codes(frame, self.columns, self.values, self.others, self.whole, dtype)
        if not self.fill:
            return codes
        after = [len(kept) + rest for kept, rest in zip(self.values, self.others, strict=True)]
        return np.where(np.isnan(codes), np.array(after, dtype=dtype), codes)

    def plain(self) -> Plain:
        """Return `transform` for plain values."""
        lookups = []
        for kept, rest, whole in zip(self.values, self.others, self.whole, strict=True):
            after = float(len(kept) + rest) if self.fill else np.nan
            codes = {value: float(code) for value, code in _plain_codes(kept, whole=whole).items()}
            lookups.append(({**codes, None: after}.get, float(len(kept)) if rest else after))
        names = self.columns

        def codes_of(columns: Mapping[str, Sequence[Any]], rows: int, dtype: Any) -> Any:
            return np.array(
                [
                    [get(value, rest) for value in columns[name]]
                    for name, (get, rest) in zip(names, lookups, strict=True)
                ],
                dtype=dtype,
            ).T

        return codes_of


class OneHot(Block):
    """One feature for each kept value, one for all values left out, one for missing; CSR.

    A value never seen in the train rows counts as one left out; where none was left out all features are 0.

    Args:
        columns: names of the columns.
        max_categories: most features of a column, the one for missing aside; 2 or more.
        min_count: a value needs so many train rows to be kept.
    """

    def __init__(self, columns: Sequence[str], *, max_categories: int, min_count: int) -> None:
        super().__init__(columns)
        self.max_categories = max_categories
        self.min_count = min_count
        self.exact = False
        self.values: list[list[str]] = []
        self.others: list[bool] = []
        self.whole: list[bool] = []
        self.missing: list[bool] = []

    def fit(self, frame: pl.DataFrame) -> None:
        """Choose the values that get a feature of their own."""
        for name in self.columns:
            kept, others, whole = _frequent(frame[name], self.max_categories, self.min_count)
            missing = frame[name].null_count() > 0
            self.values.append(kept)
            self.others.append(others)
            self.whole.append(whole)
            self.missing.append(missing)
            suffixes = [f"={value}" for value in kept]
            suffixes += [" is another"] * others + [" is missing"] * missing
            self.name(name, suffixes)
            self.choices[name] = f"category, one-hot ({len(kept)}{' and the rest' if others else ''})"
        self.zeros = len(self.names)

    def transform(self, frame: pl.DataFrame, dtype: Any) -> Matrix:
        """Return shape (rows, features), CSR."""
        codes = _codes(frame, self.columns, self.values, self.others, self.whole, np.float64)
        widths = [len(kept) + others for kept, others in zip(self.values, self.others, strict=True)]
        for index, missing in enumerate(self.missing):
            if missing:  # the code after the last; only a null gets it, an unseen value stays without
                null = frame[self.columns[index]].is_null().to_numpy()
                codes[null, index] = widths[index]
        starts = np.cumsum([0, *(w + m for w, m in zip(widths, self.missing, strict=True))])
        known = ~np.isnan(codes)
        indices = (codes + starts[:-1])[known].astype(np.int32)
        indptr = np.concatenate([[0], known.sum(axis=1).cumsum()]).astype(np.int32)
        return sp.csr_matrix((np.ones(len(indices), dtype=dtype), indices, indptr), shape=(len(codes), int(starts[-1])))

    def plain(self) -> Plain:
        """Return `transform` for plain values."""
        lookups, start = [], 0
        for kept, rest, whole, missing in zip(self.values, self.others, self.whole, self.missing, strict=True):
            codes: dict[Any, int | None] = {v: start + code for v, code in _plain_codes(kept, whole=whole).items()}
            width = len(kept) + rest
            codes[None] = start + width if missing else None
            lookups.append((codes.get, start + len(kept) if rest else None))
            start += width + missing
        names = self.columns

        def ones(columns: Mapping[str, Sequence[Any]], rows: int, dtype: Any) -> Entries:
            found = [
                [get(value, rest) for value in columns[name]] for name, (get, rest) in zip(names, lookups, strict=True)
            ]
            indices, indptr = [], [0]
            for row in zip(*found, strict=True):
                indices += [index for index in row if index is not None]
                indptr.append(len(indices))
            return Entries(np.ones(len(indices), dtype=dtype), np.array(indices, dtype=np.int32), np.array(indptr))

        return ones


def _plain_codes(kept: Sequence[str], *, whole: bool) -> dict[Any, int]:
    """Return plain value to code: whole numbers as such, texts, and truth values beside their text."""
    if whole:
        return {int(text): code for code, text in enumerate(kept)}
    codes: dict[Any, int] = {text: code for code, text in enumerate(kept)}
    return codes | {value: codes[text] for value, text in ((False, "false"), (True, "true")) if text in codes}


def _frequent(series: pl.Series, max_categories: int, min_count: int) -> tuple[list[str], bool, bool]:
    """Return the values to keep, whether some are left out, and whether the column holds whole numbers."""
    whole = series.dtype.is_integer()
    counts = (
        series.to_frame("value")
        .select(_text("value", whole=whole))
        .drop_nulls()
        .group_by("value")
        .agg(pl.len().alias("count"))
    )
    enough = counts.filter(pl.col("count") >= min_count)
    room = max_categories if len(enough) == len(counts) and len(counts) <= max_categories else max_categories - 1
    kept = enough.sort(["count", "value"], descending=[True, False]).head(room)["value"].to_list()
    return kept, len(kept) < len(counts), whole


def _codes(
    frame: pl.DataFrame,
    columns: Sequence[str],
    values: Sequence[Sequence[str]],
    others: Sequence[bool],
    whole: Sequence[bool],
    dtype: Any,
) -> Any:
    kind = pl.Float64 if dtype == np.float64 else pl.Float32
    expressions = []
    for name, kept, rest, integer in zip(columns, values, others, whole, strict=True):
        text = _text(name, whole=integer)
        code = text.cast(_enum(tuple(kept)), strict=False).to_physical().cast(kind)
        if rest:
            code = pl.when(code.is_null() & pl.col(name).is_not_null()).then(float(len(kept))).otherwise(code)
        expressions.append(code.cast(kind).alias(name))
    return frame.select(expressions).to_numpy(writable=True)


def _text(name: str, *, whole: bool) -> pl.Expr:
    """Return values as text, whole numbers alike however the frame holds them (1 and 1.0)."""
    column = pl.col(name)
    return column.cast(pl.Int64, strict=False).cast(pl.String) if whole else column.cast(pl.String)


@lru_cache(maxsize=4096)
def _enum(values: tuple[str, ...]) -> pl.Enum:
    """Build the polars type once: on a single row that would cost more than the rest."""
    return pl.Enum(list(values))
