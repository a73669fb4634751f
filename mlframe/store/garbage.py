"""What a store keeps that nothing needs any more, and its removal.

A version is needed when an alias points at it, when an alias ever did (so that a rollback finds it), when a prediction in
the log was made by it, when a running server holds it, or when it is one of its model's newest.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from mlframe.errors import ConfigError
from mlframe.store import metadata as db
from mlframe.store.artifacts import ORPHANED
from mlframe.store.folders import remove_opened
from mlframe.store.objects import Objects, same_process

if TYPE_CHECKING:
    from mlframe.store.store import Store

__all__ = ["Garbage", "Kept", "collect", "find"]

SERVING = timedelta(days=1)
"""How long after its last sign of life a server of another machine may still hold its versions."""


@dataclass(frozen=True)
class Kept:
    """A version that stays.

    Args:
        reference: such as `email/7`.
        why: what needs it.
    """

    reference: str
    why: str


@dataclass(frozen=True)
class Garbage:
    """What nothing needs.

    Args:
        versions: reference to bytes that only it uses.
        kept: versions that stay, each with its reason.
        orphans: address of a file that nothing refers to, to its bytes.
        runs: folder of an old run to its bytes.
    """

    versions: dict[str, int] = field(default_factory=dict)
    kept: list[Kept] = field(default_factory=list)
    orphans: dict[str, int] = field(default_factory=dict)
    runs: dict[Path, int] = field(default_factory=dict)

    @property
    def freed(self) -> int:
        """Bytes that removal frees."""
        return sum(self.versions.values()) + sum(self.orphans.values()) + sum(self.runs.values())


def find(store: Store, database: db.Database, objects: Objects, *, keep: int, days: int | None) -> Garbage:
    """Say what could be removed; nothing is.

    Args:
        store: the store.
        database: its tables.
        objects: its files.
        keep: how many of each model's newest versions stay.
        days: age from which folders of runs are garbage too, unless a version that stays was made by the run; None
            leaves all of them alone.
    """
    if keep < 1:
        raise ConfigError(
            "At least one version of each model must stay", value=keep, where="--keep", hint="give 1 or more"
        )
    if days is not None and days < 0:
        raise ConfigError("An age cannot be negative", value=days, where="--runs", hint="give 0 or more days")
    logged = _logged(store)
    with database.read("looking for what nothing needs") as connection:
        found = _unneeded(connection, logged, keep)
        found.orphans.update(objects.orphans(_addresses(connection), ORPHANED))
        if days is not None:
            found.runs.update(_old_runs(connection, store, set(found.versions), days))
    return found


def collect(store: Store, database: db.Database, objects: Objects, *, keep: int, days: int | None) -> Garbage:
    """Remove what `find` names, and return it.

    Records go first, in one transaction that sees what is needed at that moment; files follow. A process that is killed
    between the two leaves files that nothing refers to, which the next call finds.
    """
    find(store, database, objects, keep=keep, days=days)  # refuses impossible values
    logged = _logged(store)
    with database.write("removing versions that nothing needs", durable=True) as connection:
        db.lock_objects(connection)
        connection.execute(sa.select(db.names).with_for_update())  # nobody moves an alias to one of them meanwhile
        found = _unneeded(connection, logged, keep)
        candidates: set[str] = set()
        for reference in found.versions:
            name, _, number = reference.partition("/")
            for table in (db.version_files, db.versions):
                mine = sa.and_(table.c.name == name, table.c.number == int(number))
                if table is db.version_files:
                    candidates.update(connection.execute(sa.select(table.c.address).where(mine)).scalars())
                connection.execute(table.delete().where(mine))
    with database.write("removing files that nothing refers to") as connection:
        db.lock_objects(connection)  # nobody registers a version with one of them meanwhile
        known = _addresses(connection)
        for address in candidates - known:
            objects.delete(address)
        for address, size in list(objects.orphans(known, ORPHANED)):
            objects.delete(address)
            found.orphans[address] = size
        if days is not None:
            found.runs.update(_old_runs(connection, store, set(), days))
    remove_opened(objects, ORPHANED)
    for folder in found.runs:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def _unneeded(connection: sa.Connection, logged: Mapping[str, set[str]], keep: int) -> Garbage:
    """Decide version by version, the strongest reason first."""
    found = Garbage()
    aliases: dict[str, list[str]] = {}
    for row in connection.execute(sa.select(db.aliases).order_by(db.aliases.c.alias)):
        aliases.setdefault(f"{row.name}/{row.number}", []).append(row.alias)
    moved = {
        f"{row.name}/{number}": row.alias
        for row in connection.execute(sa.select(db.log).order_by(db.log.c.id.desc()))
        for number in (row.before, row.after)
        if number is not None
    }
    served = _served(connection)
    order = sa.select(db.versions.c.name, db.versions.c.number)
    order = order.order_by(db.versions.c.name, db.versions.c.number.desc())
    newer: dict[str, int] = {}
    for row in connection.execute(order):
        reference = f"{row.name}/{row.number}"
        rank = newer[row.name] = newer.get(row.name, 0) + 1
        if reference in aliases:
            why = f"is {', '.join(f'{row.name}@{alias}' for alias in aliases[reference])}"
        elif reference in moved:
            why = f"was {row.name}@{moved[reference]}: a rollback may come back to it"
        elif reference in served:
            why = f"held by the server {served[reference]}"
        elif reference in logged.get(row.name, ()):
            why = "made predictions that are in the log"
        elif rank <= keep:
            why = f"one of the newest {keep}" if keep > 1 else "the newest"
        else:
            found.versions[reference] = 0
            continue
        found.kept.append(Kept(reference, why))
    _measure(connection, found)
    return found


def _measure(connection: sa.Connection, found: Garbage) -> None:
    """Count the bytes that are freed: files that other versions or the step cache use as well are not."""
    used = set(connection.execute(sa.select(db.artifact_files.c.address)).scalars())
    own: dict[str, list[tuple[str, int]]] = {}
    for row in connection.execute(sa.select(db.version_files)):
        reference = f"{row.name}/{row.number}"
        if reference in found.versions:
            own.setdefault(reference, []).append((row.address, row.size))
        else:
            used.add(row.address)
    for reference, files in own.items():
        found.versions[reference] = sum(size for address, size in files if address not in used)
        used.update(address for address, _ in files)  # a file of two such versions is freed once


def _addresses(connection: sa.Connection) -> set[str]:
    return {
        address
        for column in (db.version_files.c.address, db.artifact_files.c.address)
        for address in connection.execute(sa.select(column)).scalars()
    }


def _served(connection: sa.Connection) -> dict[str, str]:
    """Return versions that running servers hold, with the server."""
    found: dict[str, str] = {}
    for row in connection.execute(sa.select(db.servers)):
        if row.host == socket.gethostname() and row.pid_started is not None:
            runs = same_process(row.pid, row.pid_started)
        else:
            runs = datetime.now(UTC) - datetime.fromisoformat(row.seen) < SERVING
        if runs:
            found |= {str(version): f"{row.id} on {row.host}" for version in row.record.get("versions") or ()}
    return found


def _logged(store: Store) -> dict[str, set[str]]:
    """Return the versions of each model that the store's prediction logs name."""
    from mlframe.store.predictions import scan_predictions

    names = sorted(path.name for path in (store.folder / "predictions").iterdir() if path.is_dir())
    return {
        name: set(scan_predictions(store, name).select("version").unique().collect()["version"].to_list())
        for name in names
    }


def _old_runs(connection: sa.Connection, store: Store, leaving: set[str], days: int) -> dict[Path, int]:
    """Return the folders of old runs that have ended and that no version that stays was made by."""
    needed = {
        row.run_id
        for row in connection.execute(sa.select(db.versions.c.name, db.versions.c.number, db.versions.c.run_id))
        if f"{row.name}/{row.number}" not in leaving
    }
    latest = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="microseconds")
    old = sa.select(db.runs.c.id).where(db.runs.c.started < latest, db.runs.c.status != "running")
    found: dict[Path, int] = {}
    for run_id in connection.execute(old).scalars():
        folder = store.folder / "runs" / run_id
        if run_id not in needed and folder.is_dir():
            files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
            found[folder] = sum(path.stat().st_size for path in files)
    return found
