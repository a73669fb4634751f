"""Where predictions come from that are monitored: the server's log, or rows of a file or table, scored where need be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe.contracts.monitoring import LOG
from mlframe.errors import DataError

if TYPE_CHECKING:
    import polars as pl

    from mlframe.contracts import Reference

__all__ = ["Arrivals", "LogArrivals", "RowArrivals", "arrivals_of_rows"]

BATCH = 50_000
"""Rows that are scored at once."""


class Arrivals:
    """Predictions and feedback of one model.

    Args:
        source: what they come from, as records and texts name it.
        closed: whether no more of them will come.
    """

    source: str
    closed: bool

    def predictions(self, since: datetime | None = None, until: datetime | None = None) -> pl.LazyFrame:
        """Return what was predicted, in no order, as `scan_predictions` does."""
        raise NotImplementedError

    def feedback(self, since: datetime | None = None, until: datetime | None = None) -> pl.LazyFrame:
        """Return what became known, in no order, as `scan_feedback` does; times are those of the feedback."""
        raise NotImplementedError

    def failures(self, since: datetime, until: datetime) -> pl.LazyFrame | None:
        """Return which requests got no prediction, as `scan_failures` does; None where nobody knows."""
        return None


@dataclass
class LogArrivals(Arrivals):
    """What a prediction server has logged.

    Args:
        store: the open store.
        name: the model.
    """

    store: Any
    name: str
    source: str = LOG
    closed: bool = False

    def predictions(self, since: datetime | None = None, until: datetime | None = None) -> pl.LazyFrame:
        """Return what was predicted."""
        from mlframe.store.predictions import scan_predictions

        return scan_predictions(self.store, self.name, since, until)

    def feedback(self, since: datetime | None = None, until: datetime | None = None) -> pl.LazyFrame:
        """Return what became known."""
        from mlframe.store.predictions import scan_feedback

        return scan_feedback(self.store, self.name, since, until)

    def failures(self, since: datetime, until: datetime) -> pl.LazyFrame:
        """Return which requests got no prediction."""
        from mlframe.store.predictions import scan_failures

        return scan_failures(self.store, self.name, since, until)


@dataclass
class RowArrivals(Arrivals):
    """Rows of a file or table in the form of the log.

    Args:
        source: what the rows come from.
        scored: Parquet file of predictions.
        known: Parquet file of feedback.
    """

    source: str
    scored: Path
    known: Path
    closed: bool = True

    def predictions(self, since: datetime | None = None, until: datetime | None = None) -> pl.LazyFrame:
        """Return what was predicted."""
        return _between(self.scored, since, until)

    def feedback(self, since: datetime | None = None, until: datetime | None = None) -> pl.LazyFrame:
        """Return what became known."""
        return _between(self.known, since, until)


def _between(file: Path, since: datetime | None, until: datetime | None) -> pl.LazyFrame:
    import polars as pl

    rows = pl.scan_parquet(file)
    if since is not None:
        rows = rows.filter(pl.col("time") >= since)
    return rows if until is None else rows.filter(pl.col("time") < until)


def arrivals_of_rows(
    frame: pl.DataFrame,
    reference: Reference,
    folder: Path,
    *,
    source: str,
    target: str,
    time: str | None,
    moment: datetime,
) -> RowArrivals:
    """Bring rows into the form of the log: what they lack is filled in, and rows without a prediction are scored.

    Args:
        frame: the rows; with a column `row_id` that numbers them. Columns of the log (request_id, row, time, version,
            role, caller, latency_ms, y_pred, `p_<class>`) are taken as they are.
        reference: the version that scores.
        folder: where the Parquet files go.
        source: what the rows come from, for texts and records.
        target: column with the truth; rows that have it are feedback.
        time: column that tells when a row came, when there is no column `time`.
        moment: the time of rows that tell none.

    Raises:
        DataError: columns are missing, or hold values of another type.
    """
    import polars as pl

    if not len(frame):
        raise DataError("There are no rows to look at", where=source, hint="give a file or table with rows")
    labels = frame[target] if target in frame.columns else None
    inputs = {column["name"]: column["logged"] for column in reference.inputs}
    told, own = _own_columns(frame, inputs, source, time, moment)
    outputs = ["y_pred", *(f"p_{name}" for name in reference.classes)]
    if all(name in frame.columns and name not in inputs for name in outputs):
        columns = [
            frame[name if name in frame.columns else logged].alias(logged)
            for name, logged in inputs.items()
            if name in frame.columns or logged in frame.columns
        ]
        rows = told.hstack([series for series in columns if series.name not in told.columns]).hstack(
            frame.select(outputs)
        )
    else:
        rows = told.hstack(pl.concat(list(_scored(frame, reference, source))))
    if "version" not in own:
        rows = rows.with_columns(pl.lit(reference.reference).alias("version"))
    files = folder / "monitored.parquet", folder / "monitored_feedback.parquet"
    head = ["request_id", "row", "time", "version", "role", "caller", "latency_ms"]
    rows = rows.select(*head, pl.exclude(head))
    rows.write_parquet(files[0])
    known = rows.select("request_id", "row", "time", pl.lit(None, dtype=pl.String).alias("outcome"), "caller")
    if labels is None:
        known = known.clear().with_columns(pl.lit(None, dtype=pl.String).alias("label"))
    else:
        wanted = pl.String if reference.classes else pl.Float64
        known = known.with_columns(labels.cast(wanted, strict=False).alias("label")).drop_nulls("label")
    known.select("request_id", "row", "time", "label", "outcome", "caller").write_parquet(files[1])
    return RowArrivals(source, *files)


def _own_columns(
    frame: pl.DataFrame, inputs: Mapping[str, str], source: str, time: str | None, moment: datetime
) -> tuple[pl.DataFrame, set[str]]:
    """Return the log's own columns, and the names of those that the rows had."""
    import polars as pl

    def given(name: str) -> bool:
        """Whether a column is the log's and not an input of that name."""
        return name in frame.columns and name not in inputs

    own = {name for name in ("request_id", "row", "version", "role", "caller", "latency_ms") if given(name)}
    clock = "time" if given("time") else time if time in frame.columns else None
    rows = len(frame)
    numbers = pl.Series("row", range(rows), dtype=pl.UInt32)
    made = [
        frame["request_id"].cast(pl.String)
        if "request_id" in own
        else pl.Series("request_id", [source]).new_from_index(0, rows),
        frame["row"].cast(pl.UInt32) if "row" in own else numbers if "request_id" not in own else numbers * 0,
        _times(frame[clock], source).alias("time")
        if clock
        else pl.Series("time", [moment], dtype=pl.Datetime("us", "UTC")).new_from_index(0, rows),
        *([frame["version"].cast(pl.String)] if "version" in own else []),
        frame["role"].cast(pl.String) if "role" in own else pl.Series("role", ["champion"]).new_from_index(0, rows),
        frame["caller"].cast(pl.String)
        if "caller" in own
        else pl.Series("caller", [None], dtype=pl.String).new_from_index(0, rows),
        frame["latency_ms"].cast(pl.Float32)
        if "latency_ms" in own
        else pl.Series("latency_ms", [None], dtype=pl.Float32).new_from_index(0, rows),
    ]
    return pl.DataFrame(made), own


