"""Where scored parts go: a folder with a manifest, or a table; each part once, whatever happens between two of them."""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe.deployers.parts import Part, engine_of
from mlframe.errors import ConfigError, DataError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["MANIFEST", "FolderOutput", "Output", "Progress", "TableOutput"]

MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Progress:
    """How far an earlier run came: rows that are kept for good, the last one's key, and whether that was all."""

    rows: int = 0
    last_key: Any = None
    finished: bool = False


class Output(ABC):
    """Takes scored parts in order."""

    where: str
    """How the output is called in texts; no password."""

    @abstractmethod
    def begin(self, identity: Mapping[str, Any]) -> Progress:
        """Look at what is there, and refuse it when it is of other rows or another version.

        Args:
            identity: what must be equal for a run to go on with it (plain JSON values).

        Raises:
            DataError: something else lies there.
        """

    @abstractmethod
    def write(self, part: Part, frame: pl.DataFrame) -> None:
        """Keep a part for good: all of it, or nothing."""

    @abstractmethod
    def finish(self) -> None:
        """Say that these were all rows."""


class FolderOutput(Output):
    """Parquet parts in a folder, and a manifest that lists them with their digests.

    A part counts once the manifest names it, and both are renamed into place: what a killed run leaves is written over.

    Args:
        folder: the folder; made when absent.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.where = str(folder)
        self.manifest: dict[str, Any] = {}

    def begin(self, identity: Mapping[str, Any]) -> Progress:
        """Read the manifest, or begin one."""
        path = self.folder / MANIFEST
        if self.folder.exists() and not self.folder.is_dir():
            raise DataError(
                "The output is a file",
                value=self.where,
                where="output",
                hint="name a folder: parts of the output go there",
            )
        if not path.is_file():
            if self.folder.is_dir() and any(self.folder.iterdir()):
                raise DataError(
                    f"The output's folder holds other files, and no {MANIFEST}",
                    value=self.where,
                    where="output",
                    hint="name an empty or a new folder",
                )
            self.folder.mkdir(parents=True, exist_ok=True)
            return self._start(identity)
        try:
            self.manifest = json.loads(path.read_text(encoding="utf-8"))
            different = [
                key for key in ("format", *identity) if self.manifest[key] != {"format": FORMAT, **identity}[key]
            ]
            parts = self.manifest["parts"]
            last = parts[-1]["last_key"] if parts else None
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise DataError(
                f"The manifest cannot be read ({type(error).__name__}: {error})",
                value=str(path),
                where="output",
                hint="name another folder, or remove this one to score everything again",
            ) from error
        if different and not parts:  # an earlier run did not come to its first part
            return self._start(identity)
        if different:
            key = different[0]
            raise DataError(
                f"The output belongs to another job: its {key} is {self.manifest[key]!r}, this one's {identity.get(key)!r}",
                value=self.where,
                where="output",
                hint="name another folder; to go on with this one, give the same input, and its version with version=",
            )
        for entry in parts:
            file = self.folder / entry["file"]
            if not file.is_file() or file.stat().st_size != entry["bytes"]:
                raise DataError(
                    f"The part {entry['file']} of an earlier run is missing or has been changed",
                    value=self.where,
                    where="output",
                    hint="remove the folder, or name another one, to score everything again",
                )
        return Progress(self.manifest["rows"], last, self.manifest["finished"] is not None)

    def write(self, part: Part, frame: pl.DataFrame) -> None:
        """Write the part beside its place, flush it, rename it, and name it in the manifest."""
        name = f"part-{len(self.manifest['parts']):06d}.parquet"
        partial = self.folder / f".{name}.partial"
        try:
            with partial.open("wb") as file:
                frame.write_parquet(file)
                file.flush()
                os.fsync(file.fileno())
            size, digest = partial.stat().st_size, _digest(partial)
            os.replace(partial, self.folder / name)
            entry = {"file": name, "first_row": part.first, "rows": len(frame), "last_key": _plain(part.last_key)}
            self.manifest["parts"].append({**entry, "bytes": size, "sha256": digest})
            self.manifest["rows"] += len(frame)
            self._save()
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise DataError(
                f"A part cannot be written: {error.strerror or error}",
                value=self.where,
                where="output",
                hint="make room or mend the folder; the same command then goes on after the last part",
            ) from error

    def finish(self) -> None:
        """Write the end into the manifest."""
        self.manifest["finished"] = _now()
        self._save()

    def _start(self, identity: Mapping[str, Any]) -> Progress:
        self.manifest = {"format": FORMAT, **identity, "began": _now(), "finished": None, "rows": 0, "parts": []}
        self._save()
        return Progress()

    def _save(self) -> None:
        path = self.folder / MANIFEST
        partial = path.with_name(f".{MANIFEST}.partial")
        with partial.open("w", encoding="utf-8") as file:
            json.dump(self.manifest, file, indent=1, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)


class TableOutput(Output):
    """Rows of a database table; each part is one transaction, and a small table beside it says how far it came.

    Args:
        address: SQLAlchemy address.
        table: name of the table; made when absent.
    """

    def __init__(self, address: str, table: str) -> None:
        import sqlalchemy as sa

        self.engine = engine_of(address, "output")
        self.table = table
        self.where = f"{self.engine.url.render_as_string(hide_password=True)} table {table}"
        self.progress = sa.Table(
            f"{table}_progress",
            sa.MetaData(),
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("identity", sa.Text, nullable=False),
            sa.Column("rows", sa.BigInteger, nullable=False),
            sa.Column("last_key", sa.Text, nullable=False),
            sa.Column("finished", sa.Boolean, nullable=False),
        )

    def begin(self, identity: Mapping[str, Any]) -> Progress:
        """Read the progress table, or make it."""
        import sqlalchemy as sa

        text = json.dumps(dict(identity), sort_keys=True)
        with self._guarded(), self.engine.begin() as connection:
            found = sa.inspect(connection)
            known = found.has_table(self.progress.name)
            if not known and found.has_table(self.table):
                raise DataError(
                    f"The table {self.table!r} is there already, and no batch job made it",
                    value=self.where,
                    where="deployer.table",
                    hint="name another table",
                )
            if not known:
                self.progress.create(connection)
                first = {"id": 1, "identity": text, "rows": 0, "last_key": "null", "finished": False}
                connection.execute(self.progress.insert().values(first))
                return Progress()
            row = connection.execute(sa.select(self.progress)).mappings().one()
        if row["identity"] != text:
            raise DataError(
                f"The table {self.table!r} belongs to another job",
                value=f"{row['identity']} there, {text} now",
                where="deployer.table",
                hint="name another table; to go on with this one, give the same input, and its version with version=",
            )
        return Progress(row["rows"], json.loads(row["last_key"]), row["finished"])

    def write(self, part: Part, frame: pl.DataFrame) -> None:
        """Insert the rows and move the progress on, in one transaction.

        Raises:
            DataError: the database refuses.
        """
        import sqlalchemy as sa

        with self._guarded(), self.engine.begin() as connection:
            columns = [sa.Column(name, _sql_type(dtype)) for name, dtype in frame.schema.items()]
            table = sa.Table(self.table, sa.MetaData(), *columns)
            table.create(connection, checkfirst=True)
            connection.execute(table.insert(), frame.to_dicts())
            key = json.dumps(_plain(part.last_key))
            done = self.progress.update().values(rows=part.first + len(frame), last_key=key)
            connection.execute(done)

    def finish(self) -> None:
        """Mark the end."""
        with self._guarded(), self.engine.begin() as connection:
            connection.execute(self.progress.update().values(finished=True))

    def _guarded(self) -> Any:
        from contextlib import contextmanager

        import sqlalchemy as sa

        @contextmanager
        def guard() -> Any:
            try:
                yield
            except sa.exc.SQLAlchemyError as error:
                raise DataError(
                    f"The database refuses ({str(error.__cause__ or error).splitlines()[0]})",
                    value=self.where,
                    where="output",
                    hint="mend it; the same command then goes on after the last part",
                ) from error

        return guard()


def output_of(address: str, table: str | None) -> Output:
    """Return the output at a path or a database address.

    Raises:
        ConfigError: a database without a table, a folder with one, or the path of a file.
    """
    if "://" not in address:
        if table:
            raise ConfigError(
                "deployer.table belongs to a database address, and output is a folder",
                value=address,
                where="output",
                hint="give output=sqlite:///file.db or postgresql+psycopg://…, or leave it out",
            )
        return FolderOutput(Path(address))
    if not table:
        raise ConfigError(
            "Predictions in a database need deployer.table", where="output", hint="give deployer.table=NAME"
        )
    return TableOutput(address, table)


def _sql_type(dtype: Any) -> Any:
    import polars as pl
    import sqlalchemy as sa

    if dtype.is_integer():
        return sa.BigInteger()
    if dtype.is_float() or dtype.is_decimal():
        return sa.Double()
    simple = {pl.Boolean: sa.Boolean(), pl.Date: sa.Date(), pl.String: sa.Text()}
    if dtype == pl.Datetime:
        return sa.DateTime()
    found = simple.get(dtype.base_type())
    if found is None:
        raise ConfigError(
            f"A column of type {dtype} has no place in a database table",
            where="deployer.keep",
            hint="keep columns of numbers, texts, times and truth values",
        )
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _plain(key: Any) -> Any:
    return key if key is None or isinstance(key, (str, int, float)) else str(key)
