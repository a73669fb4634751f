"""What monitors saw: windows with their figures, and alarms with their history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from mlframe.contracts.monitoring import LOG
from mlframe.errors import ConfigError, UnknownNameError
from mlframe.store import metadata as db

__all__ = ["Alarms", "Windows"]

SEVERITIES = ("info", "warning", "problem")
LIVE = ("open", "acknowledged")
"""States of an alarm that is still seen; the third is `over`."""


class Windows:
    """Reads and writes windows of time that monitors have looked at.

    Args:
        database: the store's tables.
    """

    def __init__(self, database: db.Database) -> None:
        self._database = database

    def put(
        self,
        name: str,
        version: str,
        since: datetime,
        until: datetime,
        rows: int,
        run_id: str,
        record: Mapping[str, Any],
        *,
        source: str = LOG,
    ) -> None:
        """Keep what was seen in a window; a window that is looked at again, with more labels, replaces what it was."""
        which = {"name": name, "source": source, "version": version, "since": _text(since), "until": _text(until)}
        values = {"rows": rows, "run_id": run_id, "observed": db.now(), "record": record}
        table = db.windows
        mine = sa.and_(*(table.c[key] == value for key, value in which.items()))
        with self._database.write("recording the window", durable=True) as connection:
            if connection.execute(table.update().where(mine).values(values)).rowcount == 0:
                connection.execute(table.insert().values({**which, **values}))

    def many(
        self,
        name: str,
        *,
        source: str = LOG,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 1000,
        keys: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Return the newest windows of a model, the oldest of them first; moments as `datetime` (UTC).

        Args:
            name: the model's name.
            source: whose rows: the prediction log's, or a file's or table's.
            since: windows that end before it are left out.
            until: windows that begin at it or later are left out.
            limit: most windows that are returned.
            keys: of the records only these keys, where they have them; None for whole records.
        """
        table = db.windows
        columns = [column for column in table.c if keys is None or column is not table.c.record]
        parts = [table.c.record[key].label(f"record.{key}") for key in keys or ()]
        query = sa.select(*columns, *parts).where(table.c.name == name, table.c.source == source)
        if since is not None:
            query = query.where(table.c.until > _text(since))
        if until is not None:
            query = query.where(table.c.since < _text(until))
        query = query.order_by(table.c.since.desc(), table.c.id.desc()).limit(limit)
        with self._database.read("reading the windows") as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        for row in rows if keys is not None else ():
            found = {key: row.pop(f"record.{key}") for key in keys or ()}
            row["record"] = {key: value for key, value in found.items() if value is not None}
        return [_moments(row, "since", "until", "observed") for row in reversed(rows)]

    def others(self, name: str, *, limit: int = 20) -> list[dict[str, Any]]:
        """Return files and tables that were looked at beside the log: of each the newest window, the last look first.

        Beside a window's columns: `alarms`, how many of a severity are not over.
        """
        table, alarms = db.windows, db.alarms
        mine = sa.and_(table.c.name == name, table.c.source != LOG)
        order = (table.c.until.desc(), table.c.id.desc())
        place = sa.func.row_number().over(partition_by=table.c.source, order_by=order)
        # Places are given without the records: there may be thousands of windows, and their records are long.
        ranked = sa.select(table.c.id, place.label("place")).where(mine).subquery()
        newest = sa.select(ranked.c.id).where(ranked.c.place == 1)
        first = sa.select(table).where(table.c.id.in_(newest)).order_by(table.c.observed.desc()).limit(limit)
        live = sa.select(alarms.c.source, alarms.c.severity, sa.func.count())
        live = live.where(alarms.c.name == name, alarms.c.source != LOG, alarms.c.status.in_(LIVE))
        with self._database.read("reading the windows") as connection:
            rows = [dict(row) for row in connection.execute(first).mappings()]
            counts = connection.execute(live.group_by(alarms.c.source, alarms.c.severity)).all()
        for row in rows:
            row["alarms"] = {severity: count for source, severity, count in counts if source == row["source"]}
        return [_moments(row, "since", "until", "observed") for row in rows]


