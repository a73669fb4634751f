"""Rows, columns, target and what is suspicious, from polars expressions over all columns at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mlframe import stats
from mlframe.charts.svg import number
from mlframe.contracts import Chart, Exploration, Explorer, Finding
from mlframe.errors import ParameterError
from mlframe.explorers import pictures
from mlframe.table import ROW, Column, Table

__all__ = ["ProfileExplorer"]

Array = npt.NDArray[Any]

BINS = 20
IDENTIFIER = 0.95  # share of distinct values from which a categorical column looks like an identifier
DATE = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d\S*)?$")
RARE = 0.01  # share of rows below which a class is reported


@dataclass(frozen=True)
class _Counts:
    """What is known of one column from all rows."""

    missing: int
    distinct: int
    example: str | None
    infinite: int


class ProfileExplorer(Explorer):
    """Profile the development rows.

    Counts (missing, distinct, duplicated rows) come from all rows; pictures and associations from at most `rows` rows
    drawn at random. Associations are Cramér's V of the column in up to 20 bins (words for text columns) with the target
    in classes or tenths, corrected for its bias: one scale for every kind, 0 for independent, 1 for determined.

    Args:
        rows: at most so many rows for pictures and associations.
        columns: feature columns that get a picture.
        missing: share of missing values from which a column is reported.
        leak: association from which a column is reported as a likely leak.
        seed: seed of the drawn rows.

    Raises:
        ParameterError: `rows` is below 1, or `missing` or `leak` is not between 0 and 1.
    """

    def __init__(
        self, rows: int = 50_000, columns: int = 6, missing: float = 0.5, leak: float = 0.97, seed: int = 0
    ) -> None:
        if rows < 1:
            raise ParameterError(
                "profile: rows must be 1 or more",
                value=rows,
                where="explorer.rows",
                hint="it looks at so many rows; 50000 is the default",
            )
        for name, value in (("missing", missing), ("leak", leak)):
            if not 0 <= value <= 1:
                raise ParameterError(
                    f"profile: {name} must lie between 0 and 1",
                    value=value,
                    where=f"explorer.{name}",
                    hint="it is a share: 0.5 means half",
                )
        self.rows = rows
        self.columns = columns
        self.missing = missing
        self.leak = leak
        self.seed = seed

    def explore(self, table: Table, target: pl.Series, task: str) -> Exploration:
        """Return findings, pictures and a table of columns."""
        if len(table) == 0:
            return Exploration([Finding("problem", "There are no development rows.")])
        counts = _count(table)
        sample, truth = table, target
        if len(table) > self.rows:
            kept = np.sort(np.random.default_rng(self.seed).choice(len(table), self.rows, replace=False))
            sample, truth = table.take(kept), target[kept]
        codes = _codes(truth, task)
        strength = {
            column.name: stats.cramers_v(pictures.binned(sample.frame[column.name], column.kind, BINS), codes)
            for column in table.features
        }
        ranked = sorted(strength, key=lambda name: (-strength[name], name))
        findings = [
            *self._rows(table),
            *_target(target, task),
            *(item for column in table.features for item in self._column(column, counts[column.name], len(table))),
            *self._leaks(ranked, strength),
        ]
        return Exploration(
            sorted(findings, key=lambda item: ("problem", "warning", "info").index(item.severity)),
            self._charts(table, sample, truth, target, task, counts, ranked, strength),
            {"columns": _columns(table, counts, strength)},
        )

    def _rows(self, table: Table) -> list[Finding]:
        names = [column.name for column in table.columns if column.role in ("feature", "target")]
        found = [Finding("info", f"{len(table):,} development rows with {len(table.features)} feature columns.")]
        if not names:
            return found
        doubles = len(table) - table.frame.select(names).hash_rows().n_unique()
        if doubles:
            share = doubles / len(table)
            text = f"{doubles:,} rows ({share:.1%}) repeat another row in every feature and the target; copies on both "
            text += "sides of a split make a model look better than it is."
            found.append(Finding("warning" if share > 0.01 else "info", text))
        return found

    def _column(self, column: Column, counts: _Counts, rows: int) -> list[Finding]:
        name, known = column.name, rows - counts.missing
        found = []
        if known == 0:
            return [Finding("problem", f"{name} has no value in any row.", name)]
        if counts.distinct <= 1 and counts.missing == 0:
            found.append(Finding("warning", f"{name} is constant: every row has {counts.example!r}.", name))
        if counts.missing / rows >= self.missing:
            found.append(Finding("warning", f"{name} is missing in {counts.missing / rows:.1%} of the rows.", name))
        if counts.infinite:
            found.append(Finding("problem", f"{name} is infinite in {counts.infinite:,} rows.", name))
        integer = column.kind == "numeric" and column.dtype.startswith(("Int", "UInt"))
        least = known if integer else IDENTIFIER * known
        if column.kind == "categorical" and DATE.match(counts.example or ""):
            text = f"{name} holds times as text, such as {counts.example}. data.source.types.{name}=datetime (or date) makes "
            found.append(Finding("warning", text + "parts of the year, week and day of them.", name))
        elif known >= 50 and counts.distinct >= least and (column.kind == "categorical" or integer):
            text = f"{name} looks like an identifier: {counts.distinct:,} distinct values in {known:,} rows."
            found.append(Finding("warning", text + " Set its role to id unless it carries meaning.", name))
        return found

    def _leaks(self, ranked: list[str], strength: dict[str, float]) -> list[Finding]:
        return [
            Finding(
                "problem",
                f"{name} nearly determines the target (association {strength[name]:.2f} of 1). Is it known when a "
                "prediction is made?",
                name,
            )
            for name in ranked
            if strength[name] >= self.leak
        ]

    def _charts(
        self,
        table: Table,
        sample: Table,
        truth: pl.Series,
        target: pl.Series,
        task: str,
        counts: dict[str, _Counts],
        ranked: list[str],
        strength: dict[str, float],
    ) -> list[Chart]:
        charts = [pictures.target(target, task)]
        time = table.names("time")
        if time and table.frame.schema[time[0]].is_temporal():
            charts += pictures.over_time(table.frame[time[0]], target, task)
        shares = {c.name: counts[c.name].missing / len(table) for c in table.features if counts[c.name].missing}
        charts += pictures.missing(shares)
        charts += pictures.associations([(name, strength[name]) for name in ranked[:15] if strength[name] > 0])
        kinds = {column.name: column.kind for column in table.features}
        for name in ranked[: self.columns]:
            charts += pictures.distribution(sample.frame[name], kinds[name], truth, task)
        return charts


def _count(table: Table) -> dict[str, _Counts]:
    """Count over all rows, every column in one pass; distinct floats above 100,000 rows are estimated (HyperLogLog)."""
    exact = len(table) <= 100_000
    expressions = []
    for name, dtype in table.frame.schema.items():
        if name == ROW:
            continue
        column = pl.col(name)
        example = (
            pl.lit(None, pl.String) if dtype.is_nested() else column.drop_nulls().first().cast(pl.String, strict=False)
        )
        distinct = column.n_unique() if exact or not dtype.is_float() else column.approx_n_unique()
        empty = column.is_null() | column.is_nan() if dtype.is_float() else column.is_null()
        infinite = column.is_infinite().sum() if dtype.is_float() else pl.lit(0)
        expressions.append(
            pl.struct(
                missing=empty.sum(),
                distinct=distinct - column.has_nulls().cast(pl.UInt32),
                example=example,
                infinite=infinite,
            ).alias(name)
        )
    row = table.frame.lazy().select(expressions).collect().row(0, named=True)
    # An estimate may pass the number of rows.
    return {name: _Counts(**{**part, "distinct": min(part["distinct"], len(table))}) for name, part in row.items()}


def _codes(target: pl.Series, task: str) -> Array:
    if task == "regression":
        return stats.quantile_bins(target.cast(pl.Float64).to_numpy(), 10)
    return target.cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.intp) - 1


def _target(target: pl.Series, task: str) -> list[Finding]:
    if task == "regression":
        low, middle, high = (target.cast(pl.Float64).quantile(q) or 0.0 for q in (0.05, 0.5, 0.95))
        ends = f"nine rows of ten lie between {number(low)} and {number(high)}"
        text = f"The target's median is {number(middle)}; {ends}."
        return [Finding("info", text)]
    shares = target.cast(pl.String).alias("value").value_counts(sort=True, normalize=True)
    found = [Finding("info", "Target: " + _classes(shares.rows()) + ".")]
    rare = [(name, share) for name, share in shares.iter_rows() if share < RARE]
    if rare:
        found.append(Finding("warning", f"Rare classes, below {RARE:.0%} of the rows: {_classes(rare)}."))
    return found


def _classes(rows: Sequence[tuple[Any, ...]]) -> str:
    text = ", ".join(f"{name} {share:.1%}" for name, share in rows[:8])
    return f"{text} and {len(rows) - 8} more" if len(rows) > 8 else text


def _columns(table: Table, counts: dict[str, _Counts], strength: dict[str, float]) -> pl.DataFrame:
    records = []
    for column in table.columns:
        found = counts[column.name]
        records.append(
            {
                "column": column.name,
                "role": column.role,
                "kind": column.kind,
                "missing": found.missing / len(table),
                "distinct": found.distinct,
                "association": strength.get(column.name),
                "example": found.example[:40] if found.example is not None and "pii" not in column.tags else None,
            }
        )
    return pl.DataFrame(records, schema_overrides={"association": pl.Float64, "example": pl.String})
