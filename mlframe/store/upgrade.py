"""Brings a store of an older mlframe up to date, on request and after a backup."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlframe.errors import StoreError
from mlframe.store import metadata as db
from mlframe.store.guard import guarded

__all__ = ["Upgraded", "upgrade"]


@dataclass(frozen=True)
class Upgraded:
    """What was done.

    Args:
        before: schema version that was found.
        after: schema version that the store has now.
        backup: file with the tables as they were; None when nothing was done or the caller has one.
    """

    before: int
    after: int
    backup: Path | None


def upgrade(database: db.Database, folder: Path, *, saved: bool = False) -> Upgraded:
    """Save the tables, then change them, in one transaction that nobody else writes into.

    SQLite's file is copied through its own backup interface. PostgreSQL is saved with `pg_dump`, where it is installed.

    Args:
        database: the store's tables.
        folder: where the backup goes; made when absent.
        saved: whether the caller has a backup, so that none is made.

    Raises:
        StoreError: there is no store, it is newer than this mlframe, or no backup could be made.
    """
    found = database.schema()
    if found is None:
        raise db.absent(database.where)
    if found == db.SCHEMA_VERSION:
        return Upgraded(found, found, None)
    from mlframe.store.migrations import migrate

    with database.write("upgrading the store", durable=True) as connection:
        db.lock_tables(connection)
        found = db.schema_version(connection) or found
        if found >= db.SCHEMA_VERSION:  # another process was faster
            return Upgraded(found, found, None)
        backup = None
        if not saved:
            with guarded("making a backup before the upgrade", database.where):
                folder.mkdir(parents=True, exist_ok=True)
                stamp = f"schema{found}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
                if database.file is not None:
                    backup = _copy_sqlite(database.file, folder / f"mlframe-{stamp}.db")
                else:
                    backup = _dump_postgresql(database, folder / f"mlframe-{stamp}.dump")
        migrate(connection)
    return Upgraded(found, db.SCHEMA_VERSION, backup)


def _copy_sqlite(file: Path, target: Path) -> Path:
    """Copy a database; we hold its write lock, so the copy is what the upgrade begins with."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        (answer,) = copy.execute("PRAGMA integrity_check").fetchone()
    if answer != "ok":
        raise StoreError(
            f"The backup is not whole ({answer}); nothing was changed",
            where=str(target),
            hint="the database may be damaged: restore it from an older backup",
        )
    return target


def _dump_postgresql(database: db.Database, target: Path) -> Path:
    url = database.url.set(drivername="postgresql")
    shown = url.render_as_string(hide_password=True)
    by_hand = f"pg_dump --format=custom --file=mlframe.dump '{shown}'"
    program = shutil.which("pg_dump")
    if program is None:
        raise StoreError(
            "A backup is needed before the upgrade, and pg_dump is not installed here; nothing was changed",
            where=database.where,
            hint=f"make one with '{by_hand}' where it is installed, then run the same command with --saved",
        )
    environment = dict(os.environ)
    if url.password:
        environment["PGPASSWORD"] = str(url.password)
    address = url.set(password=None).render_as_string(hide_password=False)
    done = subprocess.run(
        [program, "--no-password", "--format=custom", f"--file={target}", f"--dbname={address}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StoreError(
            f"pg_dump could not make a backup before the upgrade; nothing was changed: {done.stderr.strip()}",
            where=database.where,
            hint=f"make one with '{by_hand}', then run the same command with --saved",
        )
    return target