class Alarms:
    """Reads and writes alarms. One that is seen again in the same source is the same alarm until it is over.

    Args:
        database: the store's tables.
    """

    def __init__(self, database: db.Database) -> None:
        self._database = database

    def see(
        self,
        name: str,
        seen: Mapping[str, tuple[str, Mapping[str, Any]]],
        *,
        scope: Sequence[str],
        since: datetime,
        until: datetime,
        source: str = LOG,
    ) -> dict[str, list[dict[str, Any]]]:
        """Record what a look at a window has shown: alarms that are new, still there, worse, or over.

        Args:
            name: the model's name.
            seen: key of an alarm to severity and record (text, evidence, cause, action, column, version).
            scope: first parts of keys, such as `drift`, that were looked for: alarms of these that are not in `seen`
                are over; others stay as they are.
            since: first moment that shows them.
            until: last moment that shows them.
            source: whose rows were looked at; alarms of others stay as they are.

        Returns:
            `new`, `worse`, `same` and `over`: the alarms' rows as they are now.
        """
        table = db.alarms
        told: dict[str, list[dict[str, Any]]] = {"new": [], "worse": [], "same": [], "over": []}
        with self._database.write("recording the alarms", durable=True) as connection:
            live = sa.and_(table.c.name == name, table.c.source == source, table.c.status.in_(LIVE))
            rows = connection.execute(sa.select(table).where(live).with_for_update()).mappings().all()
            open_now = {row["key"]: dict(row) for row in rows}
            for key, (severity, record) in seen.items():
                before = open_now.get(key)
                if before is None:
                    first = record.get("since") or _text(since)
                    values: dict[str, Any] = {"name": name, "source": source, "key": key, "severity": severity}
                    values["status"] = "open"
                    values |= {"first": _text(first), "last": _text(until), "record": {**record, "times": 1}}
                    found = connection.execute(table.insert().values(values)).inserted_primary_key
                    told["new"].append({"id": found[0] if found else None, **values})
                    continue
                worse = SEVERITIES.index(severity) > SEVERITIES.index(before["severity"])
                again = _text(since) >= before["last"]  # a window that goes on, looked at once more, is the same one
                kept = {k: before["record"][k] for k in ("acknowledged",) if k in before["record"] and not worse}
                kept |= {k: before["record"][k] for k in ("told",) if k in before["record"]}
                values = {
                    "severity": severity,
                    "status": "open" if worse else before["status"],
                    "last": max(_text(until), before["last"]),
                    "record": {**record, **kept, "times": before["record"].get("times", 1) + int(again)},
                }
                connection.execute(table.update().where(table.c.id == before["id"]).values(values))
                told["worse" if worse else "same"].append({**before, **values})
            for key, before in open_now.items():
                if key not in seen and key.partition("/")[0] in scope and before["last"] < _text(until):
                    values = {"status": "over", "record": {**before["record"], "over": _text(until)}}
                    connection.execute(table.update().where(table.c.id == before["id"]).values(values))
                    told["over"].append({**before, **values})
        return {kind: [_moments(row, "first", "last") for row in rows] for kind, rows in told.items()}

    def many(
        self,
        name: str | None = None,
        *,
        source: str | None = LOG,
        status: Sequence[str] = (),
        limit: int = 1000,
    ) -> list[dict[str, Any]]:
        """Return the newest alarms, the newest first.

        Args:
            name: of one model only.
            source: whose rows: the prediction log's, or a file's or table's; None for all.
            status: `open`, `acknowledged`, `over`; empty for all.
            limit: most alarms that are returned.
        """
        table = db.alarms
        query = sa.select(table)
        if name is not None:
            query = query.where(table.c.name == name)
        if source is not None:
            query = query.where(table.c.source == source)
        if status:
            query = query.where(table.c.status.in_(status))
        with self._database.read("reading the alarms") as connection:
            newest = query.order_by(table.c.last.desc(), table.c.id.desc()).limit(limit)
            rows = connection.execute(newest).mappings().all()
        return [_moments(dict(row), "first", "last") for row in rows]

    def untold(self, name: str, notifier: str) -> list[dict[str, Any]]:
        """Return alarms of which a notifier has not told all, the oldest first.

        These are live ones that are new or worse than when it told of them and that nobody has acknowledged, and those
        that are over since it told of them.
        """
        table = db.alarms
        live = sa.and_(table.c.name == name, table.c.status == "open")
        ended = sa.and_(table.c.name == name, table.c.status == "over")
        with self._database.read("reading the alarms") as connection:
            query = sa.select(table).where(live).order_by(table.c.id)
            rows = [dict(row) for row in connection.execute(query).mappings()]
            # The latest ones that ended: a notifier that was away for longer has lost nothing that lives.
            query = sa.select(table).where(ended).order_by(table.c.id.desc()).limit(1000)
            over = [dict(row) for row in connection.execute(query).mappings()]
        found = []
        for row in rows:
            before = (row["record"].get("told") or {}).get(notifier)
            if before not in SEVERITIES or SEVERITIES.index(row["severity"]) > SEVERITIES.index(before):
                found.append(row)
        for row in reversed(over):
            if (row["record"].get("told") or {}).get(notifier) in SEVERITIES:
                found.append(row)
        return [_moments(row, "first", "last") for row in sorted(found, key=lambda row: int(row["id"]))]

    def told(self, notifier: str, states: Sequence[tuple[int, str]]) -> None:
        """Keep that a notifier has told of alarms: number, and the severity told, or `over`."""
        table = db.alarms
        with self._database.write("recording who was told", durable=True) as connection:
            for number, state in states:
                mine = table.c.id == number
                row = connection.execute(sa.select(table.c.record).where(mine).with_for_update()).mappings().first()
                if row is not None:
                    record = {**row["record"], "told": {**(row["record"].get("told") or {}), notifier: state}}
                    connection.execute(table.update().where(mine).values(record=record))

    def acknowledge(self, number: int, *, who: str, why: str) -> dict[str, Any]:
        """Say that a person knows of an alarm; it is not told again unless it gets worse.

        Raises:
            UnknownNameError: there is no alarm of this number.
            ConfigError: it is over.
        """
        table, mine = db.alarms, db.alarms.c.id == number
        with self._database.write("acknowledging the alarm", durable=True) as connection:
            row = connection.execute(sa.select(table).where(mine).with_for_update()).mappings().first()
            if row is None:
                known = [str(one) for one in connection.execute(sa.select(table.c.id)).scalars().all()]
                raise UnknownNameError.from_name("alarm", str(number), known, where="alarms", remedy="see 'alarms'")
            if row["status"] == "over":
                raise ConfigError(
                    "This alarm is over and needs no acknowledging", value=number, where="alarms", hint="see 'alarms'"
                )
            note = {"who": who, "why": why, "when": db.now()}
            values = {"status": "acknowledged", "record": {**row["record"], "acknowledged": note}}
            connection.execute(table.update().where(mine).values(values))
        return _moments({**row, **values}, "first", "last")


def _text(moment: datetime | str) -> str:
    """Write a moment as text that sorts; one without a zone is UTC."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    whole = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return whole.isoformat(timespec="microseconds")


def _moments(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {**row, **{name: datetime.fromisoformat(str(row[name])) for name in names}}
