"""Asks each monitor about one window and makes the record of it that the store keeps."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe.contracts import Alarm, Monitor, Reference, Window
from mlframe.errors import ConfigError, MlframeError
from mlframe.operating.arrivals import Arrivals
from mlframe.operating.windows import Span

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Look", "check_figures", "health_of", "known_of", "observe", "window_of"]

TABLE_ROWS = 50
"""Rows of a monitor's table that the record keeps; a page shows no more."""

_LOG = logging.getLogger("mlframe")


@dataclass
class Look:
    """What a look at a window has shown.

    Args:
        span: the window.
        version: the version that answered.
        rows: its predictions as the champion.
        record: what the store keeps of it.
        alarms: key to alarm.
        scope: monitors that could tell: what they do not name any more is over.
        failed: monitor to the error that it raised.
    """

    span: Span
    version: str
    rows: int
    record: dict[str, Any]
    alarms: dict[str, Alarm] = field(default_factory=dict)
    scope: list[str] = field(default_factory=list)
    failed: dict[str, Exception] = field(default_factory=dict)


def check_figures(monitors: Mapping[str, Monitor]) -> dict[str, dict[str, Any]]:
    """Return name to what is declared of it, with the monitor that gives it.

    Raises:
        ConfigError: two monitors declare one figure.
    """
    found: dict[str, dict[str, Any]] = {}
    for key, monitor in monitors.items():
        for figure in monitor.declares():
            other = found.get(figure.name)
            if other is not None:
                raise ConfigError(
                    f"Two monitors give the figure {figure.name!r}",
                    value=f"{other['monitor']} and {key}",
                    where="monitors",
                    hint="leave one of them out",
                )
            found[figure.name] = {**asdict(figure), "monitor": key}
    return found


def window_of(
    arrivals: Arrivals,
    name: str,
    span: Span,
    reference: Reference,
    now: datetime,
    known: pl.LazyFrame,
    before: Sequence[Mapping[str, Any]] = (),
) -> Window:
    """Return a window as monitors get it.

    Champions that answered in the same window have windows of their own: here the champion's rows are those of the
    version that is looked at; canaries and shadows are beside it.

    Args:
        arrivals: where predictions come from.
        name: the model.
        span: the window.
        reference: the version that is looked at.
        now: the moment at which one looks.
        known: feedback of the window's rows, see `known_of`.
        before: earlier windows' records.
    """
    import polars as pl

    from mlframe.pipeline.inputs import dtype_of

    version = pl.col("version") == reference.reference
    rows = arrivals.predictions(span.since, span.until).filter((pl.col("role") != "champion") | version)
    schema = rows.collect_schema()
    casts = []
    for column in reference.inputs:
        wanted, found = dtype_of(column["dtype"]), schema.get(column["logged"])
        digests = "pii" in (column.get("tags") or ())
        if found is not None and wanted is not None and found != wanted and not digests:
            casts.append(pl.col(column["logged"]).cast(wanted, strict=False))  # another version's type of it is wider
    until = span.until
    return Window(
        name=name,
        since=span.since,
        until=until,
        now=now,
        rows=span.rows.get(reference.reference, 0),
        predictions=rows.with_columns(casts) if casts else rows,
        feedback=known,
        before=before,
        failures=arrivals.failures(span.since, until),
    )


def known_of(arrivals: Arrivals, span: Span, now: datetime, file: Path) -> pl.LazyFrame:
    """Return the latest feedback for each predicted row of a window, written down once for all monitors.

    Args:
        arrivals: where feedback comes from.
        span: the window.
        now: later feedback is left out.
        file: where to write it.

    Returns:
        request_id, row, time, label, outcome, caller as `Window.feedback`, and `tellings` and `labels`: how often the
        row was told of, and with how many different labels.
    """
    import polars as pl

    # Clocks of two servers may differ: a label can seem older than its prediction.
    told = arrivals.feedback(span.since - timedelta(days=1), now + timedelta(microseconds=1))
    head = ["request_id", "row"]
    schema = told.collect_schema()
    shape = {name: schema[name] for name in (*head, "time", "label", "outcome", "caller")}
    if not told.select(pl.len()).collect(engine="streaming").item():
        return pl.LazyFrame(schema={**shape, "tellings": pl.UInt32, "labels": pl.UInt32})
    label = pl.col("label")
    latest = [pl.col(name).sort_by("time").drop_nulls().last() for name in ("label", "outcome", "caller")]
    latest += [pl.col("time").max(), pl.len().alias("tellings"), label.drop_nulls().n_unique().alias("labels")]
    # Few rows have labels as a rule: these are held, and the many predictions only pass by.
    known = told.group_by(head).agg(latest).collect(engine="streaming")
    asked = arrivals.predictions(span.since, span.until).select("request_id", pl.col("row").cast(schema["row"]))
    found = asked.join(known.lazy().select(head), on=head, how="semi").collect(engine="streaming").unique()
    known.join(found, on=head, how="semi").write_parquet(file)
    return pl.scan_parquet(file).select(*shape, "tellings", "labels")


