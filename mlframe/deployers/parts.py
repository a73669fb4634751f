"""Where rows of any size come from: files and SQL queries, one part at a time, from any place on."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe.errors import ConfigError, DataError, UnknownNameError
from mlframe.table import ROW

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FileRows", "Part", "Rows", "SqlRows", "rows_of"]

READABLE = (".parquet", ".pq", ".csv", ".tsv", ".ndjson", ".jsonl", ".arrow", ".ipc", ".feather")


@dataclass(frozen=True)
class Part:
    """Some rows in a row.

    Args:
        first: number of the first one in the input, from 0.
        frame: the rows, numbered in `__row__`.
        last_key: value of the ordering column in the last row; None for files.
    """

    first: int
    frame: pl.DataFrame
    last_key: Any = None


class Rows(ABC):
    """Rows that can be read in parts of a fixed size, always the same ones."""

    where: str
    """How the input is called in texts; no password."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return what changes when the input may have changed."""

    @abstractmethod
    def parts(self, size: int, done: int, last_key: Any) -> Iterator[Part]:
        """Yield parts of `size` rows after the first `done` ones, of which the last one had the key `last_key`."""


class FileRows(Rows):
    """Rows of files: Parquet, CSV, JSON lines or Arrow, read as a stream.

    Numbers, times and truth values that the model reads are parsed; other columns of a CSV file stay the texts that they are.

    Args:
        path: file or glob; files are read in the order of their names.
        columns: records of the columns that the model reads.
    """

    def __init__(self, path: str, columns: Sequence[Mapping[str, Any]]) -> None:
        self.where = path
        self.columns = columns
        self.files = sorted(glob(path, recursive=True)) or [path]
        missing = [file for file in self.files if not Path(file).is_file()]
        if missing:
            raise DataError("There is no such file", value=missing[0], where="input", hint="check the path or glob")
        self.suffix = Path(self.files[0]).suffix.lower()
        if self.suffix not in READABLE:
            raise ConfigError(
                f"input has the ending {self.suffix!r}, which cannot be read in parts",
                value=path,
                where="input",
                hint=f"use one of {', '.join(READABLE)}, or a database address with deployer.query and deployer.key",
            )

    def fingerprint(self) -> str:
        """Return a digest of names, sizes and modification times."""
        facts = [(Path(file).name, Path(file).stat().st_size, Path(file).stat().st_mtime_ns) for file in self.files]
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def parts(self, size: int, done: int, last_key: Any) -> Iterator[Part]:
        """Yield parts of exactly `size` rows, the last one shorter.

        Raises:
            DataError: a file cannot be read, or holds what is no value of a column's type.
        """
        import polars as pl

        lazy = self._scan()
        if ROW in lazy.collect_schema().names():
            raise DataError(f"The column name {ROW!r} is reserved for row numbers", where="input", hint="rename it")
        if done:
            lazy = lazy.slice(done)
        held: list[pl.DataFrame] = []
        count, first = 0, done
        try:
            for batch in lazy.collect_batches(chunk_size=size, maintain_order=True):
                while len(batch):
                    taken = batch[: size - count]
                    batch = batch[size - count :]
                    held.append(taken)
                    count += len(taken)
                    if count == size:
                        yield Part(first, _numbered(held, first))
                        held, count, first = [], 0, first + size
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(
                f"The rows cannot be read beyond row {first:,} ({error})",
                where=f"input={self.where}",
                hint="correct the file; the same command then goes on where this one stopped if nothing before it changed",
            ) from error
        if count:
            yield Part(first, _numbered(held, first))

    def _scan(self) -> pl.LazyFrame:
        import polars as pl

        if self.suffix in (".parquet", ".pq"):
            return pl.scan_parquet(self.files, glob=False)
        if self.suffix in (".arrow", ".ipc", ".feather"):
            return pl.scan_ipc(self.files, glob=False)
        if self.suffix in (".csv", ".tsv"):
            separator = "\t" if self.suffix == ".tsv" else ","
            return pl.scan_csv(self.files, separator=separator, infer_schema=False, glob=False)
        return pl.scan_ndjson(self.files, infer_schema_length=10_000)