def _times(series: pl.Series, source: str) -> pl.Series:
    """Return moments in UTC; those without a zone are UTC.

    Raises:
        DataError: a value is no moment.
    """
    import polars as pl

    moments = series
    if series.dtype == pl.String:
        moments = series.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    if moments.dtype == pl.Date:
        moments = moments.cast(pl.Datetime("us"))
    if not isinstance(moments.dtype, pl.Datetime) or moments.null_count():
        first = (
            series.filter(moments.is_null()).head(1).to_list()
            if isinstance(moments.dtype, pl.Datetime)
            else series.head(1).to_list()
        )
        raise DataError(
            f"The column {series.name!r} does not tell for every row when it came",
            value=first[0] if first else None,
            where=source,
            hint="give every row a moment such as 2026-11-25T08:30:00, or leave the column out",
        )
    moments = moments.dt.cast_time_unit("us")
    zone = moments.dtype.time_zone  # type: ignore[attr-defined]
    return moments.dt.convert_time_zone("UTC") if zone else moments.dt.replace_time_zone("UTC")


def _scored(frame: pl.DataFrame, reference: Reference, source: str) -> Any:
    """Give inputs by their names in the log, and predictions, a batch at a time."""
    import polars as pl

    from mlframe.pipeline.inputs import conform

    assert reference.opener is not None
    pipeline = reference.opener()
    logged = {column["name"]: column["logged"] for column in reference.inputs}
    for part in frame.iter_slices(BATCH):
        fitting = conform(part, reference.inputs, source)
        inputs = fitting.select(pl.col(name).alias(logged[name]) for name in pipeline.inputs)
        yield inputs.hstack(pipeline.predict(fitting))
