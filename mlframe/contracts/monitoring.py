"""Monitoring: what a model answered in a stretch of time is compared with what was known when it was made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlframe.contracts.judging import Chart, Figure, Interval

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Alarm", "Monitor", "Notice", "Notifier", "Observation", "Reference", "Window"]

BATCH_ROWS = 200_000

LOG = "log"
"""The source of what a server has logged; others are a file or table, such as `input=new.parquet`."""


@dataclass(frozen=True)
class Alarm:
    """One thing that is not as it should be, or that a person should know.

    Args:
        key: what it is about, in words that stay the same from window to window, such as `drift/column/age`: two alarms
            of one model with one key are the same alarm, seen twice.
        severity: `info`, `warning` or `problem`.
        text: one sentence with the numbers.
        evidence: the numbers, as plain JSON values.
        cause: the likely cause, in one sentence.
        action: what to do, in one sentence.
        since: first moment that shows it, where the monitor can tell; else it is the window's first.
        column: the column that it is about, if one.
    """

    key: str
    severity: Literal["info", "warning", "problem"]
    text: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    cause: str | None = None
    action: str | None = None
    since: datetime | None = None
    column: str | None = None


@dataclass(frozen=True)
class Reference:
    """What is known of a version from when it was made.

    Args:
        reference: the version, such as `email/7`.
        bundle: folder of its bundle; every digest has been checked.
        created: when it was registered (UTC).
        task: binary, multiclass or regression.
        classes: class names in the order of `p_<class>`, empty for regression.
        positive: the positive class of a binary task.
        inputs: a record for each input column: name, kind, tags and polars type, as the manifest tells them.
        baseline: `baseline.json` of the bundle: rows, a sketch for each column, and one of the predictions.
        rules: what the validators asked of each column's values.
        figures: figures of the holdout when it was made: name to {value, low, high}.
        goal: the config's goal: metric, targets, value per outcome, currency, volume, dates.
        opener: loads the fitted pipeline (`mlframe.pipeline.Pipeline`), for monitors that must ask it again.
        beside: files that are kept with the version, not in its bundle, by name: `sample.arrow` holds some of the rows that
            it was trained on. Servers do not have them.
    """

    reference: str
    bundle: Path
    created: datetime
    task: str
    classes: tuple[str, ...]
    positive: str | None
    inputs: Sequence[Mapping[str, Any]]
    baseline: Mapping[str, Any]
    rules: Mapping[str, Mapping[str, Any]]
    figures: Mapping[str, Mapping[str, float | None]]
    goal: Mapping[str, Any]
    opener: Callable[[], Any] | None = None
    beside: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Window:
    """What a model answered in a stretch of time, and what has become known of it.

    Args:
        name: the model's name.
        since: first moment that counts (UTC).
        until: first moment that no longer counts (UTC).
        now: the moment at which one looks; feedback after it is not in `feedback`.
        rows: predictions of the champion in the window.
        predictions: one row for each prediction of any version, as the prediction log tells them: request_id, row, time
            (microseconds, UTC), version, role, caller, latency_ms, the input columns, y_pred and `p_<class>`. What a file
            or table does not hold is null.
        feedback: the latest feedback for each predicted row: request_id, row, time (of the feedback), label, outcome
            (JSON), caller.
        before: records of the 500 newest earlier windows of the model, the oldest first: since, until, version, rows, figures (name to
            {value, low, high}) and `state`, what this monitor kept.
        failures: requests for predictions that were refused or failed: time (to the second), version (that would
            have answered), route, status (HTTP), requests. None where nobody knows, as of the rows of a file.
    """

    name: str
    since: datetime
    until: datetime
    now: datetime
    rows: int
    predictions: pl.LazyFrame
    feedback: pl.LazyFrame
    before: Sequence[Mapping[str, Any]] = ()
    failures: pl.LazyFrame | None = None

    def answered(self) -> pl.LazyFrame:
        """Return the predictions that were returned to callers, those of shadows left out."""
        import polars as pl

        return self.predictions.filter(pl.col("role") != "shadow")

    def labelled(self) -> pl.LazyFrame:
        """Return the predictions of any version with what became known of them: `label`, `outcome`, `told` (its time)."""
        import polars as pl

        known = self.feedback.select("request_id", "row", "label", "outcome", told=pl.col("time"))
        return self.predictions.join(known, on=["request_id", "row"], how="inner")

    def batches(self, frame: pl.LazyFrame, rows: int = BATCH_ROWS) -> Iterator[pl.DataFrame]:
        """Collect a frame in parts, so that no window needs to fit into memory.

        Args:
            frame: made of `predictions` or `feedback`; select the columns that are needed first.
            rows: rows of a part, about.
        """
        for part in frame.collect_batches(chunk_size=rows, maintain_order=False):
            if len(part):
                yield part


@dataclass(frozen=True)
class Observation:
    """What a monitor gives.

    Args:
        figures: name to value, for the figures that the monitor declares and that can be computed here.
        alarms: what is not as it should be; none where nothing is.
        tables: name to frame, small enough to read.
        charts: pictures.
        notes: what a reader must know to believe the figures: assumptions, labels that are missing, one sentence each.
        state: plain JSON values that the same monitor finds in the next window's `before`.
    """

    figures: Mapping[str, Interval] = field(default_factory=dict)
    alarms: Sequence[Alarm] = ()
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    charts: Sequence[Chart] = ()
    notes: Sequence[str] = ()
    state: Any = None


class Monitor(ABC):
    """Watches a model at work (hook `mlframe_monitors`, group `monitors`)."""

    @abstractmethod
    def declares(self) -> Sequence[Figure]:
        """Return the figures that `observe` may give (part `live`); cheap, called before any data is read."""

    @abstractmethod
    def observe(self, reference: Reference, window: Window) -> Observation:
        """Look at a window.

        What cannot be told (no labels yet, no times) is left out and said in `notes`; it is no error and no alarm.

        Args:
            reference: what is known of the version that answered.
            window: what it answered, with at least one row.
        """


@dataclass(frozen=True)
class Notice:
    """What people are told.

    Args:
        name: the model's name.
        version: the version that answers.
        kind: `alarm` (new, or worse than before), `over` (an alarm that is no longer seen), or `decision`.
        severity: `info`, `warning` or `problem`.
        title: one line.
        text: everything, as plain text of a few lines: evidence, since when, likely cause, what to do.
        record: the same as plain JSON values, for machines.
    """

    name: str
    version: str | None
    kind: Literal["alarm", "over", "decision"]
    severity: Literal["info", "warning", "problem"]
    title: str
    text: str
    record: Mapping[str, Any] = field(default_factory=dict)


class Notifier(ABC):
    """Tells people (hook `mlframe_notifiers`, group `notifiers`)."""

    def ready(self) -> None:
        """Look, while there is nothing to tell, whether what it needs is set here, such as a variable; nobody is asked.

        Raises:
            MlframeError: it could tell nobody. The caller reports it; nothing else fails.
        """
        return None

    @abstractmethod
    def notify(self, notices: Sequence[Notice]) -> None:
        """Tell; one message for all of them where the way of telling allows it.

        Raises:
            MlframeError: nobody could be told. The caller reports it and tries again later; nothing else fails.
        """
