"""Runs and their steps: what was asked for, what happened, and whether it is still happening."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from mlframe.errors import UnknownNameError
from mlframe.store import metadata as db
from mlframe.store.objects import process_start, same_process

__all__ = ["Runs"]

_PLAIN = ("task", "name", "group", "config", "unresolved", "facts", "summary")


class Runs:
    """Reads and writes runs.

    Args:
        database: the store's tables.
    """

    def __init__(self, database: db.Database) -> None:
        self._database = database

    def start(
        self,
        *,
        task: str,
        name: str,
        group: str | None,
        config: Mapping[str, Any],
        unresolved: Mapping[str, Any],
        facts: Mapping[str, Any],
    ) -> str:
        """Record that a run of this process has begun and return its id, which sorts by time."""
        pid = os.getpid()
        while True:
            run_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
            values = {
                "id": run_id,
                "task": task,
                "name": name,
                "group": group,
                "status": "running",
                "started": db.now(),
                "host": socket.gethostname(),
                "pid": pid,
                "pid_started": process_start(pid),
                "config": config,
                "unresolved": unresolved,
                "facts": facts,
                "summary": {},
                "extra": {},
            }
            try:
                with self._database.write("recording the run") as connection:
                    connection.execute(db.runs.insert().values(values))
            except IntegrityError:  # another run of this second drew the same four digits
                continue
            return run_id

    def update(self, run_id: str, fields: Mapping[str, Any]) -> None:
        """Set fields of a run; those that have no column are kept beside them under their own names."""
        plain = {key: value for key, value in fields.items() if key in _PLAIN}
        other = {key: value for key, value in fields.items() if key not in _PLAIN}
        taken = sorted(set(other) & set(db.runs.c.keys()))
        if taken:
            raise UnknownNameError.from_name("field of a run that can be set", taken[0], _PLAIN)
        with self._database.write("updating the run") as connection:
            row = connection.execute(sa.select(db.runs.c.extra).where(db.runs.c.id == run_id).with_for_update()).first()
            if row is None:
                raise self._unknown(connection, run_id)
            if other:
                plain["extra"] = {**row.extra, **other}
            if plain:
                connection.execute(db.runs.update().where(db.runs.c.id == run_id).values(plain))

    def finish(self, run_id: str, status: str, summary: Mapping[str, Any]) -> None:
        """Record how a run ended."""
        values = {"status": status, "summary": summary, "finished": db.now()}
        with self._database.write("recording the end of the run", durable=True) as connection:
            if connection.execute(db.runs.update().where(db.runs.c.id == run_id).values(values)).rowcount == 0:
                raise self._unknown(connection, run_id)

    def record_steps(self, run_id: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Add steps to a run."""
        with self._database.write(f"recording {', '.join(record['step'] for record in records)}") as connection:
            self._check_known(connection, run_id)
            connection.execute(db.steps.insert(), [{"run_id": run_id, **record} for record in records])

    def steps(self, run_id: str) -> list[dict[str, Any]]:
        """Return the steps of a run in the order in which they were recorded."""
        with self._database.read("reading steps") as connection:
            query = sa.select(db.steps).where(db.steps.c.run_id == run_id).order_by(db.steps.c.id)
            rows = connection.execute(query).mappings().all()
        return [{key: value for key, value in row.items() if key != "id"} for row in rows]

    def one(self, reference: str) -> dict[str, Any]:
        """Return the run of an id or of the beginning of exactly one id.

        Raises:
            UnknownNameError: no run, or more than one, is meant.
        """
        self._mark_interrupted()
        with self._database.read("reading a run") as connection:
            begins = db.runs.c.id.startswith(reference, autoescape=True)
            rows = connection.execute(sa.select(db.runs).where(begins).order_by(db.runs.c.id).limit(9)).mappings().all()
            exact = [row for row in rows if row["id"] == reference]
            if not reference or not rows:
                raise self._unknown(connection, reference)
        if exact or len(rows) == 1:
            return _as_dict(dict((exact or rows)[0]))
        raise UnknownNameError(
            f"{reference!r} is the beginning of more than one run",
            hint=f"give more of its id: {', '.join(row['id'] for row in rows)}",
        )

    def many(self, *, limit: int, name: str | None, group: str | None, status: str | None) -> list[dict[str, Any]]:
        """Return runs, the latest first."""
        self._mark_interrupted()
        query = sa.select(db.runs).order_by(db.runs.c.started.desc(), db.runs.c.id.desc()).limit(limit)
        for column, wanted in ((db.runs.c.name, name), (db.runs.c.group, group), (db.runs.c.status, status)):
            if wanted is not None:
                query = query.where(column == wanted)
        with self._database.read("reading runs") as connection:
            return [_as_dict(dict(row)) for row in connection.execute(query).mappings()]

    def record_holdout(self, run_id: str, *, data_fingerprint: str, split_key: str) -> None:
        """Record that a run has seen a holdout; a second look of the same run counts once."""
        with self._database.write("recording the use of the holdout", durable=True) as connection:
            self._check_known(connection, run_id)
            db.insert_missing(
                connection,
                db.holdout_uses,
                run_id=run_id,
                split_key=split_key,
                data_fingerprint=data_fingerprint,
                when=db.now(),
            )

    def holdout_uses(self, split_key: str) -> int:
        """Return how many runs have seen a holdout."""
        with self._database.read("counting uses of the holdout") as connection:
            query = sa.select(sa.func.count()).where(db.holdout_uses.c.split_key == split_key)
            return int(connection.execute(query).scalar_one())

    def _mark_interrupted(self) -> None:
        """Give runs of this machine whose process has gone their true status."""
        mine = sa.and_(db.runs.c.status == "running", db.runs.c.host == socket.gethostname())
        with self._database.read("looking for interrupted runs") as connection:
            rows = connection.execute(sa.select(db.runs.c.id, db.runs.c.pid, db.runs.c.pid_started).where(mine)).all()
        gone = [row.id for row in rows if not same_process(row.pid, row.pid_started)]
        if gone:
            with self._database.write("marking interrupted runs") as connection:
                still = sa.and_(db.runs.c.id.in_(gone), db.runs.c.status == "running")
                connection.execute(db.runs.update().where(still).values(status="interrupted"))

    def _check_known(self, connection: sa.Connection, run_id: str) -> None:
        if connection.execute(sa.select(db.runs.c.id).where(db.runs.c.id == run_id)).first() is None:
            raise self._unknown(connection, run_id)

    def _unknown(self, connection: sa.Connection, reference: str) -> UnknownNameError:
        query = sa.select(db.runs.c.id).order_by(db.runs.c.started.desc()).limit(20)
        recent = connection.execute(query).scalars().all()
        remedy = "'mlframe runs' lists them" if recent else "the store has no run yet; train a model first"
        return UnknownNameError.from_name("run", reference, recent, where=self._database.where, remedy=remedy)


def _as_dict(row: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(row)
    return {**values.pop("extra"), **values}
