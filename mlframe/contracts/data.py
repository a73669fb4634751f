"""Rows in: sources, validators, labelers, splitters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import polars as pl

    from mlframe.contracts.learning import Array
    from mlframe.table import Table


__all__ = ["Labeler", "Labels", "Source", "Split", "Splitter", "Validation", "Validator"]


class Source(ABC):
    """Where rows come from (hook `mlframe_sources`, config group `data/source`)."""

    @abstractmethod
    def read(self) -> Any:
        """Return the rows as any frame that narwhals understands: polars, pandas, pyarrow, DuckDB, lazy or not.

        Raises:
            DataError: the rows cannot be read; the text names file, line and what to do.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a short text that changes when the data changes, without reading all rows.

        Two equal texts make the runner use the rows it already has. File sizes and modification times will do.

        Raises:
            DataError: the data cannot be reached.
        """

    def sample(self, rows: int) -> Any:
        """Return about the first `rows` rows; override where that is cheaper than reading all."""
        from mlframe.table import to_polars

        return to_polars(self.read()).head(rows)


@dataclass(frozen=True)
class Validation:
    """What a validator found.

    Args:
        failures: one row a failure, columns row (UInt32: value of `mlframe.table.ROW`, null when a whole column or
            table fails), column (String), check (String), value (String: the offending value as text).
        policy: what the runner does with failing rows: `fail` stops the run, `drop` leaves them out, `quarantine`
            leaves them out and keeps them in a Parquet file with the reasons. A failure without a row always stops.
    """

    failures: pl.DataFrame
    policy: Literal["fail", "drop", "quarantine"] = "fail"


class Validator(ABC):
    """Checks rows before anything learns from them (hook `mlframe_validators`, group `validators`)."""

    @abstractmethod
    def validate(self, table: Table, *, labelled: bool) -> Validation:
        """Return every failure in the table, not the first.

        Args:
            table: the rows; never changed.
            labelled: False at prediction time, when columns of the roles target and weight may be absent.
        """

    def rules(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what is asked of single values in plain words, so that a server can ask it without this validator.

        Returns:
            Column to rules, all optional: `nullable` (False refuses missing values), `min`, `max`, `above`, `below`
            (bounds; ISO 8601 texts for times), `allowed`, `forbidden` (lists), `pattern` (a regular expression of Rust's
            regex library that the text begins with), `min_length`, `max_length` (characters). Only what holds for every
            row by itself can be said so; none, when there is no such rule.
        """
        return {}


@dataclass(frozen=True)
class Labels:
    """What is to be learned, row by row.

    Args:
        frame: columns row_id (UInt32), target (any type, null = unknown), label_source (String: `column`, `manual`,
            or how else the label was made), weight (Float64, not negative).
    """

    frame: pl.DataFrame


class Labeler(ABC):
    """Gives each row its target, where the target comes from, and its weight (hook `mlframe_labelers`)."""

    @abstractmethod
    def label(self, table: Table) -> Labels:
        """Return one row a row of the table, in the table's order.

        Raises:
            DataError: the target is absent or unusable.
        """


@dataclass(frozen=True)
class Split:
    """Positions in the labelled table, never copies of rows.

    Args:
        folds: K pairs (train, valid) of positions, shape (n,), intp; a row may be in no fold (a gap).
        holdout: positions that only `evaluate` may read; may be empty.
        development: positions that may be learned from once the folds have chosen: all but the holdout and its gap.
    """

    folds: tuple[tuple[Array, Array], ...]
    holdout: Array
    development: Array


class Splitter(ABC):
    """Cuts rows into folds and a holdout (hook `mlframe_splitters`, group `splitter`); equal seeds give equal cuts.

    One that knows how many folds it cuts at a time says so in an attribute `folds`: what needs two is then refused before any
    row is read.
    """

    @abstractmethod
    def split(self, table: Table, target: Array, task: str) -> Split:
        """Return folds and holdout.

        Args:
            table: the rows that have a label.
            target: codes 0..K-1 (intp) or values (float64), shape (rows,).
            task: one of `TASKS`.

        Raises:
            DataError: the rows cannot be cut so (a class with fewer rows than folds, no time column, …).
        """

    @abstractmethod
    def cut(self, table: Table, target: Array, task: str, rows: Array, share: float) -> tuple[Array, Array]:
        """Cut `rows` in two by this splitter's own rule: (train, stop), for early stopping.

        Args:
            table: the rows that have a label.
            target: as in `split`.
            task: one of `TASKS`.
            rows: positions to cut: the train rows of one fold.
            share: share of `rows` that goes to the second part, 0 < share < 1.
        """
