"""Numbers and truth values: as they are, or imputed and scaled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from mlframe.errors import DataError
from mlframe.featurizers.blocks import Block, Plain
from mlframe.table import ROW

if TYPE_CHECKING:
    from mlframe.contracts import Matrix

__all__ = ["Numbers", "to_matrix"]

EXACT_IN_FLOAT32 = float(2**24)
"""Up to here float32 tells every whole number from the next."""

EXACT_IN_FLOAT64 = 2.0**53
LARGEST = float(np.finfo(np.float64).max)

FARTHEST = 1e6
"""Scaled values are cut here: so many deviations off, a value is an accident, and sums of larger ones overflow."""


class Numbers(Block):
    """Numeric and boolean columns.

    Args:
        columns: names of the columns.
        impute: put the train rows' median in place of missing values, and add a feature that says where, for columns
            with missing values in the train rows.
        scale: `standard` (mean 0, deviation 1, cut at a million deviations), `range` (0 to 1, values outside are cut) or
            `none`.
        infinite: `refuse` infinities, or take them as `missing`.
        words: how the choice is told.
    """

    def __init__(
        self,
        columns: Sequence[str],
        *,
        impute: bool = False,
        scale: Literal["standard", "range", "none"] = "none",
        infinite: Literal["refuse", "missing"] = "refuse",
        words: str = "number",
    ) -> None:
        super().__init__(columns)
        self.impute = impute
        self.scale = scale
        self.infinite = infinite
        self.words = words
        self.fill: Any = None
        self.flagged: list[int] = []
        self.unit: Any = None
        self.offset: Any = None
        self.factor: Any = None

    def fit(self, frame: pl.DataFrame) -> None:
        """Learn medians and scales; see whether float32 holds the values."""
        matrix = to_matrix(frame, self.columns, np.float64, self.infinite)
        missing = np.isnan(matrix)
        flags = missing.any(axis=0)
        treatment = ["missing kept"]
        if self.impute:
            self.fill = np.array([_median(column) for column in matrix.T])
            self.flagged = [int(index) for index in np.flatnonzero(flags)]
            matrix = np.where(missing, self.fill, matrix)
            treatment = ["median and indicator for missing"]
        if self.scale != "none":
            self.unit, self.offset, self.factor = _scale(matrix, self.scale)
            treatment.append({"standard": "standardised", "range": "scaled to 0..1"}[self.scale])
        with np.errstate(invalid="ignore"):
            self.exact = self.scale == "none" and bool((np.abs(matrix) > EXACT_IN_FLOAT32).any())
        for name, flag in zip(self.columns, flags, strict=True):
            self.name(name)
            kept = treatment if flag else [text for text in treatment if "missing" not in text]
            self.choices[name] = ", ".join([self.words, *kept])
        for index in self.flagged:
            self.name(self.columns[index], [" is missing"])

    def transform(self, frame: pl.DataFrame, dtype: Any) -> Matrix:
        """Return shape (rows, columns + indicators), NaN where a value is missing and not imputed."""
        return self._treated(to_matrix(frame, self.columns, dtype, self.infinite), dtype)

    def plain(self) -> Plain:
        """Return `transform` for plain values; numbers that a cast may treat in its own way are left to that."""
        names = self.columns

        def numbers(columns: Mapping[str, Sequence[Any]], rows: int, dtype: Any) -> Any:
            matrix = np.array([columns[name] for name in names], dtype=np.float64).T
            # Above 2**53 a whole number is rounded twice on its way to float32; far above, float32 has no room.
            if (np.abs(matrix) > (EXACT_IN_FLOAT64 if dtype == np.float32 else LARGEST)).any():
                return None
            return self._treated(matrix.astype(dtype, copy=False), dtype)

        return numbers

    def _treated(self, matrix: Any, dtype: Any) -> Any:
        if not self.impute and self.scale == "none":
            return matrix
        missing = np.isnan(matrix)
        if self.impute:
            matrix = np.where(missing, self.fill, matrix)
        if self.scale != "none":
            with np.errstate(over="ignore"):
                matrix = np.clip((matrix / self.unit - self.offset) * self.factor, -FARTHEST, FARTHEST)
        if self.scale == "range":
            matrix = np.clip(matrix, 0.0, 1.0)
        if self.flagged:
            matrix = np.hstack([matrix, missing[:, self.flagged]])
        return matrix.astype(dtype, copy=False)


def to_matrix(frame: pl.DataFrame, columns: Sequence[str], dtype: Any, infinite: str) -> Any:
    """Return columns as a matrix, null and NaN alike as NaN.

    A finite value beyond the range of float32 becomes the largest float32, never an infinity.

    Raises:
        DataError: a column holds infinities and `infinite` is `refuse`, or values that are no numbers.
    """
    kind = pl.Float64 if dtype == np.float64 else pl.Float32
    try:
        matrix = frame.select([pl.col(name).cast(kind) for name in columns]).to_numpy()
    except pl.exceptions.InvalidOperationError as error:
        raise _no_numbers(frame, columns, error) from error
    if np.isinf(matrix).any():
        matrix = np.array(matrix, order="F")
        for index, name in enumerate(columns):
            _mend(matrix[:, index], frame, name, infinite)
    return matrix


def _mend(column: Any, frame: pl.DataFrame, name: str, infinite: str) -> None:
    """Refuse or blank the infinities of one column, in place; cut what only float32 cannot hold."""
    truly = frame[name].cast(pl.Float64).is_infinite().fill_null(False).to_numpy()
    if truly.any() and infinite == "refuse":
        position = int(truly.argmax())
        row = int(frame[ROW][position]) if ROW in frame.columns else position
        raise DataError(
            f"Column {name!r} holds {int(truly.sum())} infinite value(s), the first in row {row}",
            value=frame[name][position],
            where=f"data.columns.{name}",
            hint="refuse them in the schema (validators.pandera), or take them as missing: featurizer.infinite=missing",
        )
    column[truly] = np.nan
    limit = np.finfo(column.dtype).max
    np.clip(column, -limit, limit, out=column)


def _no_numbers(frame: pl.DataFrame, columns: Sequence[str], error: Exception) -> DataError:
    for name in columns:
        values = frame[name]
        lost = values.filter(values.is_not_null() & values.cast(pl.Float64, strict=False).is_null())
        if len(lost):
            return DataError(
                f"Column {name!r} is used as a number and holds {len(lost)} value(s) that are none",
                value=lost[0],
                where=f"data.columns.{name}.kind",
                hint="correct the values, or set the kind to categorical or text",
            )
    return DataError(
        f"Columns cannot be read as numbers: {error}",
        value=list(columns),
        where="data.columns",
        hint="correct the values, or set the kind to categorical or text",
    )


def _median(column: Any) -> float:
    known = column[~np.isnan(column)]
    return float(np.median(known)) if len(known) else 0.0


def _scale(matrix: Any, scale: str) -> tuple[Any, Any, Any]:
    """Return unit, offset and factor of each column: a value becomes (value / unit - offset) * factor.

    The unit is the largest magnitude, so that squares of very large numbers do not overflow; a constant column becomes 0.
    """
    rows = [_scale_one(column[~np.isnan(column)], scale) for column in matrix.T]
    unit, offset, factor = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return unit, offset, factor


def _scale_one(known: Any, scale: str) -> tuple[float, float, float]:
    unit = float(np.abs(known).max(initial=0.0))
    if unit < np.finfo(np.float64).tiny:
        return 1.0, 0.0, 1.0
    values = known / unit
    low = values.mean() if scale == "standard" else values.min()
    spread = values.std() if scale == "standard" else values.max() - low
    # Rounding leaves a constant column a tiny deviation; dividing by it would blow noise up.
    return unit, float(low), 1.0 / float(spread) if spread > 1e-12 else 1.0
