"""The labelled rows that an update learns from: read from the data's source and from the server's log, and cut in time."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe.errors import ConfigError, DataError
from mlframe.operating.policy import DataWindow
from mlframe.steps.learned import ARRIVED, label_digests, not_learned
from mlframe.store.predictions import scan_feedback, scan_predictions
from mlframe.table import to_polars

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ARRIVED", "Stock", "cut", "gather", "unlearned", "write"]

LEAST = 60
"""With fewer labelled rows nothing is compared."""
OF_CLASS = 10
"""Rows of each class that an update has at least, where there are so many."""


@dataclass(frozen=True)
class Stock:
    """Every row whose label is known, the oldest first.

    Args:
        frame: the rows, as the source gives them.
        time: name of the column that orders them.
        rows: rows that there are, with a label or without.
    """

    frame: pl.DataFrame
    time: str
    rows: int

    @property
    def labels(self) -> int:
        """Rows whose label is known."""
        return self.frame.height


def gather(context: Any) -> Stock:
    """Read every labelled row.

    Raises:
        DataError: there is none, or the log's rows do not fit those of the data.
    """
    import polars as pl

    config = context.config
    columns = config["data"].get("columns") or {}
    frame = to_polars(context.component("data/source").read())
    target, time = _role(columns, "target"), _role(columns, "time")
    rows = frame.height
    if target is not None and target in frame.columns and config["labeler"]["name"] == "column":
        frame = frame.filter(pl.col(target).is_not_null())
    if config["update"]["rows"] == "feedback":
        known = told(context.store, config["name"], frame, target, time, columns)
        rows += known.height
        frame = pl.concat([frame, known], how="diagonal") if known.height else frame
    if frame.height == 0:
        raise DataError("No row has a label", where="data.source", hint="an update learns from labelled rows")
    if time is None or time not in frame.columns:
        return Stock(frame.with_row_index(ARRIVED), ARRIVED, rows)
    return Stock(frame.sort(time, maintain_order=True), time, rows)


def told(
    store: Any, name: str, base: pl.DataFrame, target: str | None, time: str | None, columns: Mapping[str, Any]
) -> pl.DataFrame:
    """Return the logged rows whose truth was told, as rows of the data.

    The latest word on a row counts. The time is that of the prediction; an id goes on after the largest where it is a
    number, else it is the request's. What the log does not hold is null.

    Raises:
        DataError: a value of the log is none of its column's type.
    """
    import polars as pl

    if target is None:
        raise ConfigError("Feedback needs a target column", where="data.columns", hint="give one the role target")
    truth = scan_feedback(store, name).filter(pl.col("label").is_not_null())
    latest = truth.sort("time").group_by("request_id", "row").agg(pl.col("label").last())
    asked = scan_predictions(store, name).filter(pl.col("role") != "shadow")
    asked = asked.unique(["request_id", "row"]).drop(target, strict=False)
    found = asked.join(latest, on=["request_id", "row"], how="inner").sort("time", "request_id", "row").collect()
    values: list[pl.Series] = []
    try:
        for column, kind in base.schema.items():
            if column == target:
                made = found["label"].cast(kind)
            elif column == time:
                made = _moments(found["time"], kind)
            elif _role(columns, "id") == column:
                first = int(base[column].max() or 0) + 1 if kind.is_integer() else 0  # type: ignore[arg-type]
                made = (
                    pl.Series(range(first, first + found.height)).cast(kind)
                    if kind.is_integer()
                    else (found["request_id"] + "/" + found["row"].cast(pl.String)).cast(kind)
                )
            elif column in found.columns:
                made = found[column].cast(kind)
            else:
                made = pl.Series([None]).cast(kind).new_from_index(0, found.height)
            values.append(made.alias(column))
    except pl.exceptions.PolarsError as error:
        hint = "look at it with 'mlframe predictions NAME --export log.parquet'"
        raise DataError(f"A logged row does not fit the data: {error}", where=f"column {column}", hint=hint) from error
    return pl.DataFrame(values)


def told_apart(columns: Mapping[str, Any], inputs: Sequence[str]) -> list[str]:
    """Return the columns that tell labelled rows apart: `mlframe.steps.learned.label_columns`, of a config."""
    more = (_role(columns, role) for role in ("time", "target"))
    return [*inputs, *(name for name in more if name is not None)]


def unlearned(stock: Stock, columns: Sequence[str], learned: Any, target: str, classes: Sequence[str]) -> Stock:
    """Return the rows that a model has not learned yet, late labels too.

    Of rows that are equal in everything some of which are news, all are kept: whoever learns on knows how many it has learned.
    Where news lacks a class, the newest known rows of it are added, so that a training knows the class; nobody learns them again.

    Args:
        stock: all rows.
        columns: those that tell rows apart.
        learned: digests of what it has learned.
        target: name of the target.
        classes: the classes that it knows; none for values.
    """
    import polars as pl

    digests = label_digests(stock.frame, columns)
    digest = pl.Series("digest", digests)
    keep = digest.is_in(digest.filter(pl.Series(not_learned(digests, learned))).unique().implode())
    for name in classes if target in stock.frame.columns else ():
        mine = stock.frame[target].cast(pl.String) == name
        if (mine & keep).sum() < OF_CLASS:
            keep = keep.scatter((mine & ~keep).arg_true().tail(OF_CLASS), True)
    return replace(stock, frame=stock.frame.filter(keep))


def cut(stock: Stock, window: DataWindow, new: int, share: float, least: int) -> tuple[pl.DataFrame, int]:
    """Return the rows of an update, and how many of them, the newest, are for the comparison.

    Args:
        stock: all rows.
        window: which of them count.
        new: rows that came since the last update.
        share: share of the new rows that the comparison gets.
        least: rows that it gets at least.

    Raises:
        DataError: too few rows, or a window in time where the data has no time.
    """
    import polars as pl

    frame = stock.frame
    test = max(least, round(share * new))
    if window.kind == "since_last":
        frame = frame.tail(max(new, 2 * test))
    elif window.kind == "sliding" and window.rows is not None:
        frame = frame.tail(window.rows)
    elif window.kind == "sliding":
        newest = frame[stock.time].max()
        if not isinstance(newest, date):
            hint = "give update.sliding a number of rows, or a column the role time"
            raise ConfigError("The data has no time to slide along", where="update.sliding", hint=hint)
        frame = frame.filter(pl.col(stock.time) > newest - timedelta(seconds=window.seconds or 0))
    if frame.height < LEAST:
        hint = f"wait for {LEAST} or more, or widen update.window"
        raise DataError(f"{frame.height} labelled rows are too few to learn from and to compare on", hint=hint)
    return frame, min(test, frame.height // 2)


def write(frame: pl.DataFrame, path: Path) -> None:
    """Write rows as one Parquet file: whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    frame.write_parquet(partial)
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def _role(columns: Mapping[str, Any], role: str) -> str | None:
    return next((name for name, column in columns.items() if (column or {}).get("role") == role), None)


def _moments(times: pl.Series, kind: Any) -> pl.Series:
    """Return the moments of predictions in the type of the data's time."""
    import polars as pl

    if kind == pl.String:
        return times.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
    return times.dt.replace_time_zone(None).cast(kind) if getattr(kind, "time_zone", "x") is None else times.cast(kind)