class SqlRows(Rows):
    """Rows of a query, read along a column that orders them and never repeats.

    Args:
        address: SQLAlchemy address.
        query: a SELECT, or the name of a table.
        key: the ordering column.
    """

    def __init__(self, address: str, query: str, key: str) -> None:
        self.engine = engine_of(address, "input")
        self.where = self.engine.url.render_as_string(hide_password=True)
        self.query = query if " " in query.strip() else f"SELECT * FROM {query}"
        self.key = key

    def fingerprint(self) -> str:
        """Return a digest of the address, the query and the key: a table that grows goes on after the last key."""
        return hashlib.sha256(f"{self.where}\n{self.query}\n{self.key}".encode()).hexdigest()

    def parts(self, size: int, done: int, last_key: Any) -> Iterator[Part]:
        """Yield parts in the order of the key; each is a query of its own, so no connection is held for hours.

        Raises:
            DataError: the query fails, or the key is missing, repeated or empty in a row.
        """
        import polars as pl
        import sqlalchemy as sa

        key = self.engine.dialect.identifier_preparer.quote(self.key)
        text = f"SELECT * FROM ({self.query}) AS asked"
        first = done
        while True:
            after = f" WHERE {key} > :last" if last_key is not None else ""
            query = sa.text(f"{text}{after} ORDER BY {key} LIMIT :size")
            values = {"size": size + 1, **({"last": last_key} if last_key is not None else {})}
            try:
                with self.engine.connect() as connection:
                    frame = pl.read_database(
                        query, connection, execute_options={"parameters": values}, infer_schema_length=None
                    )
            except sa.exc.SQLAlchemyError as error:
                raise DataError(
                    f"The query fails ({error})", where="input, deployer.query, deployer.key", hint="correct the query"
                ) from error
            if self.key not in frame.columns:
                raise UnknownNameError.from_name("column", self.key, frame.columns, where="deployer.key")
            if frame[self.key].null_count() or frame[self.key].n_unique() < len(frame):
                raise DataError(
                    f"Column {self.key!r} orders the rows and must have another value in each",
                    where="deployer.key",
                    hint="name a primary key, or number the rows in the query",
                )
            if not len(frame):
                return
            more = len(frame) > size
            frame = frame[:size]
            last_key = frame[self.key][-1]
            yield Part(first, _numbered([frame], first), last_key)
            first += len(frame)
            if not more:
                return


def rows_of(address: str, query: str | None, key: str | None, columns: Sequence[Mapping[str, Any]]) -> Rows:
    """Return the rows at a path or a database address.

    Raises:
        ConfigError: a database without query and key, or a file with them.
    """
    if "://" not in address:
        if query or key:
            raise ConfigError(
                "deployer.query and deployer.key belong to a database address, and input is a file",
                value=address,
                where="input",
                hint="give input=sqlite:///file.db or postgresql+psycopg://…, or leave them out",
            )
        return FileRows(address, columns)
    absent = [name for name, value in (("deployer.query", query), ("deployer.key", key)) if not value]
    if absent:
        raise ConfigError(
            f"Rows of a database need {' and '.join(absent)}",
            where="input",
            hint="give deployer.query=TABLE (or a SELECT) and deployer.key=COLUMN, which orders the rows and never repeats",
        )
    return SqlRows(address, str(query), str(key))


def engine_of(address: str, where: str) -> Any:
    """Return an engine for a database address.

    Raises:
        ConfigError: no address that SQLAlchemy knows, or its driver is not installed.
    """
    import sqlalchemy as sa

    try:
        return sa.create_engine(address, poolclass=sa.NullPool)  # each part has a connection of its own, and closes it
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise ConfigError(
            f"The database address cannot be used ({error})",
            where=where,
            hint="give an address such as sqlite:///file.db or postgresql+psycopg://user@host/name, and install its driver",
        ) from error


def _numbered(frames: list[pl.DataFrame], first: int) -> pl.DataFrame:
    import polars as pl

    return pl.concat(frames).with_row_index(ROW, offset=first)
