"""Rows from Parquet files: one, a glob, a list, or a hive-partitioned folder."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

import polars as pl

from mlframe.contracts import Source
from mlframe.errors import DataError
from mlframe.sources.files import DataFile, fingerprint, list_files, unreadable
from mlframe.sources.frames import check_names, drop_repeats, refuse_empty, refuse_other_columns, stack

__all__ = ["ParquetSource"]

SUFFIXES = (".parquet", ".pq", ".parq")
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


class ParquetSource(Source):
    """Reads Parquet.

    In a folder, and below the fixed part of a glob, folders named `key=value` become columns (whole numbers become
    Int64, ISO dates Date, everything else String).

    Args:
        path: file, folder, glob or a list of them; local or an fsspec address.
        columns: names to read, in this order; None reads all.
        deduplicate: leave out rows that equal an earlier row in every column.
    """

    def __init__(
        self, path: str | Sequence[str], columns: Sequence[str] | None = None, deduplicate: bool = False
    ) -> None:
        self.path = path
        self.columns = list(columns) if columns is not None else None
        self.deduplicate = deduplicate

    def read(self) -> pl.DataFrame:
        """Return all rows.

        Raises:
            DataError: missing, corrupted or empty file, or files with different columns.
        """
        return drop_repeats(self._rows(None), self.deduplicate)

    def sample(self, rows: int) -> pl.DataFrame:
        """Return the first `rows` rows; reads only as much as that takes."""
        return drop_repeats(self._rows(rows), self.deduplicate)

    def fingerprint(self) -> str:
        """Return a digest of names, sizes and modification times."""
        return fingerprint(list_files(self.path, suffixes=SUFFIXES))

    def _rows(self, limit: int | None) -> pl.DataFrame:
        files = list_files(self.path, suffixes=SUFFIXES)
        keys = _partitions(files)
        frames: list[pl.DataFrame] = []
        first: list[str] = []
        left = limit
        for position, file in enumerate(files):
            values = {key: keys[key][position : position + 1] for key in _keys_of(file)}
            frame = self._one(file, values, left)
            if frames:
                refuse_other_columns(first, frame.columns, files[0].address, file.address)
            else:
                first = frame.columns
            frames.append(frame)
            if left is not None:
                left -= frame.height
                if left <= 0:
                    break
        return refuse_empty(stack(frames, [file.address for file in files[: len(frames)]]), files[0].address)

    def _one(self, file: DataFile, values: dict[str, pl.Series], limit: int | None) -> pl.DataFrame:
        source: Any = file.path if file.local else io.BytesIO(file.read())
        try:
            inner = list(pl.read_parquet_schema(source))
            clash = sorted(set(inner) & set(values))
            if clash:
                raise DataError(
                    "A column is in the file and in the folders' names", value=clash, where=file.address,
                    hint="rename the column in the file or the folders",
                )  # fmt: skip
            check_names([*inner, *values], file.address, {"columns": self.columns or ()})
            if not file.local:
                source.seek(0)
            wanted = None if self.columns is None else [name for name in self.columns if name in inner]
            frame = pl.read_parquet(
                source, columns=wanted, n_rows=limit, glob=False, hive_partitioning=False, use_statistics=False
            )
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            if isinstance(error, FileNotFoundError | PermissionError):
                raise unreadable(file.address, error) from error
            raise DataError(
                f"The Parquet file is corrupted or of another format: {str(error).splitlines()[0]}",
                value=file.address,
                where="data.source.path",
                hint="write or download it again; a CSV or JSON file needs data/source=csv or data/source=json",
            ) from error
        added = [pl.lit(value[0], dtype=value.dtype).alias(key) for key, value in values.items()]
        return frame.with_columns(added).select(self.columns or [*inner, *values])


def _keys_of(file: DataFile) -> dict[str, str]:
    """Return the partition keys and values in the names of a file's folders."""
    parts = [part.partition("=") for part in file.relative.split("/")[:-1]]
    return {key: value for key, mark, value in parts if mark}


def _partitions(files: Sequence[DataFile]) -> dict[str, pl.Series]:
    """Return one series a partition key, with one value a file, in the narrowest type that fits all of them."""
    values: dict[str, list[str | None]] = {}
    for position, file in enumerate(files):
        for key, value in _keys_of(file).items():
            column = values.setdefault(key, [None] * len(files))
            column[position] = None if value == HIVE_NULL else unquote(value)
    return {key: _narrow(pl.Series(key, column, dtype=pl.String)) for key, column in values.items()}


def _narrow(text: pl.Series) -> pl.Series:
    for after in (text.cast(pl.Int64, strict=False), text.str.to_date("%Y-%m-%d", strict=False)):
        # A text such as 007 is a name, not the number 7.
        if after.null_count() == text.null_count() and (after.cast(pl.String) == text).all():
            return after
    return text
