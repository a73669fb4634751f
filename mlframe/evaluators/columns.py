"""Columns as a few groups of rows each, with words: categories, bins of numbers, lengths of texts, parts of times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from mlframe.table import Column, Table

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    Array = npt.NDArray[Any]

__all__ = ["Groups", "group_column", "group_columns"]

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LONGEST = 40
"""Characters of a category that are shown."""


@dataclass(frozen=True)
class Groups:
    """One column cut into groups of rows.

    Args:
        column: name of the column.
        name: what the groups are about, such as `length of note`.
        codes: number of each row's group, shape (rows,), intp.
        labels: each group in words that go on from the name, such as `below 3`.
        ordered: whether the groups follow one another; a group of missing values is the last then.
    """

    column: str
    name: str
    codes: Array
    labels: tuple[str, ...]
    ordered: bool = False

    def words(self, code: int) -> str:
        """Return a group in words."""
        return f"{self.name} {self.labels[code]}"


def group_columns(table: Table, *, bins: int, categories: int, roles: Sequence[str] = ("feature",)) -> list[Groups]:
    """Cut every column of the given roles; columns with a single group are left out.

    Args:
        table: the rows.
        bins: groups that numbers, lengths and times are cut into, of about equal size.
        categories: the most frequent categories that keep a group of their own.
        roles: roles of the columns.
    """
    found = [
        g for c in table.columns if c.role in roles for g in group_column(table.frame[c.name], c, bins, categories)
    ]
    return [groups for groups in found if np.ptp(groups.codes) > 0]


def group_column(series: pl.Series, column: Column, bins: int, categories: int) -> list[Groups]:
    """Cut one column; a time gives several ways to cut it."""
    name, dtype = column.name, series.dtype
    if len(series) == 0:
        return []
    if column.kind == "numeric" and (dtype.is_numeric() or dtype == pl.Boolean):
        return [_numbers(name, name, series, bins)]
    if column.kind == "text" and dtype == pl.String:
        return [_numbers(name, f"length of {name}", series.str.len_chars(), bins)]
    if dtype in (pl.Date, pl.Datetime):
        return _times(name, series, bins)
    if dtype.is_nested() or dtype.is_temporal():
        return []
    return [_categories(name, series, categories)]


def _numbers(column: str, name: str, series: pl.Series, bins: int) -> Groups:
    values = series.cast(pl.Float64).to_numpy()
    known = values[np.isfinite(values)]
    distinct = np.unique(known)
    if len(distinct) <= bins:
        codes = np.searchsorted(distinct, values)
        labels = [f"= {_short(v)}" for v in distinct]
    else:
        edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1], method="higher"))
        edges = edges[edges > distinct[0]]
        codes = np.searchsorted(edges, values, side="right")
        labels = _between([_short(v) for v in edges])
        if series.dtype.is_integer():
            single = {i for i, (low, high) in enumerate(pairwise(edges), 1) if high == low + 1}
            labels = [f"= {_short(edges[i - 1])}" if i in single else label for i, label in enumerate(labels)]
    return _with_missing(column, name, codes, labels, ~np.isfinite(values), ordered=True)


def _categories(name: str, series: pl.Series, most: int) -> Groups:
    text = series.cast(pl.String).alias("value")
    counts = text.drop_nulls().value_counts(name="rows").sort(["rows", "value"], descending=[True, False])
    kept = counts["value"].head(most).to_list()
    labels = [f"= '{value if len(value) <= LONGEST else value[: LONGEST - 1] + '…'}'" for value in kept]
    if counts.height > len(kept):
        labels.append("of any other value")
    codes = text.replace_strict(kept, list(range(len(kept))), default=len(kept), return_dtype=pl.Int64).to_numpy()
    return _with_missing(name, name, codes, labels, series.is_null().to_numpy())


def _times(name: str, series: pl.Series, bins: int) -> list[Groups]:
    missing = series.is_null().to_numpy()
    day = series.dt.date()
    numbers = day.to_physical().cast(pl.Float64).to_numpy()
    known = numbers[~missing]
    if not len(known):
        return []
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1], method="higher"))
    edges = edges[edges > known.min()]
    dates = [str(np.datetime64(int(edge), "D")) for edge in edges]
    found = [_with_missing(name, name, np.searchsorted(edges, numbers, side="right"), _between(dates), missing, True)]
    parts: list[tuple[str, pl.Series, Sequence[str]]] = [
        ("month", day.dt.month() - 1, MONTHS),
        ("weekday", day.dt.weekday() - 1, DAYS),
    ]
    if series.dtype == pl.Datetime:
        hours = [f"{h} to {h + 3}" for h in range(0, 24, 3)]
        parts.append(("hour", series.dt.hour() // 3, hours))
    for part, values, words in parts:
        codes = values.cast(pl.Int64).fill_null(0).to_numpy()
        if np.ptp(codes[~missing]) > 0:
            labels = [f"= {word}" for word in words]
            found.append(_with_missing(name, f"{part} of {name}", codes, labels, missing, True))
    return found


def _with_missing(
    column: str, name: str, codes: Array, labels: list[str], missing: Array, ordered: bool = False
) -> Groups:
    codes = codes.astype(np.intp)
    if missing.any():
        codes[missing] = len(labels)
        labels = [*labels, "missing"]
    return Groups(column, name, codes, tuple(labels), ordered)


def _between(edges: list[str]) -> list[str]:
    if not edges:
        return ["of any value"]
    middle = [f"from {low} to below {high}" for low, high in pairwise(edges)]
    return [f"below {edges[0]}", *middle, f"of {edges[-1]} or more"]


def _short(value: float) -> str:
    return f"{value:.6g}"
