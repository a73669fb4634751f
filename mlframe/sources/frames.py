"""What every source does to a frame: names checked, declared types applied, files put together, repeats left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import polars as pl

from mlframe.errors import DataError, UnknownNameError, near_matches
from mlframe.table import ROW

__all__ = ["TYPES", "apply_types", "check_names", "check_types", "drop_repeats", "refuse_empty", "stack"]

TYPES: Mapping[str, pl.DataType] = {
    "string": pl.String(),
    "int": pl.Int64(),
    "float": pl.Float64(),
    "bool": pl.Boolean(),
    "datetime": pl.Datetime("us"),
    "date": pl.Date(),
    "category": pl.Categorical(),
}
"""Type names of a config and what they mean."""

PARSED = ("datetime", "date", "category")
TRUE, FALSE = ("true", "1"), ("false", "0")


def check_types(types: Mapping[str, str] | None, times: Mapping[str, str] | None) -> None:
    """Refuse type names that do not exist, and a column that is in both `types` and `times`.

    Raises:
        UnknownNameError: an unknown type.
        DataError: a column is declared twice.
    """
    for column, name in (types or {}).items():
        if name not in TYPES:
            raise UnknownNameError.from_name("type", str(name), TYPES, where=f"data.source.types.{column}")
    both = sorted(set(types or {}) & set(times or {}))
    if both:
        raise DataError(
            "A column is declared in types and in times",
            value=both,
            where="data.source.types",
            hint="keep it in times only",
        )


def check_names(names: Sequence[str], address: str, declared: Mapping[str, Sequence[str]]) -> None:
    """Refuse column names that cannot be used, and declarations of columns that are not there.

    Args:
        names: the names as the file gives them.
        address: the file.
        declared: key of `data.source` to the columns that it names.

    Raises:
        DataError: a repeated, empty or reserved name, or a declared column that is missing.
    """
    repeated = {name: count for name, count in Counter(names).items() if count > 1}
    if repeated:
        places = "; ".join(
            f"{name!r} is column {' and '.join(str(i) for i, other in enumerate(names, 1) if other == name)}"
            for name in repeated
        )
        raise DataError(f"Column names are repeated: {places}", where=address, hint="give every column its own name")
    for position, name in enumerate(names, 1):
        if not name.strip():
            raise DataError(
                f"Column {position} has no name",
                value=name,
                where=address,
                hint="name it in the file's header, or write the file without that column (a saved row number?)",
            )
    if ROW in names:
        raise DataError(
            f"The column name {ROW!r} is reserved for row numbers", value=ROW, where=address, hint="rename that column"
        )
    for key, columns in declared.items():
        for name in columns:
            if name not in names:
                near = near_matches(name, names)
                guess = f"did you mean {near[0]!r}? " if near else ""
                raise DataError(
                    f"data.source.{key} names a column that the data does not have",
                    value=name,
                    where=f"data.source.{key}, {address}",
                    hint=f"{guess}the columns are: {', '.join(names)}",
                )


def refuse_empty(frame: pl.DataFrame, address: str) -> pl.DataFrame:
    """Return the frame when it has rows.

    Raises:
        DataError: it has none.
    """
    if frame.height == 0:
        raise DataError(
            "The file has columns but no rows",
            value=list(frame.columns),
            where=address,
            hint="check how the file was written; it holds only a header",
        )
    return frame


def apply_types(
    frame: pl.DataFrame, types: Mapping[str, str] | None, times: Mapping[str, str] | None, address: str
) -> pl.DataFrame:
    """Give columns their declared types.

    Args:
        frame: rows of one file.
        types: column to a name of `TYPES`.
        times: column to a strftime format; the result is Datetime (microseconds), UTC when the format holds %z.
        address: the file.

    Raises:
        DataError: a value that does not fit; the first row and value are shown.
    """
    for column, name in (types or {}).items():
        before = frame[column]
        if before.dtype != TYPES[name]:
            after = _cast(before, name)
            _refuse_lost(before, after, address, f"data.source.types.{column}", f"the type {name!r}")
            frame = frame.with_columns(after)
    for column, format_ in (times or {}).items():
        before = frame[column]
        where = f"data.source.times.{column}"
        if before.dtype.is_temporal():
            continue
        text = before.cast(pl.String)
        try:
            after = text.str.strptime(pl.Datetime("us"), format_, strict=False)
        except pl.exceptions.PolarsError as error:
            raise DataError(
                f"The time format cannot be used: {error}",
                value=format_,
                where=where,
                hint="use the signs of strptime, such as %Y-%m-%d %H:%M:%S",
            ) from error
        _refuse_lost(before, after, address, where, f"the time format {format_!r}")
        frame = frame.with_columns(after)
    return frame


def _cast(series: pl.Series, name: str) -> pl.Series:
    dtype, name_ = series.dtype, series.name
    unusable = pl.Series(name_, [None], dtype=TYPES[name]).new_from_index(0, len(series))
    if name == "bool":
        if not (dtype == pl.String or dtype.is_numeric()):
            return unusable
        text = pl.col(name_).cast(pl.Int64, strict=False).cast(pl.String) if dtype.is_numeric() else pl.col(name_)
        if dtype.is_float():  # 0.5 is no truth value
            text = pl.when(pl.col(name_) == pl.col(name_).floor()).then(text)
        low = text.str.to_lowercase()
        return series.to_frame().select(
            pl.when(low.is_in(TRUE)).then(True).when(low.is_in(FALSE)).then(False).alias(name_)
        )[name_]
    if name in ("datetime", "date") and dtype == pl.String:
        try:
            stamp = series.str.to_datetime(strict=False, time_unit="us")
        except pl.exceptions.PolarsError:  # not one value has a known form
            return unusable
        return stamp.cast(pl.Date) if name == "date" else stamp
    if name in ("datetime", "date") and dtype.is_numeric():  # seconds, days or a year? the config has to say
        return unusable
    after = series.cast(TYPES[name], strict=False)
    if name == "int" and dtype.is_float():
        after = series.to_frame().select(
            pl.when(pl.col(name_) == pl.col(name_).floor()).then(after).alias(name_)
        )[name_]  # fmt: skip
    return after


def _refuse_lost(before: pl.Series, after: pl.Series, address: str, where: str, wanted: str) -> None:
    lost = before.is_not_null() & after.is_null()
    count = int(lost.sum())
    if count:
        first = int(lost.arg_max() or 0)
        raise DataError(
            f"{count} value{'s' if count > 1 else ''} of column {before.name!r} do not fit {wanted}; "
            f"the first is in row {first + 1}",
            value=before[first],
            where=f"{where}, {address}",
            hint="correct the values, name their mark in data.source.null_tokens, or declare another type",
        )


def stack(frames: Sequence[pl.DataFrame], addresses: Sequence[str]) -> pl.DataFrame:
    """Put files together without copying rows; the first file's order of columns holds.

    Raises:
        DataError: a file has other columns than the first.
    """
    first = frames[0]
    if len(frames) == 1:
        return first
    for frame, address in zip(frames[1:], addresses[1:], strict=True):
        refuse_other_columns(first.columns, frame.columns, addresses[0], address)
    aligned = [frame.select(first.columns) for frame in frames]
    try:
        return pl.concat(aligned, how="vertical_relaxed", rechunk=False)
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"The files cannot be put together: {error}",
            value=list(addresses),
            where="data.source.path",
            hint="make the columns' types equal in all files",
        ) from error


def refuse_other_columns(first: Sequence[str], other: Sequence[str], first_address: str, address: str) -> None:
    """Refuse a file whose columns differ from the first file's; another order is fine.

    Raises:
        DataError: names of missing and additional columns.
    """
    missing = [name for name in first if name not in other]
    extra = [name for name in other if name not in first]
    if missing or extra:
        parts = [f"lacks {', '.join(map(repr, missing))}"] if missing else []
        parts += [f"has also {', '.join(map(repr, extra))}"] if extra else []
        raise DataError(
            f"The files have different columns: {address} {' and '.join(parts)}",
            where=f"{address}, compared with {first_address}",
            hint="name only files of one kind in data.source.path, or mend the file",
        )


def drop_repeats(frame: pl.DataFrame, deduplicate: bool) -> pl.DataFrame:
    """Leave out rows that equal an earlier row in every column, when asked for."""
    return frame.unique(keep="first", maintain_order=True) if deduplicate else frame
