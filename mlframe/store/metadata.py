"""The store's tables, and connections to SQLite or PostgreSQL that behave alike."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import NoSuchModuleError, OperationalError

from mlframe.errors import StoreError
from mlframe.store.guard import guarded

__all__ = ["SCHEMA_VERSION", "Database", "now", "to_json"]

SCHEMA_VERSION = 5
"""Version of the tables below. Any change of them raises it and adds a revision in `migrations/versions/`.

Version 2 added sweeps and their jobs, version 3 servers and API keys, version 4 what monitors saw and what was decided,
version 5 whose rows a window and an alarm are of: those of the prediction log, or of a file or table.
"""

UPGRADE = "python -m mlframe store upgrade"

TABLES = sa.MetaData()
_moment = sa.String(40)

meta = sa.Table(
    "mlframe_meta",
    TABLES,
    sa.Column("key", sa.String(40), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
revision = sa.Table(  # Alembic's own table; stores that were made before it was used have none until they are upgraded
    "mlframe_revision",
    TABLES,
    sa.Column("version_num", sa.String(32), primary_key=True),
)
runs = sa.Table(
    "mlframe_runs",
    TABLES,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("task", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False, index=True),
    sa.Column("group", sa.Text, index=True),
    sa.Column("status", sa.String(20), nullable=False, index=True),
    sa.Column("started", _moment, nullable=False, index=True),
    sa.Column("finished", _moment),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("pid_started", sa.Text),
    sa.Column("config", sa.JSON, nullable=False),
    sa.Column("unresolved", sa.JSON, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("summary", sa.JSON, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
)
steps = sa.Table(
    "mlframe_steps",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("run_id", sa.ForeignKey(runs.c.id), nullable=False, index=True),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("cached", sa.Boolean, nullable=False),
    sa.Column("key", sa.Text),
    sa.Column("peak_memory", sa.BigInteger),
    sa.Column("error", sa.Text),
)
artifacts = sa.Table(
    "mlframe_artifacts",
    TABLES,
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created", _moment, nullable=False),
    sa.Column("used", _moment, nullable=False, index=True),
)
artifact_files = sa.Table(
    "mlframe_artifact_files",
    TABLES,
    sa.Column("key", sa.ForeignKey(artifacts.c.key, ondelete="CASCADE"), primary_key=True),
    sa.Column("file", sa.String(500), primary_key=True),
    sa.Column("address", sa.String(80), nullable=False, index=True),
    sa.Column("size", sa.BigInteger, nullable=False),
)
names = sa.Table(
    "mlframe_names",
    TABLES,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("last", sa.Integer, nullable=False),
)
versions = sa.Table(
    "mlframe_versions",
    TABLES,
    sa.Column("name", sa.ForeignKey(names.c.name), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("created", _moment, nullable=False),
    sa.Column("figures", sa.JSON, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
)
version_files = sa.Table(
    "mlframe_version_files",
    TABLES,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("file", sa.String(500), primary_key=True),
    sa.Column("address", sa.String(80), nullable=False, index=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.ForeignKeyConstraint(["name", "number"], [versions.c.name, versions.c.number]),
)
aliases = sa.Table(
    "mlframe_aliases",
    TABLES,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("alias", sa.String(80), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.ForeignKeyConstraint(["name", "number"], [versions.c.name, versions.c.number]),
)
log = sa.Table(
    "mlframe_log",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.ForeignKey(names.c.name), nullable=False, index=True),
    sa.Column("alias", sa.String(80), nullable=False),
    sa.Column("action", sa.String(20), nullable=False),
    sa.Column("before", sa.Integer),
    sa.Column("after", sa.Integer, nullable=False),
    sa.Column("when", _moment, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("evidence", sa.JSON, nullable=False),
)
holdout_uses = sa.Table(
    "mlframe_holdout_uses",
    TABLES,
    sa.Column("run_id", sa.ForeignKey(runs.c.id), primary_key=True),
    sa.Column("split_key", sa.String(200), primary_key=True, index=True),
    sa.Column("data_fingerprint", sa.Text, nullable=False),
    sa.Column("when", _moment, nullable=False),
)
sweeps = sa.Table(
    "mlframe_sweeps",
    TABLES,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("name", sa.Text, nullable=False, index=True),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("started", _moment, nullable=False, index=True),
    sa.Column("finished", _moment),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("pid_started", sa.Text),
    sa.Column("record", sa.JSON, nullable=False),
)
sweep_jobs = sa.Table(
    "mlframe_sweep_jobs",
    TABLES,
    sa.Column("sweep_id", sa.ForeignKey(sweeps.c.id), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("record", sa.JSON, nullable=False),
)

servers = sa.Table(
    "mlframe_servers",
    TABLES,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False, index=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("pid_started", sa.Text),
    sa.Column("started", _moment, nullable=False),
    sa.Column("seen", _moment, nullable=False),
    sa.Column("record", sa.JSON, nullable=False),
)
keys = sa.Table(
    "mlframe_keys",
    TABLES,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("created", _moment, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("revoked", _moment),
)
windows = sa.Table(
    "mlframe_windows",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.String(200), nullable=False, index=True),
    sa.Column("source", sa.Text, nullable=False, server_default="log"),
    sa.Column("version", sa.String(220), nullable=False),
    sa.Column("since", _moment, nullable=False, index=True),
    sa.Column("until", _moment, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("observed", _moment, nullable=False),
    sa.Column("record", sa.JSON, nullable=False),
    sa.UniqueConstraint("name", "source", "version", "since", "until", name="mlframe_windows_of"),
)
alarms = sa.Table(
    "mlframe_alarms",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.String(200), nullable=False, index=True),
    sa.Column("source", sa.Text, nullable=False, server_default="log"),
    sa.Column("key", sa.String(300), nullable=False),
    sa.Column("severity", sa.String(20), nullable=False),
    sa.Column("status", sa.String(20), nullable=False, index=True),
    sa.Column("first", _moment, nullable=False),
    sa.Column("last", _moment, nullable=False),
    sa.Column("record", sa.JSON, nullable=False),
)
decisions = sa.Table(
    "mlframe_decisions",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.String(200), nullable=False, index=True),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("when", _moment, nullable=False),
    sa.Column("record", sa.JSON, nullable=False),
)
operations = sa.Table(  # one row a model: who may act for it, and what it is in the middle of
    "mlframe_operations",
    TABLES,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("holder", sa.String(80)),
    sa.Column("until", _moment),
    sa.Column("record", sa.JSON, nullable=False),
)


def now() -> str:
    """Return the present moment in UTC, as text that sorts."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def to_json(value: Any) -> str:
    """Write a value as JSON that every database takes.

    Numbers of numpy become plain ones and paths become text; NaN and infinities become null, because JSON has none.

    Raises:
        StoreError: a value that JSON cannot say.
    """
    try:  # nearly all is plain already, and a look at each part in Python takes ten times as long
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except (TypeError, ValueError):
        return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in (sorted(value, key=str) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return _plain(value.tolist())
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise StoreError(
        f"A value of type {type(value).__name__} cannot be kept in the store's tables",
        value=value,
        hint="give numbers, text, booleans, lists, dictionaries or None",
    )


class Database:
    """Connections to the store's tables.

    Args:
        url: SQLAlchemy address.
        timeout: seconds to wait for another process's lock.
    """

    def __init__(self, url: str, *, timeout: float) -> None:
        try:
            self.url = sa.make_url(url)
            local = self.url.get_backend_name() == "sqlite"
            self._engine = sa.create_engine(
                self.url, json_serializer=to_json, connect_args={"timeout": timeout} if local else {}
            )
        except (sa.exc.ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise StoreError(
                f"The store's database address cannot be used ({error})",
                where="store.url",
                hint="give an address such as sqlite:////folder/mlframe.db or postgresql+psycopg://user@host/name, "
                "and install its driver",
            ) from error
        self.timeout = timeout
        self.where = self.url.render_as_string(hide_password=True)
        self._pid = os.getpid()
        self._sqlite = local
        if local:
            sa.event.listen(self._engine, "connect", _set_up_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)

    def prepare(self, *, create: bool) -> None:
        """Make the tables when there are none, and check that their version is ours.

        Raises:
            StoreError: there is no store and none may be made, or it comes from another version of mlframe.
        """
        found = self.schema()
        if found is None:
            if not create:
                raise absent(self.where)
            found = self._create()
        if found < SCHEMA_VERSION:
            raise StoreError(
                f"The store was made by an older mlframe: its schema is version {found}, this mlframe works with "
                f"version {SCHEMA_VERSION}",
                where=self.where,
                hint=f"'{UPGRADE}' (with the same store.root and store.url) brings it up to date and keeps a backup; "
                "older versions of mlframe cannot open it afterwards",
            )

    def schema(self) -> int | None:
        """Return the version of the tables, None when there is no store.

        Raises:
            StoreError: it is newer than ours.
        """
        if self.file is not None and not self.file.exists():
            return None
        with self.read("opening the store") as connection:
            found = schema_version(connection)
        if found is not None and found > SCHEMA_VERSION:
            raise StoreError(
                f"The store was made by a newer mlframe: its schema is version {found}, this mlframe knows "
                f"version {SCHEMA_VERSION}",
                where=self.where,
                hint="upgrade mlframe, or choose another store with 'store.root'",
            )
        return found

    @property
    def file(self) -> Path | None:
        """The database's file, None where a server keeps it."""
        return Path(self.url.database) if self._sqlite and self.url.database else None

    @contextmanager
    def read(self, what: str) -> Iterator[sa.Connection]:
        """Give a connection that sees one moment of the store."""
        with guarded(what, self.where), self._live().connect() as connection:
            if not self._sqlite:  # SQLite's transactions see one moment anyway
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def write(self, what: str, *, durable: bool = False) -> Iterator[sa.Connection]:
        """Give a connection with one transaction: all of it is kept, or nothing.

        Args:
            what: what is being done, for the text of an error.
            durable: whether it must survive a loss of power, not just a killed process.
        """
        with guarded(what, self.where), self._live().connect() as connection:
            connection = connection.execution_options(mlframe_write=True, mlframe_durable=durable)
            with connection.begin():
                yield connection

    def fixed(self, key: str, value: str) -> str:
        """Return what the store has under a key for good: the value of whoever asked first."""
        mine = sa.select(meta.c.value).where(meta.c.key == key)
        with self.write(f"reading {key}", durable=True) as connection:
            insert_missing(connection, meta, key=key, value=value)
            return str(connection.execute(mine).scalar_one())

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose(close=self._pid == os.getpid())

    def _live(self) -> sa.Engine:
        if self._pid != os.getpid():  # connections must not cross a fork
            self._engine.dispose(close=False)
            self._pid = os.getpid()
        return self._engine

    def _create(self) -> int:
        if self._sqlite:
            self._switch_to_wal()
        with self.write("making the store", durable=True) as connection:
            lock_tables(connection)
            found = schema_version(connection)
            if found is None:
                TABLES.create_all(connection)
                connection.execute(meta.insert().values(key="schema", value=str(SCHEMA_VERSION)))
                connection.execute(revision.insert().values(version_num=str(SCHEMA_VERSION)))
                found = SCHEMA_VERSION
        return found

    def _switch_to_wal(self) -> None:
        """Let readers and one writer work at once; the switch itself does not wait for locks, so we do."""
        deadline = time.monotonic() + self.timeout
        while True:
            raw = None
            try:
                raw = self._engine.raw_connection()
                raw.cursor().execute("PRAGMA journal_mode = WAL")
                return
            except Exception as error:
                if time.monotonic() > deadline or "locked" not in str(error):
                    with guarded("making the store", self.where):
                        raise OperationalError("PRAGMA journal_mode = WAL", None, error) from error
            finally:
                if raw is not None:
                    raw.close()
            time.sleep(0.02)


def insert_missing(connection: sa.Connection, table: sa.Table, **values: Any) -> None:
    """Insert a row unless one with its key is there."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(table).values(**values).on_conflict_do_nothing())


def lock_objects(connection: sa.Connection) -> None:
    """Keep removal of objects and their use by a new version apart; SQLite's writers are apart anyway."""
    connection.execute(sa.select(meta).where(meta.c.key == "schema").with_for_update())


def lock_key(connection: sa.Connection, key: str) -> None:
    """Let one transaction at a time replace what has a key; SQLite's writers are apart anyway."""
    if connection.dialect.name != "sqlite":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(7710022, sa.func.hashtext(key))))


def lock_tables(connection: sa.Connection) -> None:
    """Keep apart those who make or change tables; CREATE TABLE IF NOT EXISTS is no protection on PostgreSQL."""
    if connection.dialect.name != "sqlite":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(7710021)"))


def schema_version(connection: sa.Connection) -> int | None:
    """Return the version of the tables, None when there are none."""
    if not sa.inspect(connection).has_table(meta.name):
        return None
    value = connection.execute(sa.select(meta.c.value).where(meta.c.key == "schema")).scalar()
    return None if value is None else int(value)


def absent(where: str) -> StoreError:
    """Return the error of who wants a store where there is none."""
    return StoreError(
        "There is no store here", where=where, hint="train a model first, or name the store with 'store.root'"
    )


def _set_up_sqlite(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves; the driver would say it too late
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    level = "FULL" if options.get("mlframe_durable") else "NORMAL"
    connection.exec_driver_sql(f"PRAGMA synchronous = {level}")
    # A transaction that first reads and later writes could not wait for another writer, so it begins as a writer.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("mlframe_write") else "BEGIN")
