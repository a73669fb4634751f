"""What a page over the store asks: a part of a long list at a time, and never a write."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mlframe.store import metadata as db
from mlframe.store.objects import same_process
from mlframe.store.runs import _as_dict as _run
from mlframe.store.servers import _runs as _serves
from mlframe.store.versions import _as_dict as _version
from mlframe.store.versions import _as_move as _move

__all__ = ["Browsing"]


class Browsing:
    """Reads lists page by page, the newest first. Nothing is marked, removed or repaired on the way.

    Args:
        database: the store's tables.
    """

    def __init__(self, database: db.Database) -> None:
        self._database = database

    def models(self) -> list[dict[str, Any]]:
        """Return for each name how many versions it has and what its champion is, None for none."""
        versions, aliases = db.versions, db.aliases
        champion = (
            sa.select(aliases.c.number)
            .where(aliases.c.name == versions.c.name, aliases.c.alias == "champion")
            .scalar_subquery()
        )
        query = sa.select(
            versions.c.name,
            sa.func.count().label("versions"),
            sa.func.max(versions.c.created).label("newest"),
            champion.label("champion"),
        )
        return self._rows("listing the models", query.group_by(versions.c.name).order_by(versions.c.name))

    def versions(self, name: str, limit: int, offset: int = 0) -> list[dict[str, Any]]:
        """Return versions of a model with their aliases."""
        query = sa.select(db.versions).where(db.versions.c.name == name).order_by(db.versions.c.number.desc())
        with self._database.read("reading versions") as connection:
            rows = connection.execute(query.limit(limit).offset(offset)).mappings().all()
            pointers = connection.execute(sa.select(db.aliases).where(db.aliases.c.name == name)).all()
        return [_version(dict(row), pointers) for row in rows]

    def moves(self, name: str, limit: int, offset: int = 0, *, number: int | None = None) -> list[dict[str, Any]]:
        """Return moves of a model's aliases, with `number` only those to or from that version."""
        query = sa.select(db.log).where(db.log.c.name == name)
        if number is not None:
            query = query.where(sa.or_(db.log.c.before == number, db.log.c.after == number))
        found = self._rows("reading the history", query.order_by(db.log.c.id.desc()).limit(limit).offset(offset))
        return [_move(row) for row in found]

    def runs(
        self, limit: int, offset: int = 0, *, name: str | None = None, tasks: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """Return runs without their configs; of one whose process has gone the status is `interrupted`."""
        shown = [column for column in db.runs.c if column.name not in ("config", "unresolved", "facts")]
        query = sa.select(*shown).order_by(db.runs.c.started.desc(), db.runs.c.id.desc())
        if name is not None:
            query = query.where(db.runs.c.name == name)
        if tasks:
            query = query.where(db.runs.c.task.in_(tasks))
        return [_true(_run(row)) for row in self._rows("reading runs", query.limit(limit).offset(offset))]

    def decisions(self, name: str, limit: int, offset: int = 0) -> list[dict[str, Any]]:
        """Return decisions about a model; `when` is a `datetime`."""
        query = sa.select(db.decisions).where(db.decisions.c.name == name).order_by(db.decisions.c.id.desc())
        found = self._rows("reading decisions", query.limit(limit).offset(offset))
        return [{**row, "when": datetime.fromisoformat(row["when"])} for row in found]

    def servers(self, name: str | None = None) -> list[dict[str, Any]]:
        """Return the servers that run."""
        query = sa.select(db.servers).order_by(db.servers.c.started, db.servers.c.id)
        if name is not None:
            query = query.where(db.servers.c.name == name)
        rows = self._rows("reading the servers", query)
        return [{**row.pop("record"), **row} for row in rows if _serves(row)]

    def _rows(self, what: str, query: Any) -> list[dict[str, Any]]:
        with self._database.read(what) as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _true(run: dict[str, Any]) -> dict[str, Any]:
    """Return a run of this machine with the status that it truly has."""
    here = run["status"] == "running" and run["host"] == socket.gethostname()
    gone = here and not same_process(run["pid"], run["pid_started"])
    return {**run, "status": "interrupted"} if gone else run
