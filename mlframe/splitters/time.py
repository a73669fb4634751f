"""Train on the past, judge on the future."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mlframe.errors import ConfigError, DataError
from mlframe.splitters.base import RuleSplitter, check_share
from mlframe.table import Table, time_hint

__all__ = ["TimeSplitter"]

Array = npt.NDArray[Any]

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class TimeSplitter(RuleSplitter):
    """Cuts along the column with the role time; rows of one time are never on both sides of a cut.

    The last share is the holdout. Before it, `folds` windows follow each other, each validated by what was learned from
    everything before it (expanding windows, as scikit-learn's TimeSeriesSplit).

    Args:
        folds: number of validated windows, 1 or more.
        holdout: share of the rows, the latest, that only the final evaluation reads; 0 for none.
        valid: share of the development rows in one window; None: 1 / (folds + 1).
        gap: what is left out before a validated window and before the holdout: a number of rows, or a duration such as
            `12h`, `7d` or `2w`. As long as it takes until a label is known.
        seed: taken for symmetry; nothing here is random.
    """

    least_folds = 1

    def __init__(
        self,
        folds: int = 5,
        holdout: float = 0.2,
        valid: float | None = None,
        gap: int | str = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(folds, holdout, seed)
        self.valid = 1 / (folds + 1) if valid is None else check_share("valid", valid, zero=False)
        if self.valid * folds >= 1:
            raise ConfigError(
                f"{folds} windows of {self.valid:g} of the rows leave nothing to learn from before the first",
                value=valid,
                where="splitter.valid",
                hint=f"give a share below {1 / folds:g}, or null",
            )
        self.gap = _gap(gap)

    def check(self, table: Table, target: Array, task: str) -> None:
        """Refuse tables without a usable time column.

        Raises:
            DataError: no such column, nulls in it, or a type that has no order in time.
        """
        super().check(table, target, task)
        self._times(table)

    def part(self, table: Table, target: Array, task: str, rows: Array, share: float, salt: int) -> tuple[Array, Array]:
        """Take the latest rows."""
        times = self._times(table)[rows]
        order = np.argsort(times, kind="stable")
        rows, times = rows[order], times[order]
        at = _boundary(times, len(rows) - round(len(rows) * share))
        return rows[: self._until(times, at)], rows[at:]

    def pairs(self, table: Table, target: Array, task: str, rows: Array, repeat: int) -> Sequence[tuple[Array, Array]]:
        """Return expanding windows."""
        times = self._times(table)[rows]
        order = np.argsort(times, kind="stable")
        rows, times = rows[order], times[order]
        count = len(rows)
        wanted = [round(count * (1 - self.valid * left)) for left in range(self.folds, 0, -1)]
        bounds = [*(_boundary(times, at) for at in wanted), count]
        if len(set(bounds)) < len(bounds) or bounds[0] == 0:
            raise DataError(
                f"{len(np.unique(times))} different times are too few for {self.folds} windows of equal length",
                where=f"splitter.folds, data.columns.{table.one('time')}",
                hint="use fewer folds, or a finer time; rows of one time are never on both sides of a cut",
            )
        return [(rows[: self._until(times, start)], rows[start:end]) for start, end in pairwise(bounds)]

    def _until(self, times: Array, at: int) -> int:
        """Return how many of the first `at` rows lie before the gap that ends there."""
        if at >= len(times):
            return at
        if isinstance(self.gap, timedelta):
            latest = times[at] - np.int64(self.gap / timedelta(microseconds=1))
            return min(at, int(np.searchsorted(times, latest, side="right")))
        return max(at - self.gap, 0)

    def _times(self, table: Table) -> Array:
        """Return one number a row: microseconds, or the column's own numbers."""
        name = table.one("time")
        where = f"data.columns.{name}"
        if name is None:
            raise DataError(
                "splitter=time needs a column with the role 'time'",
                where="data.columns",
                hint="name it: 'data.columns.NAME.role=time', or use another splitter",
            )
        column = table.frame[name]
        if column.dtype.is_float():
            column = column.fill_nan(None)
        if column.null_count():
            raise DataError(
                f"The time {name!r} is missing in {column.null_count()} rows",
                where=where,
                hint="fill it, or refuse these rows with 'nullable: false' in data.schema and "
                "validators.pandera.policy=drop",
            )
        if column.dtype in (pl.Datetime, pl.Date):
            return column.cast(pl.Datetime("us")).to_physical().to_numpy()
        if not column.dtype.is_numeric():
            raise DataError(
                f"The time {name!r} is {column.dtype}, which has no order in time",
                value=column[0] if len(column) else None,
                where=where,
                hint=time_hint(column),
            )
        if isinstance(self.gap, timedelta):
            raise ConfigError(
                f"The time {name!r} is a plain number, so the gap cannot be a duration", where="splitter.gap",
                hint="give the gap as a number of rows, or parse the time in data.source.times",
            )  # fmt: skip
        return column.to_numpy()


def _boundary(times: Array, at: int) -> int:
    """Move a cut to the nearer end of a run of equal times; 0 and the end are cuts, too."""
    if at <= 0 or at >= len(times):
        return min(max(at, 0), len(times))
    first = int(np.searchsorted(times, times[at], side="left"))
    if first == at:
        return at
    last = int(np.searchsorted(times, times[at], side="right"))
    nearest = first if at - first <= last - at else last
    # A cut that leaves one side empty is none, where the other end gives a cut.
    if nearest == 0:
        return last
    return first if nearest == len(times) else nearest


def _gap(gap: int | str) -> int | timedelta:
    if isinstance(gap, int) and not isinstance(gap, bool) and gap >= 0:
        return gap
    match = re.fullmatch(r"(\d+)\s*([smhdw])?", str(gap).strip())
    if match is None:
        raise ConfigError(
            "splitter.gap must be a number of rows or a duration", value=gap, where="splitter.gap",
            hint="such as 100, 12h, 7d or 2w",
        )  # fmt: skip
    number, unit = int(match[1]), match[2]
    if unit is None:
        return number
    return timedelta(**{UNITS[unit]: number}) if number else 0
