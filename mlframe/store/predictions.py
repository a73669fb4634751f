"""Reads a server's logs back: predictions, feedback, failures as lazy frames of any size; removes what is too old."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from mlframe.errors import ConfigError, StoreError
from mlframe.store.guard import guarded
from mlframe.store.segments import (
    DAMAGED,
    OPEN,
    SEGMENT,
    day_folders,
    day_of,
    finish_orphan,
    layout_named,
    read_stream,
    segment_of,
    streams_of,
)

if TYPE_CHECKING:
    import polars as pl

    from mlframe.store.store import Store

__all__ = ["Kind", "Verified", "expire", "scan_failures", "scan_feedback", "scan_predictions", "verify"]

Kind = Literal["predictions", "feedback", "failures"]
Moment = datetime | date | None

_LOG = logging.getLogger("mlframe.store")


def scan_predictions(store: Store, name: str, since: Moment = None, until: Moment = None) -> pl.LazyFrame:
    """Return what was predicted, in no order; the newest rows are `flush` seconds old at most.

    Columns of all versions are united: a row has nulls in those that its version does not know, and a column whose type
    changed has the type that takes both.

    Args:
        store: the store.
        name: name of the model.
        since: first moment that counts; UTC where it has no zone. Days before it are not even looked at.
        until: first moment that no longer counts.

    Returns:
        request_id, row, time (microseconds, UTC), version, role, caller, latency_ms, the input columns, y_pred and
        `p_<class>`. Collect it, or sink it to a file: neither needs more memory than the result and a part of a segment.
    """
    return _scan(store, "predictions", name, since, until)


def scan_feedback(store: Store, name: str, since: Moment = None, until: Moment = None) -> pl.LazyFrame:
    """Return what turned out to be true, in no order: request_id, row, time, label, outcome (JSON), caller.

    A row may have been told of more than once; the latest `time` is what is known now.

    Args:
        store: the store.
        name: name of the model.
        since: first moment that counts, of the feedback, not of the prediction.
        until: first moment that no longer counts.
    """
    return _scan(store, "feedback", name, since, until)


def scan_failures(store: Store, name: str, since: Moment = None, until: Moment = None) -> pl.LazyFrame:
    """Return requests for predictions that got none, counted by second: time, version, route, status (HTTP), requests.

    Args:
        store: the store.
        name: name of the model.
        since: first moment that counts.
        until: first moment that no longer counts.
    """
    return _scan(store, "failures", name, since, until)


def expire(store: Store, name: str, days: int) -> int:
    """Remove predictions, feedback and failures of the days before the last `days` whole ones.

    A stream that a living process writes to stays; it is removed when it has become a segment.

    Returns:
        Number of files that were removed.
    """
    if days < 0:
        raise ConfigError("Days that are kept cannot be negative", value=days, where="days", hint="give 0 or more")
    oldest = datetime.now(UTC).date() - timedelta(days=days)
    removed = 0
    for kind in get_args(Kind):
        folder = _folder(store, kind, name)
        with guarded(f"removing old {kind} of {name!r}", str(folder)):
            for path in streams_of(folder):
                if day_of(path) < oldest:
                    finish_orphan(path)
            for path in (folder / OPEN).glob(f"*{DAMAGED}"):
                if day_of(path) < oldest:
                    path.unlink(missing_ok=True)
                    removed += 1
            for day in day_folders(folder):
                if date.fromisoformat(day.name) < oldest:
                    removed += _remove(day)
    return removed


@dataclass
class Verified:
    """What `verify` found.

    Args:
        segments: number of whole segments.
        streams: number of streams.
        rows: rows of both.
        damaged: files that cannot be read.
        doubled: rows that are there more than once: request id, row, version and role.
    """

    segments: int = 0
    streams: int = 0
    rows: int = 0
    damaged: list[Path] = field(default_factory=list)
    doubled: int = 0


def verify(store: Store, kind: Literal["predictions", "feedback"], name: str) -> Verified:
    """Read every byte of a log, a segment at a time."""
    import polars as pl

    folder = _folder(store, kind, name)
    found = Verified(damaged=sorted((folder / OPEN).glob(f"*{DAMAGED}")))
    same = ["request_id", "row", "version", "role"] if kind == "predictions" else ["request_id", "row", "time"]
    hashes = []
    segments, streams = _files(folder, None, None, found.damaged)
    for path in segments:
        try:
            frame = pl.read_parquet(path)
            if not frame["time"].dt.date().is_in([day_of(path)]).all():
                raise ValueError("a row is of another day")
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError):
            found.damaged.append(path)
            continue
        found.segments += 1
        found.rows += frame.height
        hashes.append(frame.select(same).hash_rows(seed=0))
    for frame in streams:
        found.streams += 1
        found.rows += frame.height
        hashes.append(frame.select(same).hash_rows(seed=0))
    if hashes:
        every = pl.concat(hashes)
        found.doubled = len(every) - every.n_unique()
    return found


def _scan(store: Store, kind: Kind, name: str, since: Moment, until: Moment) -> pl.LazyFrame:
    import polars as pl

    folder = _folder(store, kind, name)
    first, last = _moment(since), _moment(until)
    segments, streams = _files(folder, first and first.date(), last and last.date(), [])
    alike: dict[str, list[Path]] = {}
    for path in segments:
        alike.setdefault(layout_named(path), []).append(path)
    parts = [pl.scan_parquet(paths) for paths in alike.values()] + [frame.lazy() for frame in streams]
    if not parts:
        return _nothing(kind)
    whole = pl.concat(parts, how="diagonal_relaxed") if len(parts) > 1 else parts[0]
    if first is not None:
        whole = whole.filter(pl.col("time") >= first)
    if last is not None:
        whole = whole.filter(pl.col("time") < last)
    return whole


def _files(
    folder: Path, first: date | None, last: date | None, damaged: list[Path]
) -> tuple[list[Path], list[pl.DataFrame]]:
    """Return the segments, and the rows of streams that are none yet; damaged streams are named in a list."""

    def wanted(day: date) -> bool:
        return (first is None or day >= first) and (last is None or day <= last)

    # Streams first: one that becomes a segment meanwhile is then found as a segment, and never as both.
    streams = [path for path in streams_of(folder) if wanted(day_of(path))]
    days = [day for day in day_folders(folder) if wanted(date.fromisoformat(day.name))]
    segments = {path.stem: path for day in days for path in sorted(day.glob(f"*{SEGMENT}")) if path.name[0] != "."}
    frames = []
    for path in streams:
        if path.stem in segments:
            continue
        try:
            frame = read_stream(path)
        except FileNotFoundError:
            if segment_of(path).exists():
                segments[path.stem] = segment_of(path)
            continue
        except ValueError as error:
            _LOG.warning("%s; its rows are left out", error)
            damaged.append(path)
            continue
        if frame is not None:
            frames.append(frame)
    return list(segments.values()), frames


def _folder(store: Store, kind: Kind, name: str) -> Path:
    if not name or name.startswith(".") or "/" in name or os.sep in name:
        raise StoreError("This is no name of a model", value=name, hint="'mlframe versions' lists them")
    return store.folder / kind / name


def _moment(value: Moment) -> datetime | None:
    if value is None:
        return None
    whole = value if isinstance(value, datetime) else datetime.combine(value, clock())
    return whole.astimezone(UTC) if whole.tzinfo else whole.replace(tzinfo=UTC)


def _remove(folder: Path) -> int:
    """Remove a folder of files and return how many there were."""
    paths = list(folder.iterdir())
    for path in paths:
        path.unlink(missing_ok=True)
    folder.rmdir()
    return len(paths)


def _nothing(kind: Kind) -> pl.LazyFrame:
    import polars as pl

    moment = pl.Datetime("us", "UTC")
    if kind == "failures":
        kinds: dict[str, Any] = {"time": moment, "version": pl.String, "route": pl.String}
        return pl.LazyFrame(schema={**kinds, "status": pl.UInt16, "requests": pl.UInt32})
    head: Sequence[tuple[str, Any]] = [("request_id", pl.String), ("row", pl.UInt32), ("time", moment)]
    tail: dict[Kind, Sequence[tuple[str, Any]]] = {
        "predictions": [
            ("version", pl.String),
            ("role", pl.String),
            ("caller", pl.String),
            ("latency_ms", pl.Float32),
            ("y_pred", pl.String),
        ],
        "feedback": [("label", pl.String), ("outcome", pl.String), ("caller", pl.String)],
    }
    return pl.LazyFrame(schema=dict([*head, *tail[kind]]))
