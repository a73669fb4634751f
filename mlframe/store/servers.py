"""Which prediction servers run, where, and which versions they hold in memory."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from mlframe.store import metadata as db
from mlframe.store.objects import process_start, same_process

__all__ = ["SILENT", "Servers"]

SILENT = 120.0
"""Seconds after which a server of another machine that has said nothing is taken for ended."""


class Servers:
    """Reads and writes the running servers.

    Args:
        database: the store's tables.
    """

    def __init__(self, database: db.Database) -> None:
        self._database = database

    def start(self, name: str, record: Mapping[str, Any]) -> str:
        """Record that a server of this process has begun; return its id."""
        server_id = f"server-{secrets.token_hex(6)}"
        moment = db.now()
        values = {
            "id": server_id,
            "name": name,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "pid_started": process_start(os.getpid()),
            "started": moment,
            "seen": moment,
            "record": record,
        }
        with self._database.write("recording the server") as connection:
            connection.execute(db.servers.insert().values(values))
        return server_id

    def seen(self, server_id: str, name: str, record: Mapping[str, Any]) -> None:
        """Say that a server of this process still runs, and what it holds now; one that was removed is put back."""
        with self._database.write("recording the server") as connection:
            own = db.servers.c.id == server_id
            changed = connection.execute(db.servers.update().where(own).values(seen=db.now(), record=record))
            if changed.rowcount == 0:
                values = {"host": socket.gethostname(), "pid": os.getpid(), "pid_started": process_start(os.getpid())}
                values |= {"id": server_id, "name": name, "started": db.now(), "seen": db.now(), "record": record}
                connection.execute(db.servers.insert().values(values))

    def stop(self, server_id: str) -> None:
        """Record that a server has ended."""
        with self._database.write("recording the end of the server") as connection:
            connection.execute(db.servers.delete().where(db.servers.c.id == server_id))

    def running(self, name: str | None = None) -> list[dict[str, Any]]:
        """Return the servers that run, the first one first; those whose process has gone are removed.

        Returns:
            id, name, host, pid, started, seen, and what the server says of itself: address, versions, workers.
        """
        query = sa.select(db.servers).order_by(db.servers.c.started, db.servers.c.id)
        if name is not None:
            query = query.where(db.servers.c.name == name)
        with self._database.read("reading the servers") as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        gone = [row["id"] for row in rows if not _runs(row)]
        if gone:
            with self._database.write("removing ended servers") as connection:
                connection.execute(db.servers.delete().where(db.servers.c.id.in_(gone)))
        return [{**row.pop("record"), **row} for row in rows if row["id"] not in gone]

    def versions(self) -> set[str]:
        """Return the versions that running servers hold in memory: none of them may be removed."""
        return {str(version) for server in self.running() for version in server.get("versions", ())}


def _runs(row: Mapping[str, Any]) -> bool:
    if row["host"] == socket.gethostname() and row["pid_started"] is not None:
        return same_process(row["pid"], row["pid_started"])
    return datetime.now(UTC) - datetime.fromisoformat(row["seen"]) < timedelta(seconds=SILENT)
