"""Shows, checks, exports and expires what the prediction server has logged."""

from __future__ import annotations

import argparse
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe.commands.shown import print_table, when
from mlframe.errors import StoreError, UserError

if TYPE_CHECKING:
    import polars as pl

SUMMARY = "show, check, export or expire what the prediction server has logged"

SINKS = {".parquet": "sink_parquet", ".csv": "sink_csv", ".jsonl": "sink_ndjson", ".ndjson": "sink_ndjson"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the positionals and flags."""
    parser.add_argument("name", help="name of the model, such as email")
    parser.add_argument("--feedback", action="store_true", help="labels and outcomes instead of predictions")
    parser.add_argument("--since", metavar="TIME", type=_time, help="from this day or moment on (UTC without a zone)")
    parser.add_argument("--until", metavar="TIME", type=_time, help="before this day or moment")
    act = parser.add_mutually_exclusive_group()
    act.add_argument("--export", metavar="FILE", type=Path, help="write the rows to .parquet, .csv or .jsonl")
    act.add_argument("--verify", action="store_true", help="read every byte, look for damage and for rows twice")
    act.add_argument("--expire", metavar="DAYS", type=int, help="remove predictions and feedback older than that")


def run(arguments: argparse.Namespace) -> int:
    """Do what the flags ask for; without one, count."""
    from mlframe.store.predictions import expire, scan_feedback, scan_predictions, verify

    kind: Any = "feedback" if arguments.feedback else "predictions"
    with arguments.door.open_store() as store:
        if not (store.folder / kind / arguments.name).is_dir():
            store.versions(arguments.name)  # a name that nothing has is a mistake
        if arguments.expire is not None:
            removed = expire(store, arguments.name, arguments.expire)
            print(f"{removed:,} files removed")
            return 0
        if arguments.verify:
            _report(verify(store, kind, arguments.name), kind)
            return 0
        scan = scan_feedback if arguments.feedback else scan_predictions
        rows = scan(store, arguments.name, arguments.since, arguments.until)
        if arguments.export:
            _export(rows, arguments.export)
        else:
            _count(rows, arguments.name, kind)
    return 0


def _count(rows: pl.LazyFrame, name: str, kind: str) -> None:
    import polars as pl

    day, moment = pl.col("time").dt.date().alias("day"), pl.col("time")
    measures = [pl.len().alias("rows"), moment.min().alias("first"), moment.max().alias("last")]
    if kind == "predictions":
        measures.append(pl.col("latency_ms").mean().alias("ms"))  # a quantile would need every row at once
        keys: list[Any] = [day, pl.col("version"), pl.col("role")]
    else:
        measures += [pl.col("label").count().alias("labels"), pl.col("outcome").count().alias("outcomes")]
        keys = [day]
    # A segment at a time, so that the size of the log does not matter.
    found = rows.group_by(keys).agg(measures).collect(engine="streaming").sort("day", "first").to_dicts()
    if not found:
        print(f"no {kind} of {name!r} in that time; the prediction server logs them")
        return
    for row in found:
        row |= {"rows": f"{row['rows']:,}", "first": when(row["first"]), "last": when(row["last"])}
        if row.get("ms") is not None:
            row["ms"] = f"{row['ms']:.2f}"
    print_table(list(found[0]), [list(row.values()) for row in found])


def _export(rows: pl.LazyFrame, file: Path) -> None:
    sink = SINKS.get(file.suffix.lower())
    if sink is None:
        hint = f"use one of {', '.join(SINKS)}"
        raise UserError("The ending names no format that is known here", value=str(file), where="--export", hint=hint)
    partial = file.with_name(f".{file.name}.partial")
    try:
        getattr(rows, sink)(partial, engine="streaming")
        os.replace(partial, file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        hint = "name a file in a folder that is there and may be written"
        raise UserError(
            f"The rows cannot be written: {error.strerror or error}", value=str(file), where="--export", hint=hint
        ) from error
    print(f"rows: {file}")


def _report(found: Any, kind: str) -> None:
    text = f"{found.rows:,} rows in {found.segments:,} segments and {found.streams:,} open streams"
    if found.damaged or found.doubled:
        names = ", ".join(map(str, found.damaged[:5])) or "none damaged"
        raise StoreError(
            f"The log has faults: {len(found.damaged)} damaged files, {found.doubled:,} rows twice; {text}",
            where=names,
            hint="restore damaged segments from a backup, or move them away; the others are read as ever",
        )
    print(f"{text}: all of them whole, none twice")


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-11-25 or 2026-11-25T08:30") from error
