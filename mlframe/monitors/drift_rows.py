"""Reads a window's rows once, in parts: sketches on the reference's grids, and a few rows at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlframe import stats
from mlframe.stats import Names, Numbers, Presence, Sketch

if TYPE_CHECKING:
    import polars as pl

    from mlframe.contracts import Reference, Window

__all__ = ["Read", "read_window", "since_of"]

DIGEST = r"^[0-9a-f]{32}$"
"""What the prediction log keeps of a private value."""
TIME = "__time__"
"""The log's time, beside input columns that may have any name."""
SLICES = 10
"""Stretches of a window in which its beginning is looked for."""
LEAST_ROWS = 30
"""Fewer rows in a stretch tell nothing."""
PLACES = ("as before", "earlier than any before", "later than the window")
"""What is told of dates: they move on with time, and only those that do not fit are strange."""


@dataclass
class Read:
    """What was read of a window.

    Args:
        columns: input column to the sketches of the reference and of the window, on one grid.
        predictions: the same of `y_pred` and `p_<class>`.
        sample: rows at random, as `stats.comparable` gives them; empty when none were asked for.
        rows: rows of the version in the window.
        hidden: private columns of which the log keeps digests.
        absent: columns that the window does not have.
        timed: whether rows have times.
    """

    columns: dict[str, tuple[Sketch, Sketch]] = field(default_factory=dict)
    predictions: dict[str, tuple[Sketch, Sketch]] = field(default_factory=dict)
    sample: pl.DataFrame | None = None
    rows: int = 0
    hidden: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    timed: bool = False


def read_window(reference: Reference, window: Window, sampled: int, seed: int) -> Read:
    """Read a window, holding one part of its rows at a time.

    Args:
        reference: what is known of the version.
        window: its rows.
        sampled: most rows that are drawn at random; 0 for none.
        seed: of the drawing.
    """
    import numpy as np
    import polars as pl

    frame, found, records = _rows(reference, window), Read(), _records(reference)
    held = set(frame.collect_schema().names())
    found.absent = [name for name in records if name not in held]
    said = {n: _sketch(r) for n, r in _outputs(reference).items() if n in held}
    wanted = [name for name in records if name in held]
    before = {name: _before(reference, records[name]) for name in wanted}
    now: dict[str, Sketch] = {}
    told: dict[str, Sketch] = {}
    rng = np.random.default_rng(seed)
    drawn: list[pl.DataFrame] = []
    keys = np.empty(0)
    for part in window.batches(frame.select(*wanted, *said, TIME)):
        found.rows += len(part)
        found.timed = found.timed or part[TIME].null_count() < len(part)
        for name in wanted:
            record, series = records[name], part[name]
            if "pii" in record["tags"] and name not in found.hidden and _digested(series):
                found.hidden.append(name)
                now.pop(name, None)
                before[name] = Presence(before[name].rows, before[name].missing)
            made = _of(series, record["kind"], before[name], reference.baseline["columns"][name], window.until)
            now[name] = _merged(now.get(name), made)
        for name, known in said.items():
            if part[name].null_count() < len(part):
                told[name] = _merged(told.get(name), stats.sketch(part[name], "numeric", like=known))
        if sampled:
            # The rows with the smallest of random keys are a sample of all, whatever the parts.
            mine = rng.random(len(part))
            best = np.sort(np.argsort(mine, kind="stable")[:sampled])
            keys = np.concatenate([keys, mine[best]])
            rows = stats.comparable(part[best], [record for name, record in records.items() if name in wanted])
            drawn = [pl.concat([*drawn, rows], how="vertical_relaxed")]
            if len(keys) > sampled:
                kept = np.sort(np.argsort(keys, kind="stable")[:sampled])
                keys, drawn = keys[kept], [drawn[0][kept]]
    found.columns = {name: (before[name], now[name]) for name in wanted if name in now}
    found.predictions = {name: (said[name], part) for name, part in told.items()}
    found.sample = drawn[0] if drawn else None
    return found


