"""Takes the target from a column."""

from __future__ import annotations

from typing import Literal

import polars as pl

from mlframe.contracts import Labeler, Labels
from mlframe.errors import DataError
from mlframe.table import ROW, Table

__all__ = ["ColumnLabeler"]


class ColumnLabeler(Labeler):
    """Takes the target from the column with the role target, the weight from the column with the role weight.

    Args:
        missing: what to do with rows without a target (null or NaN): `fail`, or `drop`, which gives them the target
            null, so that nothing learns from them or is judged on them.
    """

    def __init__(self, missing: Literal["fail", "drop"] = "fail") -> None:
        self.missing = missing

    def label(self, table: Table) -> Labels:
        """Return target, source and weight of each row; the weight is 1 without a weight column.

        Raises:
            DataError: no target column, a target that is all null, has nulls, is infinite or constant; a weight that is
                missing, negative or infinite.
        """
        name = table.one("target")
        if name is None:
            raise DataError(
                "No column has the role 'target'",
                where="data.columns",
                hint="name the column to predict: 'data.columns.NAME.role=target'; "
                f"the columns are: {', '.join(column.name for column in table.columns)}",
            )
        rows = table.frame[ROW]
        target = self._target(table.frame[name], rows)
        return Labels(
            pl.DataFrame(
                {
                    "row_id": rows.cast(pl.UInt32),
                    "target": target,
                    "label_source": pl.Series(["column"], dtype=pl.String).new_from_index(0, len(rows)),
                    "weight": _weight(table, rows),
                }
            )
        )

    def _target(self, target: pl.Series, rows: pl.Series) -> pl.Series:
        name, where = target.name, f"data.columns.{target.name}"
        if target.dtype.is_float():
            target = target.fill_nan(None)
            infinite = target.is_infinite().fill_null(False)
            if infinite.any():
                raise DataError(
                    f"The target {name!r} is infinite in {_places(rows, infinite)}",
                    where=where,
                    hint="correct these values, or refuse them with 'finite: true' in data.schema",
                )
        missing = target.is_null()
        count = int(missing.sum())
        if count == len(target):
            raise DataError(
                f"The target {name!r} has no value in any row" if count else "There are no rows to label",
                where=where,
                hint="check the column, and data.source.null_tokens and types",
            )
        if count and self.missing == "fail":
            raise DataError(
                f"The target {name!r} is missing in {_places(rows, missing)}",
                where=where,
                hint="give these rows a target, or leave them out with labeler.missing=drop",
            )
        known = target.drop_nulls()
        if known.n_unique() == 1:
            raise DataError(
                f"The target {name!r} is the same in all rows: there is nothing to learn",
                value=known[0],
                where=where,
                hint="check the column and the rows that data.source reads",
            )
        return target


def _weight(table: Table, rows: pl.Series) -> pl.Series:
    name = table.one("weight")
    if name is None:
        return pl.Series([1.0]).new_from_index(0, len(rows))
    weight, where = table.frame[name], f"data.columns.{name}"
    if not weight.dtype.is_numeric():
        raise DataError(
            f"The weight {name!r} is not a number but {weight.dtype}",
            where=where,
            hint="declare its type in data.source",
        )
    weight = weight.cast(pl.Float64)
    bad = ~(weight.is_finite() & (weight >= 0)).fill_null(False)
    if bad.any():
        raise DataError(
            f"The weight {name!r} is negative, missing or infinite in {_places(rows, bad)}",
            value=weight.filter(bad)[0],
            where=where,
            hint="a weight is a finite number of 0 or more",
        )
    if weight.sum() == 0:
        raise DataError(f"The weight {name!r} is 0 in all rows", where=where, hint="give at least one row a weight")
    return weight


def _places(rows: pl.Series, mask: pl.Series) -> str:
    found = rows.filter(mask)
    shown = ", ".join(str(row) for row in found.head(5))
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return f"{len(found)} row{'s' if len(found) != 1 else ''}: {shown}{more}"
