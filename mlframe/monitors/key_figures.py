"""Key figures of a business from feedback, a CSV file or an SQL query, joined to predictions by request or by time."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from mlframe.contracts import Window
from mlframe.errors import ConfigError, DataError
from mlframe.monitors.known_labels import sampled

if TYPE_CHECKING:
    import polars as pl

__all__ = ["KeyFigures", "from_outcomes", "read_csv", "read_query"]

HEAD = ("request_id", "row", "time", "version", "role")


@dataclass
class KeyFigures:
    """Key figures of a window.

    Args:
        frame: a column for each key figure; joined by request also request_id, row, version and role. None when there is none.
        notes: what was left out and why, one sentence each.
    """

    frame: pl.DataFrame | None = None
    notes: list[str] = field(default_factory=list)


def from_outcomes(window: Window, wanted: Sequence[str], most: int = 500_000) -> KeyFigures:
    """Read the `outcome` (JSON) that feedback came with.

    Args:
        window: the window.
        wanted: keys to read; empty for every key that holds numbers.
        most: outcomes from which on a fixed sample is read.
    """
    import polars as pl

    told = window.feedback.filter(pl.col("outcome").is_not_null()).select(
        "request_id", pl.col("row").cast(pl.UInt32), "outcome"
    )
    asked = window.answered().select("request_id", pl.col("row").cast(pl.UInt32), "version", "role")
    count = int(told.select(pl.len()).collect(engine="streaming").item())
    part = max(1, -(-count // most))
    joined = sampled(asked, part).join(sampled(told, part), on=["request_id", "row"], how="inner")
    frame = joined.collect(engine="streaming").sort("request_id", "row")
    if not len(frame):
        return KeyFigures()
    read = [_numbers(text) for text in frame["outcome"].to_list()]
    broken = sum(one is None for one in read)
    keys = list(wanted) or sorted({key for one in read for key in one or ()})
    columns = [
        pl.Series(key, [None if one is None else one.get(key) for one in read], dtype=pl.Float64) for key in keys
    ]
    notes = [f"{broken:,} outcomes are no JSON object with numbers; they are left out"] if broken else []
    if part > 1:
        notes.append(f"outcomes come from a fixed sample, about 1 of {part}")
    return KeyFigures(
        frame.drop("outcome").hstack([column for column in columns if column.name not in frame.columns]), notes
    )


def read_csv(
    file: str, window: Window, *, join: str, columns: Mapping[str, str], time_zone: str, wanted: Sequence[str]
) -> KeyFigures:
    """Read a CSV file.

    Args:
        file: its path.
        window: the window.
        join: `id` or `time`.
        columns: names of request_id, row and time in the file.
        time_zone: zone of times that tell none.
        wanted: key figures; empty for every column of numbers.

    Raises:
        ConfigError: there is no such file.
        DataError: it is no table, lacks a column, or holds a time that is none.
    """
    import polars as pl

    where = f"monitors.business.file={file}"
    if not Path(file).is_file():
        raise ConfigError(
            "No such file of key figures",
            value=file,
            where="monitors.business.file",
            hint="give the path of a CSV file",
        )
    try:
        frame = pl.read_csv(file, infer_schema_length=None, schema_overrides={columns["request_id"]: pl.String})
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        hint = "the first line names the columns; values are separated by commas"
        raise DataError(
            f"The file of key figures cannot be read: {str(error).splitlines()[0]}", where=where, hint=hint
        ) from error
    return _joined(frame, window, join, columns, time_zone, wanted, where)


def read_query(
    query: str,
    url_env: str,
    window: Window,
    *,
    join: str,
    columns: Mapping[str, str],
    time_zone: str,
    wanted: Sequence[str],
) -> KeyFigures:
    """Ask a database, in a transaction that only reads and is rolled back.

    Args:
        query: SQL text; `:since` and `:until` are the window's ends (UTC).
        url_env: name of the environment variable with the SQLAlchemy address.
        window: the window.
        join: see `read_csv`.
        columns: see `read_csv`.
        time_zone: see `read_csv`.
        wanted: see `read_csv`.

    Raises:
        ConfigError: there is no such variable, or its address or the query means nothing to the database.
        DataError: the answer cannot be used.
    """
    import polars as pl
    import sqlalchemy as sa

    url = os.environ.get(url_env)
    if not url:
        raise ConfigError(
            "The environment has no address of the database of key figures",
            value=url_env,
            where="monitors.business.url_env",
            hint=f"export {url_env}=postgresql+psycopg://user:secret@host/database",
        )
    where = "monitors.business.query"
    try:
        engine = sa.create_engine(url)
    except (sa.exc.ArgumentError, ImportError) as error:
        hint = "write it as SQLAlchemy does, such as sqlite:////data/kpi.db, and install the database's driver"
        raise ConfigError(
            f"{url_env} holds no address that can be used ({type(error).__name__})",
            where="monitors.business.url_env",
            hint=hint,
        ) from None
    ends = {name: moment for name, moment in (("since", window.since), ("until", window.until)) if f":{name}" in query}
    if engine.dialect.name == "sqlite":  # it keeps moments as text, which it compares as text
        ends = {name: moment.strftime("%Y-%m-%d %H:%M:%S") for name, moment in ends.items()}  # type: ignore[misc]
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA query_only = ON")
            elif engine.dialect.name in ("postgresql", "mysql", "mariadb"):
                connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            answer = connection.execute(sa.text(query), ends)
            names = list(answer.keys())
            parts = []
            while rows := answer.fetchmany(50_000):
                parts.append(
                    pl.DataFrame([tuple(row) for row in rows], schema=names, orient="row", infer_schema_length=None)
                )
            connection.rollback()
    except sa.exc.SQLAlchemyError as error:
        told = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"The database refuses the query of key figures: {told}",
            where=where,
            hint="run it by hand; it may only read",
        ) from None
    finally:
        engine.dispose()
    frame = pl.concat(parts, how="vertical_relaxed") if parts else pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    casts = [pl.col(name).cast(pl.Float64) for name, dtype in frame.schema.items() if dtype.is_decimal()]
    return _joined(frame.with_columns(casts), window, join, columns, time_zone, wanted, where)


def _joined(
    frame: pl.DataFrame,
    window: Window,
    join: str,
    columns: Mapping[str, str],
    time_zone: str,
    wanted: Sequence[str],
    where: str,
) -> KeyFigures:
    import polars as pl

    key = "request_id" if join == "id" else "time"
    _has(frame, columns[key], where, f"monitors.business.columns.{key} says what it is called")
    for name in wanted:
        _has(frame, name, where, f"monitors.business.figures names {name}")
    frame = frame.rename(
        {columns[name]: name for name in ("request_id", "row", "time") if columns[name] in frame.columns}
    )
    numeric = [n for n in frame.columns if n not in HEAD and frame[n].dtype.is_numeric()]
    text = [n for n in wanted if not frame[n].dtype.is_numeric() and frame[n].null_count() < len(frame)]
    if text:
        strange = frame[text[0]].drop_nulls()
        odd = strange.filter(strange.cast(pl.Float64, strict=False).is_null())
        raise DataError(
            f"The key figure {text[0]!r} holds what is no number",
            value=odd[0] if len(odd) else str(strange[0]),
            where=where,
            hint="leave a value empty where it is not known",
        )
    figures = list(wanted) or numeric
    if "time" in frame.columns:
        frame = frame.with_columns(_moments(frame["time"], time_zone, where))
    return _by_id(frame, window, figures) if join == "id" else _by_time(frame, window, figures)


def _by_id(frame: pl.DataFrame, window: Window, figures: Sequence[str]) -> KeyFigures:
    """Join by request and row; the latest of several lines counts where they tell a time."""
    import polars as pl

    notes = []
    rows = "row" in frame.columns
    head = ["request_id", "row"] if rows else ["request_id"]
    frame = frame.with_columns(pl.col("request_id").cast(pl.String))
    if rows:
        frame = frame.with_columns(pl.col("row").cast(pl.UInt32, strict=False))
    nameless = int(frame.select(pl.any_horizontal(pl.col(name).is_null() for name in head).sum()).item())
    if nameless:
        notes.append(f"{nameless:,} lines tell no request; they are left out")
        frame = frame.drop_nulls(head)
    before = len(frame)
    frame = frame.unique([*head, *figures, *(["time"] if "time" in frame.columns else [])], maintain_order=True)
    if len(frame) < before:
        notes.append(f"{before - len(frame):,} lines are there twice; each counts once")
    torn = frame.group_by(head).len().filter(pl.col("len") > 1)
    if len(torn):
        if "time" in frame.columns:
            frame = frame.sort("time", nulls_last=False, maintain_order=True).unique(
                head, keep="last", maintain_order=True
            )
            notes.append(f"{len(torn):,} requests were told of more than once; the latest counts")
        else:
            frame = frame.join(torn.select(head), on=head, how="anti")
            notes.append(
                f"{len(torn):,} requests are told of with different values and no time says which is the latest; they are left out"
            )
    asked = window.answered().select("request_id", pl.col("row").cast(pl.UInt32), "version", "role")
    joined = asked.join(frame.lazy().select(*head, *figures), on=head, how="inner").collect(engine="streaming")
    if not rows and len(joined):
        several = joined.filter(pl.col("row").max().over("request_id") > 0)
        if len(several):
            notes.append(
                f"{several['request_id'].n_unique():,} requests have several rows, and no column tells which one a value is of; they are left out"
            )
            joined = joined.join(several.select("request_id").unique(), on="request_id", how="anti")
    unknown = len(frame) - joined.select(head).unique().height
    if unknown:
        notes.append(f"{unknown:,} of {len(frame):,} lines are of requests that are not in this window")
    gap = window.rows - int(
        joined.select(pl.col("role").is_null() | (pl.col("role") == "champion")).sum().item() if len(joined) else 0
    )
    if len(joined) and gap > 0:
        notes.append(f"{gap:,} of {window.rows:,} predictions have no key figures")
    return KeyFigures(joined, notes)


def _by_time(frame: pl.DataFrame, window: Window, figures: Sequence[str]) -> KeyFigures:
    """Take the lines whose time is in the window."""
    import polars as pl

    notes = [
        "key figures are joined by time: they are of everything that happened then, not of the model's decisions alone"
    ]
    untold = frame["time"].null_count()
    if untold:
        notes.append(f"{untold:,} lines tell no time; they are left out")
    frame = frame.drop_nulls("time")
    before = len(frame)
    frame = frame.unique(["time", *figures], maintain_order=True)
    if len(frame) < before:
        notes.append(f"{before - len(frame):,} lines are there twice; each counts once")
    inside = frame.filter((pl.col("time") >= window.since) & (pl.col("time") < window.until)).sort("time")
    if len(frame) and not len(inside):
        ordered = frame["time"].sort().to_list()
        first, last = (f"{moment:%Y-%m-%d %H:%M}" for moment in (ordered[0], ordered[-1]))
        notes.append(f"no line is of this window: they go from {first} to {last} UTC")
    steps = frame["time"].unique().sort().diff().drop_nulls()
    if len(inside) and len(steps) >= 5:
        usual = steps.median()
        bounds = pl.Series(
            [window.since, *inside["time"].to_list(), min(window.until, window.now)], dtype=pl.Datetime("us", "UTC")
        )
        longest = bounds.diff().drop_nulls().max()
        if longest > 3 * usual:  # type: ignore[operator]
            notes.append(f"a gap of {longest!s} is in the key figures of this window; {usual!s} is usual")
    return KeyFigures(inside.select(*(name for name in figures if name in inside.columns)), notes)


def _moments(series: pl.Series, time_zone: str, where: str) -> pl.Series:
    """Return moments in UTC.

    Raises:
        DataError: a value is no moment, or happened twice or never by the zone's clock.
        ConfigError: there is no such time zone.
    """
    import polars as pl

    try:
        zone = ZoneInfo(time_zone)
    except (OSError, ValueError) as error:
        hint = "write it like Europe/Berlin or UTC"
        raise ConfigError(
            "No such time zone", value=time_zone, where="monitors.business.time_zone", hint=hint
        ) from error
    found: dict[Any, datetime | None] = {}
    for value in series.unique().drop_nulls().to_list():
        try:
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
        except ValueError as error:
            hint = "write it like 2026-11-25T08:30:00+01:00"
            raise DataError("This is no moment", value=value, where=f"{where}, column time", hint=hint) from error
        if moment.tzinfo is None:
            local = moment.replace(tzinfo=zone)
            if local.utcoffset() != local.replace(fold=1).utcoffset():
                raise DataError(
                    f"The clock of {time_zone} shows this moment twice, or never",
                    value=value,
                    where=f"{where}, column time",
                    hint="write times with their offset: 2026-10-25T02:30:00+02:00",
                )
            moment = local
        found[value] = moment
    utc = pl.Datetime("us", "UTC")
    if not found:
        return pl.Series("time", [None] * len(series), dtype=utc)
    return (
        pl.Series("time", [None if value is None else found[value] for value in series.to_list()])
        .cast(utc)
        .rename("time")
    )


def _has(frame: pl.DataFrame, name: str, where: str, hint: str) -> None:
    if name not in frame.columns:
        raise DataError(
            f"The key figures have no column {name!r}", value=", ".join(frame.columns[:12]), where=where, hint=hint
        )


def _numbers(text: str) -> dict[str, float] | None:
    import json

    try:
        given = json.loads(text)
    except ValueError:
        return None
    if isinstance(given, int | float) and not isinstance(given, bool):
        return {"outcome": float(given)}
    if not isinstance(given, dict):
        return None
    return {str(k): float(v) for k, v in given.items() if isinstance(v, int | float) and not isinstance(v, bool)}
