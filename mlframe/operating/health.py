"""Whether a version at work does worse than the one before it: latency, performance, and what monitors have raised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlframe.config.monitor import watched
from mlframe.contracts import Judged, Predictions
from mlframe.store.bundle import read_manifest
from mlframe.store.predictions import scan_feedback, scan_predictions

if TYPE_CHECKING:
    import polars as pl

    from mlframe.contracts import Interval

__all__ = ["Health", "look"]

SURE = 3.09
"""Standard errors of a one-sided test at 99.9 %: health is looked at many times, and each look may be wrong."""
WIDTH = 2 * 1.96
"""Width of a 95 % interval in standard errors."""
MILLISECONDS = 5.0
"""A latency that is longer by less than this is not felt."""


@dataclass(frozen=True)
class Health:
    """How a version does beside another one.

    Args:
        rows: rows that it has answered (or scored in the shadow).
        fallen: one sentence for each thing that is worse; none where it is well.
        evidence: the numbers.
    """

    rows: int
    fallen: tuple[str, ...]
    evidence: Mapping[str, Any]


def look(
    context: Any,
    version: str,
    before: str,
    *,
    since: datetime,
    before_since: datetime,
    metric: str,
    lower: bool,
    role: str | None = None,
) -> Health:
    """Compare a version with the one before it.

    Args:
        context: the run.
        version: the version at work.
        before: the version before it, or beside it.
        since: from when on it works.
        before_since: rows of `before` from this moment on count.
        metric: the figure of its performance.
        lower: whether less of it is better.
        role: `shadow` or `canary` where both work at the same time; None where `before` worked earlier.
    """
    import polars as pl

    rules, store, name = context.config["update"]["health"], context.store, context.config["name"]
    asked = scan_predictions(store, name, before_since)
    ours = asked.filter((pl.col("version") == version) & (pl.col("time") >= since))
    ours = ours.filter(pl.col("role") == role) if role else ours.filter(pl.col("role") != "shadow")
    theirs = asked.filter(pl.col("role") != "shadow")
    # Of versions that took turns, whatever answered before counts: the last one may have been there for minutes only.
    same = pl.col("version") == before if role else (pl.col("version") != version) & (pl.col("time") < since)
    theirs = theirs.filter(same)
    wanted = int(rules.get("rows") or 1)
    fallen: list[str] = []
    evidence: dict[str, Any] = {"version": version, "before": before}
    slow = [
        part.select(pl.len(), pl.col("latency_ms").quantile(0.95).alias("p95")).collect() for part in (ours, theirs)
    ]
    (rows, now_ms), (other, then_ms) = (frame.row(0) for frame in slow)
    evidence |= {"rows": rows, "rows_before": other}
    if rules.get("latency") and min(rows, other) >= wanted and now_ms is not None and then_ms is not None:
        evidence |= {"latency_ms": now_ms, "latency_ms_before": then_ms}
        if now_ms > rules["latency"] * then_ms and now_ms > then_ms + MILLISECONDS:
            fallen.append(f"95 of 100 answers take up to {now_ms:.3g} ms, it was {then_ms:.3g} ms before")
    if rules.get("performance") is not None:
        truth = scan_feedback(store, name).filter(pl.col("label").is_not_null())
        truth = truth.sort("time").group_by("request_id", "row").agg(pl.col("label").last())
        found = [
            _performance(context, reference, part.join(truth, on=["request_id", "row"]), metric, wanted)
            for reference, part in ((version, ours), (before, theirs))
        ]
        text = _worse(found, metric, lower, float(rules["performance"]), f"of {before}" if role else "before")
        evidence |= {
            f"{metric}{suffix}": one[0].value for suffix, one in zip(("", "_before"), found, strict=True) if one[0]
        }
        evidence |= {"labels": found[0][1], "labels_before": found[1][1]}
        fallen += [text] if text else []
    raised = list(_raised(context, version, since, rules.get("monitors") or ()))
    evidence["alarms"] = [row["key"] for row in raised]
    fallen += [str(row["record"].get("text") or row["key"]) for row in raised]
    return Health(rows, tuple(fallen), evidence)


def _performance(
    context: Any, reference: str, part: pl.LazyFrame, metric: str, wanted: int
) -> tuple[Interval | None, int]:
    """Return the figure of labelled rows of a version, None where there are too few or it cannot be measured."""
    import polars as pl

    learning = read_manifest(context.store.open_bundle(reference), verify=False)["learning"]
    classes = tuple(learning["classes"])
    shares = [f"p_{name}" for name in classes]
    if not {"y_pred", *shares} <= set(part.collect_schema().names()):  # nothing is logged yet
        return None, 0
    truth = pl.col("label").cast(pl.String if classes else pl.Float64, strict=False).alias("y")
    frame = part.select(truth, "y_pred", *shares).collect()
    if classes:
        frame = frame.with_columns(pl.col("y_pred").cast(pl.String)).filter(pl.col("y").is_in(list(classes)))
    frame = frame.drop_nulls("y")
    rows = frame.height
    if rows < wanted:
        return None, rows
    frame = frame.with_row_index("row_id").with_columns(
        pl.lit(-1, pl.Int32).alias("fold"), pl.lit(1.0).alias("weight"), *(pl.col(p).cast(pl.Float64) for p in shares)
    )
    said = Predictions(frame, learning["task"], classes, "holdout")
    for _, evaluator in context.components("evaluators"):
        if learning["task"] in evaluator.tasks and metric in {figure.name for figure in evaluator.declares()}:
            return evaluator.evaluate(Judged(said, pictures=False)).figures.get(metric), rows
    return None, rows


def _worse(found: list[tuple[Interval | None, int]], metric: str, lower: bool, by: float, when: str) -> str | None:
    """Say that the first figure is worse than the second by so much beyond chance; None where it is not."""
    (ours, rows), (theirs, others) = found
    if ours is None or theirs is None:
        return None
    fall = (ours.value - theirs.value) * (1.0 if lower else -1.0)
    widths = [one.high - one.low if one.high is not None and one.low is not None else None for one in (ours, theirs)]
    if fall < by or any(width is None for width in widths):
        return None
    error = sum((float(width or 0.0) / WIDTH) ** 2 for width in widths) ** 0.5
    if fall <= SURE * error:
        return None
    return f"{metric} is {ours.value:.4g} on {rows:,} labelled rows, it was {theirs.value:.4g} on {others:,} {when}"


def _raised(context: Any, version: str, since: datetime, monitors: Any) -> Iterator[Mapping[str, Any]]:
    """Give the open problems of some monitors that began after a moment and are about a version."""
    for row in context.store.alarms.many(context.config["name"], source=watched(context.config), status=["open"]):
        about = (row["record"] or {}).get("version") in (None, version)
        mine = row["key"].partition("/")[0] in monitors and row["severity"] == "problem"
        if about and mine and row["first"] >= since:
            yield row
