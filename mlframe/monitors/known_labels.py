"""Predictions whose truth is known, as arrays: what the monitors of performance, estimates and concepts begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mlframe.contracts import DEFAULT_METRICS, Figure, Reference, Window
from mlframe.errors import ParameterError
from mlframe.stats.measures import CLASSIFICATION, REGRESSION, Scores

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "FIGURES",
    "Known",
    "champions",
    "known_rows",
    "outputs_of",
    "positive_number",
    "sampled",
    "watched",
]

Array = npt.NDArray[Any]

LOWER = ("log_loss", "brier", "rmse", "mae", "mape", "pinball")
ENDS: Mapping[str, tuple[float | None, float | None]] = {
    **dict.fromkeys(("roc_auc", "average_precision", "f1", "precision", "recall", "accuracy"), (0.0, 1.0)),
    "mcc": (-1.0, 1.0),
    "brier": (0.0, 2.0),
    "r2": (None, 1.0),
}
FIGURES: Mapping[str, Figure] = {
    name: Figure(
        name,
        "lower" if name in LOWER else "higher",
        "target" if name in ("rmse", "mae", "pinball") else "1",
        tasks,
        low=ENDS.get(name, (0.0, None))[0],
        high=ENDS.get(name, (0.0, None))[1],
    )
    for names, tasks in ((CLASSIFICATION, ("binary", "multiclass")), (REGRESSION, ("regression",)))
    for name in names
}
"""The figures that training measures, by name; summaries are left to who declares them."""


@dataclass(frozen=True)
class Known:
    """Rows whose truth is known.

    Args:
        y: codes or values, shape (rows,).
        scores: what was answered.
        frame: request_id, row, time, told, version, role and further columns of the same rows.
        strange: labels that are no class of the model, or no number; their rows are left out.
        share: share of the labelled rows that were taken; below 1 it is a sample.
    """

    y: Array
    scores: Scores
    frame: pl.DataFrame
    strange: int = 0
    share: float = 1.0

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.y)

    def take(self, rows: Array) -> Known:
        """Return some of the rows, by index or mask."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        proba = self.scores.proba
        scores = Scores(self.scores.predicted[rows], None if proba is None else proba[rows])
        return Known(self.y[rows], scores, self.frame[rows], self.strange, self.share)

    def losses(self, task: str) -> Array:
        """Return each row's loss, shape (rows,): squared error of the probabilities (Brier), or absolute error."""
        if self.scores.proba is None:
            return np.asarray(np.abs(self.y - self.scores.predicted))
        proba = self.scores.proba
        if task == "binary":
            return np.asarray(((self.y == 1) - proba[:, 1]) ** 2)
        return np.asarray((proba**2).sum(axis=1) - 2 * proba[np.arange(len(self.y)), self.y] + 1)


def champions(frame: pl.LazyFrame, reference: Reference) -> pl.LazyFrame:
    """Return the rows that this version answered as the champion; rows of a file that tell no version are its own."""
    import polars as pl

    own = pl.col("version").is_null() | (pl.col("version") == reference.reference)
    return frame.filter(own & (pl.col("role").is_null() | (pl.col("role") == "champion")))


def outputs_of(reference: Reference) -> list[str]:
    """Return the columns that hold a version's answer."""
    return ["y_pred", *(f"p_{name}" for name in reference.classes)]


def sampled(frame: pl.LazyFrame, part: int) -> pl.LazyFrame:
    """Return about one row of `part`, always the same ones, whatever else is in the frame."""
    import polars as pl

    if part <= 1:
        return frame
    which = pl.struct(pl.col("request_id"), pl.col("row").cast(pl.UInt32)).hash(seed=11)
    return frame.filter(which % part == 0)


def known_rows(
    reference: Reference,
    window: Window,
    *,
    extra: Sequence[str] = (),
    most: int = 500_000,
    every: bool = False,
) -> Known:
    """Collect predictions of a window whose label is known, in order of time.

    Args:
        reference: the version.
        window: the window.
        extra: further columns of the log.
        most: rows from which on a sample is taken, the same for predictions and feedback, before they are joined.
        every: whether answers of other versions and roles count, too.
    """
    import polars as pl

    told = window.feedback.filter(pl.col("label").is_not_null())
    count = int(told.select(pl.len()).collect(engine="streaming").item())
    part = max(1, -(-count // most))
    have = window.predictions.collect_schema().names()
    outputs = [name for name in outputs_of(reference) if name in have]
    head = ["request_id", "row", "time", "version", "role"]
    columns = list(dict.fromkeys([*head, *outputs, *(name for name in extra if name in have)]))
    rows = window.predictions if every else champions(window.predictions, reference)
    known = sampled(told, part).select("request_id", pl.col("row").cast(pl.UInt32), "label", told=pl.col("time"))
    asked = sampled(rows.select(columns), part).with_columns(pl.col("row").cast(pl.UInt32))
    frame = asked.join(known, on=["request_id", "row"], how="inner").collect(engine="streaming")
    frame = frame.sort("time", "request_id", "row", "role", nulls_last=True)
    if len(outputs) < 1 + len(reference.classes):
        frame = frame.clear()
        frame = frame.with_columns(
            pl.lit(None, pl.Float64).alias(name) for name in outputs_of(reference) if name not in outputs
        )
    return _known(reference, frame, 1 / part)


def _known(reference: Reference, frame: pl.DataFrame, share: float) -> Known:
    import polars as pl

    if reference.classes:
        code = {name: k for k, name in enumerate(reference.classes)}
        said, label = (
            frame[name].cast(pl.String).replace_strict(code, default=None, return_dtype=pl.Int64).alias(name)
            for name in ("y_pred", "label")
        )
        numbers = frame.select(pl.col(f"p_{name}").cast(pl.Float64) for name in reference.classes)
        answered = (
            said.is_not_null()
            & numbers.select(ok=pl.all_horizontal(pl.all().is_not_null() & pl.all().is_finite()))["ok"]
        )
    else:
        said, label = (frame[name].cast(pl.Float64, strict=False) for name in ("y_pred", "label"))
        label = label.set(~label.is_finite().fill_null(False), None)
        answered = said.is_not_null() & said.is_finite().fill_null(False)
    good = answered & label.is_not_null()
    strange = int((answered & label.is_null()).sum())
    frame = frame.filter(good).drop("label")
    y, predicted = label.filter(good).to_numpy(), said.filter(good).to_numpy()
    if not reference.classes:
        return Known(y, Scores(predicted), frame, strange, share)
    proba = numbers.filter(good).to_numpy()
    return Known(y.astype(np.intp), Scores(predicted.astype(np.intp), proba), frame, strange, share)


def watched(reference: Reference, names: Sequence[str] | None) -> list[str]:
    """Return the figures that an alarm may be about: those that are asked for, else the goal's metric."""
    chosen = list(names or [reference.goal.get("metric") or DEFAULT_METRICS[reference.task]])
    return [name for name in chosen if name in FIGURES and reference.task in FIGURES[name].tasks]


def positive_number(monitor: str, limit: float, /, **given: float) -> None:
    """Refuse parameters that are no numbers or below a limit.

    Raises:
        ParameterError: names the first one.
    """
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= limit:
            raise ParameterError(
                f"{monitor}: {name} must be {limit:g} or more",
                value=value,
                where=f"monitors.{monitor}.{name}",
                hint=f"leave it out for the default, or leave the monitor out with '~monitors.{monitor}'",
            )
