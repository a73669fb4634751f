"""What was decided about a model, who may act for it now, and what it is in the middle of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from mlframe.errors import StoreError
from mlframe.store import metadata as db

__all__ = ["Decisions", "LeaseLost", "Operations"]


class LeaseLost(StoreError):
    """Another process acts for the model now."""


class Decisions:
    """Reads and writes decisions; one that was written stays as it is.

    Args:
        database: the store's tables.
    """

    def __init__(self, database: db.Database) -> None:
        self._database = database

    def add(self, name: str, kind: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a decision with its evidence.

        Args:
            name: the model's name.
            kind: lower snake case, such as `update`, `keep`, `promote`, `roll_back`, `back_off`.
            record: `text`, one sentence, and the evidence as plain JSON values.
        """
        moment = db.now()
        values = {"name": name, "kind": kind, "when": moment, "record": dict(record)}
        with self._database.write("recording the decision", durable=True) as connection:
            found = connection.execute(db.decisions.insert().values(values)).inserted_primary_key
        return {"id": found[0] if found else None, **values, "when": datetime.fromisoformat(moment)}

    def many(self, name: str | None = None, *, kinds: Sequence[str] = (), limit: int = 1000) -> list[dict[str, Any]]:
        """Return the newest decisions, the newest first; `when` is a `datetime` (UTC)."""
        table = db.decisions
        query = sa.select(table)
        if name is not None:
            query = query.where(table.c.name == name)
        if kinds:
            query = query.where(table.c.kind.in_(kinds))
        with self._database.read("reading the decisions") as connection:
            rows = connection.execute(query.order_by(table.c.id.desc()).limit(limit)).mappings().all()
        return [{**row, "when": datetime.fromisoformat(row["when"])} for row in rows]


class Operations:
    """The one row of a model that says who acts for it, until when, and what it is in the middle of.

    Args:
        database: the store's tables.
    """

    def __init__(self, database: db.Database) -> None:
        self._database = database

    def acquire(self, name: str, holder: str, seconds: float) -> bool:
        """Take or renew the right to act for a model; False where another holds it.

        Args:
            name: the model's name.
            holder: who asks, unique to the process.
            seconds: after this time without renewing, anyone may take it.
        """
        table, moment = db.operations, datetime.now(UTC)
        until = (moment + timedelta(seconds=seconds)).isoformat(timespec="microseconds")
        free = sa.or_(
            table.c.holder.is_(None),
            table.c.holder == holder,
            table.c.until < moment.isoformat(timespec="microseconds"),
        )
        with self._row(name) as connection:
            change = table.update().where(table.c.name == name, free).values(holder=holder, until=until)
            return bool(connection.execute(change).rowcount)

    def release(self, name: str, holder: str) -> None:
        """Give the right back; nothing happens where another holds it."""
        table = db.operations
        with self._database.write("giving the lease back", durable=True) as connection:
            mine = sa.and_(table.c.name == name, table.c.holder == holder)
            connection.execute(table.update().where(mine).values(holder=None, until=None))

    def get(self, name: str) -> dict[str, Any]:
        """Return holder, until (both None where nobody acts) and record, which is empty at first."""
        table = db.operations
        with self._database.read("reading the operation") as connection:
            row = connection.execute(sa.select(table).where(table.c.name == name)).mappings().first()
        return dict(row) if row else {"name": name, "holder": None, "until": None, "record": {}}

    def update(self, name: str, holder: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Set fields of the record and return it; only the holder may.

        Raises:
            LeaseLost: another process holds the right to act.
        """
        table = db.operations
        with self._row(name) as connection:
            mine = sa.select(table).where(table.c.name == name).with_for_update()
            row = connection.execute(mine).mappings().one()
            if row["holder"] != holder:
                raise LeaseLost(
                    f"Another process operates {name!r} now", value=row["holder"], hint="this one stops; one is enough"
                )
            record = {**row["record"], **fields}
            connection.execute(table.update().where(table.c.name == name).values(record=record))
        return record

    @contextmanager
    def _row(self, name: str) -> Iterator[Any]:
        """Open a transaction in which the model has its row."""
        table = db.operations
        with self._database.read("reading the operation") as connection:
            there = connection.execute(sa.select(table.c.name).where(table.c.name == name)).first()
        if there is None:
            try:
                with self._database.write("starting the operation", durable=True) as connection:
                    connection.execute(table.insert().values(name=name, record={}))
            except IntegrityError:  # another process made it in the moment between
                pass
        with self._database.write("recording the operation", durable=True) as connection:
            yield connection