def since_of(reference: Reference, window: Window, name: str, before: Sketch, effect: float) -> datetime | None:
    """Return the moment from which a column of the window is another than the reference's; None where it is the first.

    Args:
        reference: what is known of the version.
        window: its rows, which have times.
        name: the column, of inputs or predictions.
        before: the reference's sketch that it was compared with.
        effect: from which effect on it has moved.
    """
    import polars as pl

    span = (window.until - window.since) / SLICES
    parts: dict[int, Sketch] = {}
    records = _records(reference)
    kind = records[name]["kind"] if name in records else "numeric"
    record = reference.baseline["columns"].get(name, {})
    place = ((pl.col(TIME) - window.since).dt.total_microseconds() / (span.total_seconds() * 1e6)).floor()
    slices = place.clip(0, SLICES - 1).cast(pl.Int32, strict=False).alias("__slice__")
    for part in window.batches(_rows(reference, window).select(name, slices)):
        for (number,), rows in part.drop_nulls("__slice__").group_by("__slice__"):
            made = _of(rows[name], kind, before, record, window.until)
            parts[int(number)] = _merged(parts.get(int(number)), made)
    filled = sorted(number for number, part in parts.items() if part.rows >= LEAST_ROWS)
    first = None
    for number in reversed(filled):
        if stats.movement(before, parts[number]).effect < effect:
            break
        first = number
    if first is None or first == filled[0]:
        return None
    return (window.since + first * span).astimezone(UTC)


def _records(reference: Reference) -> dict[str, Mapping[str, Any]]:
    known = reference.baseline["columns"]
    return {column["name"]: column for column in reference.inputs if column["name"] in known}


def _rows(reference: Reference, window: Window) -> pl.LazyFrame:
    """Return the rows that the version answered, with input columns by their names, and `TIME`; shadows left out."""
    import polars as pl

    frame = window.predictions
    held = frame.collect_schema().names()
    if "role" in held:
        frame = frame.filter(pl.col("role").fill_null("champion") != "shadow")
    if "version" in held:
        frame = frame.filter(pl.col("version").fill_null(reference.reference) == reference.reference)
    names = {column["name"]: column.get("logged", column["name"]) for column in reference.inputs}
    sources = {**{name: name for name in _outputs(reference)}, **names}
    made = [pl.col(source).alias(name) for name, source in sources.items() if source in held]
    time = pl.col("time") if "time" in held else pl.lit(None, pl.Datetime("us", "UTC"))
    return frame.select(*made, time.alias(TIME))


def _outputs(reference: Reference) -> dict[str, Any]:
    """Return what is known of the predictions' columns; one that is called like an input is left out."""
    inputs = {column["name"] for column in reference.inputs}
    return {name: known for name, known in reference.baseline["predictions"]["columns"].items() if name not in inputs}


def _sketch(record: Mapping[str, Any]) -> Sketch:
    return stats.read_sketch({key: value for key, value in record.items() if key != "kind"})


def _before(reference: Reference, column: Mapping[str, Any]) -> Sketch:
    """Return the reference's sketch of an input column; of dates, where they lie."""
    found = _sketch(reference.baseline["columns"][column["name"]])
    if column["kind"] == "datetime" and isinstance(found, Numbers):
        return _dates_before(found, reference.created)
    return found


def _merged(one: Any, other: Sketch) -> Sketch:
    found: Sketch = other if one is None else one.merge(other)
    return found


def _digested(series: pl.Series) -> bool:
    """Whether all values are digests, as those of private columns in the log."""
    import polars as pl

    known = series.drop_nulls()
    return series.dtype == pl.String and len(known) > 0 and bool(known.str.contains(DIGEST).all())


def _of(series: pl.Series, kind: str, before: Sketch, record: Mapping[str, Any], until: datetime) -> Sketch:
    import polars as pl

    if kind != "datetime" or not isinstance(before, Names):
        return stats.sketch(series, kind, like=before)
    if series.dtype == pl.String:
        series = series.str.to_datetime(strict=False)
    moments = series if series.dtype == pl.Date else series.dt.replace_time_zone(None)
    seconds = moments.cast(pl.Datetime("us")).to_physical() / 1e6
    low = record["low"] if record["low"] is not None else float("-inf")
    late = until.astimezone(UTC).timestamp()
    return _dates(
        [int((seconds < low).sum() or 0), int((seconds >= late).sum() or 0)], series.len(), series.null_count()
    )


def _dates_before(before: Numbers, created: datetime) -> Names:
    """Return how many of the reference's dates lay in its future; none is earlier than its first."""
    ahead = int(before.counts[2::2][before.grid >= created.timestamp()].sum()) if len(before.grid) else 0
    ahead += int(before.counts[1::2][before.grid >= created.timestamp()].sum())
    return _dates([0, ahead], before.rows, before.missing)


def _dates(strange: Sequence[int], rows: int, missing: int) -> Names:
    import numpy as np

    return Names(PLACES, np.array([rows - missing - sum(strange), *strange], dtype=np.int64), 0, missing)
