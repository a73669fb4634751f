"""Dates and times: their parts as numbers, and cycles for models that cannot cut."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from mlframe.errors import DataError
from mlframe.featurizers.blocks import Block, Plain
from mlframe.featurizers.numbers import Numbers

if TYPE_CHECKING:
    from mlframe.contracts import Matrix

__all__ = ["Dates"]

DAY_PARTS = ("year", "month", "day", "weekday")
CLOCK_PARTS = ("hour", "minute")
PERIOD = {"month": 12, "day": 31, "weekday": 7, "hour": 24, "minute": 60}
"""Length of each part's cycle; the year has none."""


class Dates(Block):
    """Columns of the types Date, Datetime (any zone, read in that zone), Time and Duration (in seconds).

    Of the parts year, month, day, weekday, hour and minute those are kept that vary in the train rows; the first of them
    when none does.

    Args:
        columns: names of the columns.
        cycles: sine and cosine of each part in place of the part, so that December lies beside January.
        impute: as in `Numbers`.
        scale: as in `Numbers`.
    """

    def __init__(
        self, columns: Sequence[str], *, cycles: bool = False, impute: bool = False, scale: Any = "none"
    ) -> None:
        super().__init__(columns)
        self.cycles = cycles
        self.parts: dict[str, list[str]] = {}
        self.numbers = Numbers([], impute=impute, scale=scale)

    def fit(self, frame: pl.DataFrame) -> None:
        """Choose the parts that vary."""
        origins: dict[str, str] = {}
        for name in self.columns:
            available = _available(frame[name])
            spread = frame.select([_part(name, part).drop_nulls().n_unique().alias(part) for part in available]).row(
                0, named=True
            )
            self.parts[name] = [part for part in available if spread[part] > 1] or available[:1]
            for feature, _ in self._expressions(name):
                origins[feature] = name
            self.choices[name] = f"date, {'cycles' if self.cycles else 'parts'}: {', '.join(self.parts[name])}"
        self.numbers.columns = list(origins)
        self.numbers.fit(self._derive(frame))
        self.names = self.numbers.names
        self.origins = [origins[origin] for origin in self.numbers.origins]
        self.exact = self.numbers.exact

    def transform(self, frame: pl.DataFrame, dtype: Any) -> Matrix:
        """Return shape (rows, features)."""
        return self.numbers.transform(self._derive(frame), dtype)

    def plain(self) -> Plain | None:
        """Return `transform` for plain values; lengths of time have none."""
        if any("seconds" in parts for parts in self.parts.values()):
            return None
        finish = self.numbers.plain()
        derived: list[tuple[str, str, Callable[[Any], Any], list[float] | None]] = []
        for name in self.columns:
            for part in self.parts[name]:
                read = _weekday if part == "weekday" else attrgetter(part)
                if self.cycles and part in PERIOD:
                    # The same expressions make the tables, so that the digits are the same too.
                    values = pl.DataFrame({name: range(PERIOD[part] + 1)}, schema={name: pl.Int64})
                    turns = values.select(e.alias(feature) for feature, e in _cycle(name, part, pl.col(name)))
                    derived += [(feature, name, read, turns[feature].to_list()) for feature in turns.columns]
                else:
                    derived.append((f"{name} {part}", name, read, None))

        def dates(columns: Mapping[str, Sequence[Any]], rows: int, dtype: Any) -> Any:
            made = {}
            for feature, name, read, table in derived:
                given: Any = columns[name]
                if isinstance(given, np.ndarray) and given.dtype.kind == "M":
                    given = given.astype("datetime64[us]").tolist()
                values = [None if value is None else read(value) for value in given]
                made[feature] = values if table is None else [None if v is None else table[v] for v in values]
            return finish(made, rows, dtype)

        return dates

    def _derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        for name in self.columns:
            if frame[name].dtype == pl.Null:  # a single row without a date has no type of its own
                frame = frame.with_columns(pl.col(name).cast(pl.Datetime))
        return frame.select([e.alias(feature) for name in self.columns for feature, e in self._expressions(name)])

    def _expressions(self, name: str) -> list[tuple[str, pl.Expr]]:
        found = []
        for part in self.parts[name]:
            value = _part(name, part)
            if self.cycles and part in PERIOD:
                found += _cycle(name, part, value)
            else:
                found.append((f"{name} {part}", value))
        return found


def _available(series: pl.Series) -> list[str]:
    """Return the parts that a type has.

    Raises:
        DataError: the type is no date or time.
    """
    dtype = series.dtype
    if dtype == pl.Date:
        return list(DAY_PARTS)
    if dtype == pl.Datetime or dtype == pl.Null:
        return [*DAY_PARTS, *CLOCK_PARTS]
    if dtype == pl.Time:
        return list(CLOCK_PARTS)
    if dtype == pl.Duration:
        return ["seconds"]
    raise DataError(
        f"Column {series.name!r} has the kind datetime and the type {dtype}",
        where=f"data.columns.{series.name}.kind",
        hint="let the source parse it as a date (see the options of data.source), or give it another kind",
    )


def _cycle(name: str, part: str, value: pl.Expr) -> list[tuple[str, pl.Expr]]:
    angle = value.cast(pl.Float64) * (2 * math.pi / PERIOD[part])
    return [(f"{name} {part} sin", angle.sin()), (f"{name} {part} cos", angle.cos())]


def _weekday(value: date) -> int:
    return value.isoweekday()


def _part(name: str, part: str) -> pl.Expr:
    column = pl.col(name)
    if part == "seconds":
        return column.dt.total_microseconds().cast(pl.Float64) / 1e6
    expression: pl.Expr = getattr(column.dt, part)()
    return expression