def observe(
    monitors: Mapping[str, Monitor],
    reference: Reference,
    window: Window,
    span: Span,
    history: Sequence[Mapping[str, Any]],
    declared: Mapping[str, Mapping[str, Any]],
    *,
    charts: Path | None = None,
) -> Look:
    """Ask each monitor about a window.

    A monitor that raises is named in `failed`; the others are asked all the same, and its alarms stay as they are.

    Args:
        monitors: key to monitor.
        reference: the version that answered.
        window: the window, without earlier ones.
        span: the same, as it was cut.
        history: rows of `store.windows` of earlier windows, the oldest first.
        declared: what `check_figures` gave.
        charts: folder for the monitors' pictures, None keeps none.
    """
    record: dict[str, Any] = {
        "figures": {},
        "state": {},
        "notes": [],
        "tables": {},
        "charts": [],
        "seconds": {},
        "declared": {},
        "others": span.others,
        "now": window.now.isoformat(),
        "partial": window.now < window.until,
    }
    look = Look(span, reference.reference, window.rows, record)
    for key, monitor in monitors.items():
        began = time.perf_counter()
        try:
            seen = monitor.observe(reference, replace(window, before=_earlier(history, key)))
        except MlframeError as error:
            look.failed[key] = error
            continue
        except Exception as error:  # a monitor that fails must not hide what the others see
            _LOG.debug("%s", traceback.format_exc())
            look.failed[key] = error
            continue
        finally:
            record["seconds"][key] = round(time.perf_counter() - began, 3)
        undeclared = [name for name in seen.figures if declared.get(name, {}).get("monitor") != key]
        wrong = [alarm.key for alarm in seen.alarms if alarm.key.partition("/")[0] != key]
        if undeclared or wrong:
            names = ", ".join([*undeclared, *wrong])
            look.failed[key] = ConfigError(
                f"The monitor {key} gives what it has not declared: {names}",
                where=f"monitors.{key}",
                hint="figures are named by `declares`, keys of alarms begin with the monitor's name",
            )
            continue
        record["figures"] |= {
            name: {**asdict(value), **_before(reference, name)} for name, value in seen.figures.items()
        }
        record["declared"] |= {name: dict(declared[name]) for name in seen.figures}
        record["notes"] += [f"{key}: {note}" for note in seen.notes]
        if seen.state is not None:
            record["state"][key] = seen.state
        for title, frame in seen.tables.items():
            rows = frame.head(TABLE_ROWS)
            record["tables"][f"{key}/{title}"] = {"columns": rows.columns, "rows": [list(row) for row in rows.rows()]}
        record["charts"] += [_kept(chart, key, charts) for chart in seen.charts if charts is not None]
        look.alarms |= {alarm.key: alarm for alarm in seen.alarms}
        if seen.figures or seen.alarms:
            look.scope.append(key)
    record["looked"] = list(look.scope)
    record["alarms"] = sorted(look.alarms)
    record["severities"] = {key: alarm.severity for key, alarm in sorted(look.alarms.items())}
    record["health"] = health_of([alarm.severity for alarm in look.alarms.values()])
    return look


def _before(reference: Reference, figure: str) -> dict[str, float]:
    """Return a figure's value when the version was made, where it is known under the same name."""
    value = (reference.figures.get(figure) or {}).get("value")
    return {} if value is None else {"reference": value}


def health_of(severities: Sequence[str]) -> str:
    """Return `problem`, `warning` or `ok`."""
    return next((word for word in ("problem", "warning") if word in severities), "ok")


def _earlier(history: Sequence[Mapping[str, Any]], key: str) -> list[dict[str, Any]]:
    return [
        {
            "since": row["since"],
            "until": row["until"],
            "version": row["version"],
            "rows": row["rows"],
            "figures": row["record"].get("figures") or {},
            "state": (row["record"].get("state") or {}).get(key),
        }
        for row in history
    ]


def _kept(chart: Any, key: str, folder: Path | None) -> dict[str, Any]:
    assert folder is not None
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{key}_{chart.name}.svg"
    file.write_text(chart.svg, encoding="utf-8")
    return {"monitor": key, "name": chart.name, "title": chart.title, "alt": chart.alt, "file": str(file)}


def moment_text(moment: datetime) -> str:
    """Return a moment for people, in UTC, as short as it may be."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return text.removesuffix(":00") if text.endswith(":00") else text
