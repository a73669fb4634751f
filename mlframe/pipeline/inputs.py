"""Rows as they come, in the types that a pipeline was trained on: frames and columns of plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from mlframe.errors import DataError, near_matches
from mlframe.table import ROW

if TYPE_CHECKING:
    from mlframe.contracts.learning import Array
    from mlframe.pipeline.learning import Learning

__all__ = ["conform", "dtype_of", "plain_columns", "restore", "retyped", "to_frame"]


def conform(frame: pl.DataFrame, columns: Sequence[Mapping[str, Any]], where: str) -> pl.DataFrame:
    """Give rows the column types that the pipeline was trained on.

    Args:
        frame: the rows.
        columns: records of the columns that the pipeline was trained on.
        where: where the rows come from, for errors, such as `input=new.csv`.

    Raises:
        DataError: columns are missing, or hold values of another type; all are named.
    """
    problems = []
    casts = []
    for column in columns:
        name, dtype = column["name"], column["dtype"]
        if name not in frame.columns:
            near = near_matches(name, frame.columns)
            problems.append(f"column {name!r} is missing" + (f" (did you mean {near[0]!r}?)" if near else ""))
            continue
        series = frame[name]
        wanted = dtype_of(dtype)
        if series.dtype == wanted or wanted is None:
            continue
        cast = retyped(series, wanted)
        lost = cast.null_count() - series.null_count()
        if lost:
            first = series.filter(cast.is_null() & series.is_not_null())[0]
            row = frame[ROW].filter(cast.is_null() & series.is_not_null())[0]
            problems.append(f"column {name!r}: {lost:,} values are no {dtype}, the first in row {row}: {first!r}")
        else:
            casts.append(cast)
    if problems:
        raise DataError(
            "The input does not fit the model's schema: " + "; ".join(problems),
            where=where,
            hint="give every column that the model was trained on, with the same type",
        )
    return frame.with_columns(casts)


def retyped(series: pl.Series, wanted: Any) -> pl.Series:
    """Cast a column; what is no value of the type becomes null. Times and truth values in text are read, not cast."""
    if series.dtype == pl.String and wanted in (pl.Boolean, pl.Date, pl.Datetime("us")):
        if wanted == pl.Boolean:
            return series.str.to_lowercase().replace_strict(
                {"true": True, "false": False}, default=None, return_dtype=pl.Boolean
            )
        try:
            return (
                series.str.to_date(strict=False)
                if wanted == pl.Date
                else series.str.to_datetime(time_unit="us", strict=False)
            )
        except pl.exceptions.ComputeError:  # no value looks like a time
            return pl.Series(series.name, [None] * len(series), dtype=wanted)
    return series.cast(wanted, strict=False)


def restore(scored: pl.DataFrame, learning: Learning) -> pl.DataFrame:
    """Give predicted classes back the type that the data had (numbers, truth values)."""
    if not learning.classes or all(isinstance(value, str) for value in learning.values):
        return scored
    values = pl.Series("y_pred", list(learning.values))
    codes = scored["y_pred"].cast(pl.Enum(list(learning.classes))).to_physical()
    return scored.with_columns(values.gather(codes))


def dtype_of(name: str) -> Any:
    """Return the polars type that rows to be scored have, None for one that is taken as it comes.

    Args:
        name: `dtype` of a column's record. Times lose their zone and have microseconds; categories are texts.
    """
    simple = {
        "String": pl.String,
        "Boolean": pl.Boolean,
        "Date": pl.Date,
        "Float64": pl.Float64,
        "Float32": pl.Float32,
        **{f"{sign}Int{bits}": getattr(pl, f"{sign}Int{bits}") for sign in ("", "U") for bits in (8, 16, 32, 64)},
    }
    if name.startswith("Datetime"):
        return pl.Datetime("us")
    return simple.get(name)


def to_frame(columns: Mapping[str, Sequence[Any] | Array], records: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return columns of plain values as a frame of the types that the pipeline knows.

    Args:
        columns: column to values: number, truth value, text, date, time without a zone, or None; a list or a numpy array.
        records: the pipeline's columns (`Pipeline.columns`); each is in `columns`.
    """
    made = []
    for record in records:
        name, wanted = record["name"], dtype_of(record["dtype"])
        values = columns[name]
        if isinstance(values, np.ndarray):
            series = pl.Series(name, values.tolist() if values.dtype == object else values)
            made.append(series if wanted is None or series.dtype == wanted else series.cast(wanted))
        else:
            made.append(pl.Series(name, values, dtype=wanted))
    return pl.DataFrame(made)


def plain_columns(frame: pl.DataFrame, records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return a frame's columns as plain values, as `to_frame` takes them: times as their zone's clock shows them.

    Args:
        frame: rows that have the pipeline's columns.
        records: the pipeline's columns.
    """
    made = {}
    for record in records:
        series = frame[record["name"]]
        if isinstance(series.dtype, pl.Datetime):
            series = series.dt.replace_time_zone(None).dt.cast_time_unit("us")
        made[record["name"]] = series.to_list()
    return made
