"""The ledger: sweeps and their jobs, one durable record a job, so that nothing that was tried is ever lost."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from mlframe.errors import StoreError, UnknownNameError
from mlframe.store import metadata as db
from mlframe.store.objects import process_start, same_process

__all__ = ["Sweeps"]


class Sweeps:
    """Reads and writes sweeps.

    Args:
        database: the store's tables.
    """

    def __init__(self, database: db.Database) -> None:
        self._database = database

    def start(self, name: str, record: Mapping[str, Any]) -> str:
        """Record that a sweep of this process has begun and return its id, which sorts by time."""
        while True:
            sweep_id = f"sweep-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
            values = {"id": sweep_id, "name": name, "status": "running", "started": db.now(), "record": record}
            try:
                with self._database.write("recording the sweep", durable=True) as connection:
                    connection.execute(db.sweeps.insert().values(**values, **_owner()))
            except IntegrityError:  # another sweep of this second drew the same four digits
                continue
            return sweep_id

    def claim(self, sweep_id: str) -> None:
        """Make this process the owner of a sweep that it goes on with.

        Raises:
            StoreError: another process of this machine works on it now.
        """
        with self._database.write("taking the sweep up again", durable=True) as connection:
            mine = db.sweeps.c.id == sweep_id
            row = connection.execute(sa.select(db.sweeps).where(mine).with_for_update()).mappings().one()
            if row["status"] == "running" and _alive(dict(row)):
                raise StoreError(
                    f"The sweep {sweep_id} is running",
                    where=f"process {row['pid']} on {row['host']}",
                    hint="wait for it, or stop that process first; two processes may not work on one sweep",
                )
            connection.execute(
                db.sweeps.update().where(mine).values(status="running", finished=None, **_owner()),
            )

    def update(self, sweep_id: str, status: str | None, fields: Mapping[str, Any]) -> None:
        """Set the status of a sweep, or fields of its record."""
        with self._database.write("updating the sweep", durable=True) as connection:
            mine = db.sweeps.c.id == sweep_id
            record = connection.execute(sa.select(db.sweeps.c.record).where(mine).with_for_update()).scalar_one()
            values: dict[str, Any] = {"record": {**record, **fields}}
            if status is not None:
                values |= {"status": status, "finished": None if status == "running" else db.now()}
            connection.execute(db.sweeps.update().where(mine).values(values))

    def put_job(self, sweep_id: str, number: int, status: str, record: Mapping[str, Any]) -> None:
        """Write a job's whole record."""
        mine = sa.and_(db.sweep_jobs.c.sweep_id == sweep_id, db.sweep_jobs.c.number == number)
        values = {"status": status, "record": record}
        # How a job ended survives a loss of power too; that it began is worth less than a wait for the disk.
        with self._database.write("recording a job of the sweep", durable=status != "running") as connection:
            if connection.execute(db.sweep_jobs.update().where(mine).values(values)).rowcount == 0:
                connection.execute(db.sweep_jobs.insert().values(sweep_id=sweep_id, number=number, **values))

    def one(self, reference: str) -> dict[str, Any]:
        """Return the sweep of an id, of the beginning of exactly one id, or the `last` one.

        Raises:
            UnknownNameError: no sweep, or more than one, is meant.
        """
        latest = sa.select(db.sweeps).order_by(db.sweeps.c.started.desc())
        with self._database.read("reading a sweep") as connection:
            if reference == "last":
                rows = connection.execute(latest.limit(1)).mappings().all()
            else:
                begins = db.sweeps.c.id.startswith(reference, autoescape=True)
                rows = connection.execute(latest.where(begins).limit(9)).mappings().all()
            rows = [row for row in rows if row["id"] == reference] or list(rows)
            known = connection.execute(latest.with_only_columns(db.sweeps.c.id).limit(20)).scalars().all()
        if not rows or not reference:
            remedy = None if known else "the store has no sweep yet; -m begins one"
            raise UnknownNameError.from_name("sweep", reference, known, where=self._database.where, remedy=remedy)
        if len(rows) > 1:
            raise UnknownNameError(
                f"{reference!r} is the beginning of more than one sweep",
                hint=f"give more of its id: {', '.join(row['id'] for row in rows)}",
            )
        row = dict(rows[0])
        if row["status"] == "running" and not _alive(row):
            row["status"] = "interrupted"
        return {**row.pop("record"), **row}

    def jobs(self, sweep_id: str) -> list[dict[str, Any]]:
        """Return the jobs of a sweep by number."""
        query = sa.select(db.sweep_jobs).where(db.sweep_jobs.c.sweep_id == sweep_id).order_by(db.sweep_jobs.c.number)
        with self._database.read("reading the jobs of a sweep") as connection:
            rows = connection.execute(query).mappings().all()
        return [{**row["record"], "number": row["number"], "status": row["status"]} for row in rows]


def _owner() -> dict[str, Any]:
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "pid_started": process_start(pid)}


def _alive(row: Mapping[str, Any]) -> bool:
    """Whether a sweep's owner may still be at work; what another machine does cannot be seen from here."""
    return row["host"] != socket.gethostname() or same_process(row["pid"], row["pid_started"])
