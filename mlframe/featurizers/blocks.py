"""A block turns some columns of one kind into features; a featurizer is blocks side by side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import polars as pl
import scipy.sparse as sp

from mlframe.contracts import Features, Featurizer, Wants
from mlframe.errors import ConfigError, DataError

if TYPE_CHECKING:
    from mlframe.contracts import Array, Matrix
    from mlframe.table import Column, Table

__all__ = ["Block", "Blocks", "Entries", "Plain", "at_least", "keeps_missing", "named"]


class Entries(NamedTuple):
    """Rows of which most values are zero: what is not, as in a CSR matrix, without the cost of one.

    Args:
        data: values, row after row.
        indices: their features, int32.
        indptr: where each row begins, and the end.
    """

    data: Array
    indices: Array
    indptr: Array


Plain: TypeAlias = Callable[[Mapping[str, Sequence[Any]], int, Any], Any]
"""A block's `transform` for plain values: columns, number of rows, np.float32 or np.float64; gives a dense matrix or
`Entries`, or None for values that only `transform` knows."""

SAMPLE = 1000
"""So many rows tell how many cells are not zero."""


class Block(ABC):
    """Some columns of one kind, and what they become.

    After `fit`, `names` and `origins` have one entry a feature, `choices` one a column. The state is plain: strings,
    numbers, lists, dictionaries, numpy arrays.

    Args:
        columns: names of the columns.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = list(columns)
        self.names: list[str] = []
        self.origins: list[str] = []
        self.choices: dict[str, str] = {}
        self.categorical = False
        """Whether the features are codes of categories."""
        self.exact = True
        """Whether the features need float64; else float32 holds them."""
        self.zeros = 0
        """How many of the features are zero in most rows."""

    @abstractmethod
    def fit(self, frame: pl.DataFrame) -> None:
        """Learn from the train rows of one fold."""

    @abstractmethod
    def transform(self, frame: pl.DataFrame, dtype: Any) -> Matrix:
        """Return one column a feature; numpy or CSR.

        Args:
            frame: rows.
            dtype: np.float32 or np.float64.
        """

    def plain(self) -> Plain | None:
        """Return `transform` for columns of plain values, made ready for many small calls; None when there is none."""
        return None

    def name(self, column: str, suffixes: Iterable[str] | None = None) -> None:
        """Append the features of one column: itself, or one for each suffix."""
        new = [column] if suffixes is None else [f"{column}{suffix}" for suffix in suffixes]
        self.names += new
        self.origins += [column] * len(new)


class Blocks(Featurizer):
    """A featurizer made of blocks: a subclass says which.

    The matrix is float32 when that holds every value (trees cut numbers, they do not add them), else float64. It is
    CSR when the estimator takes that, most features are zero in most rows, and so few cells are not zero that the
    estimator is quicker with it (`Wants.filled`). Features come in the order of the blocks, never of the matrix's format.

    After `fit`, `choices` says for each column what became of it.
    """

    single = False
    """Whether float32 may be used."""

    def __init__(self) -> None:
        self.choices: dict[str, str] = {}
        self.names: list[str] = []
        self.origins: list[str] = []
        self.categorical: list[int] = []
        self.sparse = False
        self.exact = True
        self.blocks: list[Any] = []
        self._plain: list[Plain | None] | None = None

    @abstractmethod
    def arrange(self, kinds: dict[str, list[str]], wants: Wants) -> list[Block]:
        """Return unfitted blocks.

        Args:
            kinds: kind of column to names of columns; kinds without columns are absent.
            wants: what the estimator can take.
        """

    def fit(self, table: Table, target: Array, wants: Wants) -> None:
        """Fit every block on the rows of one fold.

        Raises:
            DataError: a column's values do not fit its kind, or no feature is left.
        """
        blocks = self.arrange(_by_kind(table.features), wants)
        for block in blocks:
            block.fit(table.frame)
        self.blocks = [block for block in blocks if block.names]
        self._plain = None
        self.choices = {name: text for block in blocks for name, text in block.choices.items()}
        self._name()
        if not self.names:
            raise DataError(
                "The featurizer made no feature of the columns",
                value=self.choices or "no column has the role 'feature' and a kind that the featurizer takes",
                where="featurizer, data.columns",
                hint="give at least one column with values the role 'feature'; 'featurizer=auto' takes every kind",
            )
        widths = [len(block.names) for block in self.blocks]
        starts = np.cumsum([0, *widths])
        self.categorical = [
            int(index)
            for block, start, width in zip(self.blocks, starts, widths, strict=False)
            if block.categorical
            for index in range(start, start + width)
        ]
        self.exact = not self.single or any(block.exact for block in self.blocks)
        self.sparse = wants.sparse and 2 * sum(block.zeros for block in self.blocks) > sum(widths)
        if self.sparse and wants.filled < Wants.filled:
            matrix: Any = self.transform(table.frame.head(SAMPLE)).matrix
            self.sparse = matrix.count_nonzero() <= wants.filled * matrix.shape[0] * matrix.shape[1]

    def transform(self, frame: pl.DataFrame) -> Features:
        """Turn rows into numbers.

        Raises:
            DataError: a column holds an infinity (unless `infinite=missing`) or values of another kind.
        """
        dtype: Any = np.float64 if self.exact else np.float32
        parts = [block.transform(frame, dtype) for block in self.blocks]
        matrix: Matrix
        if self.sparse:
            matrix = sp.hstack([_explicit(part) for part in parts], format="csr", dtype=dtype)
        else:
            dense = [part.toarray() if sp.issparse(part) else part for part in parts]
            matrix = dense[0] if len(dense) == 1 else np.hstack(dense)
        return Features(matrix, tuple(self.names), tuple(self.origins), tuple(self.categorical))

    def plain(self, columns: Mapping[str, Sequence[Any]], rows: int) -> Matrix | None:
        """Turn plain values into the matrix that `transform` gives; None for rows that only it knows."""
        if self._plain is None:
            self._plain = [block.plain() for block in self.blocks]
        dtype: Any = np.float64 if self.exact else np.float32
        parts = []
        for made in self._plain:
            part = None if made is None else made(columns, rows, dtype)
            if part is None:
                return None
            parts.append(part)
        widths = [len(block.names) for block in self.blocks]
        return _joined(parts, widths, rows, dtype) if self.sparse else _side_by_side(parts, widths, rows, dtype)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what follows from the blocks: thousands of names would make saving slow."""
        return {name: value for name, value in self.__dict__.items() if name not in ("names", "origins", "_plain")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what `__getstate__` gave."""
        self.__dict__.update(state, _plain=None)
        self._name()

    def _name(self) -> None:
        self.names = _unique([name for block in self.blocks for name in block.names])
        self.origins = [origin for block in self.blocks for origin in block.origins]


def _explicit(part: Any) -> Any:
    """Return CSR that stores the zeros of a dense part: some libraries read an entry that is not stored as missing."""
    return part if sp.issparse(part) else sp.csr_matrix(tuple(_all_entries(part)), shape=part.shape)


def _side_by_side(parts: Sequence[Any], widths: Sequence[int], rows: int, dtype: Any) -> Any:
    matrix = np.zeros((rows, sum(widths)), dtype=dtype)
    start = 0
    for part, width in zip(parts, widths, strict=True):
        if isinstance(part, Entries):
            matrix[np.repeat(np.arange(rows), np.diff(part.indptr)), part.indices + start] = part.data
        else:
            matrix[:, start : start + width] = part
        start += width
    return matrix


def _joined(parts: Sequence[Any], widths: Sequence[int], rows: int, dtype: Any) -> Any:
    """Return the CSR matrix of parts beside each other, as scipy's hstack gives it after `_explicit`."""
    starts = np.cumsum([0, *widths])
    entries = [part if isinstance(part, Entries) else _all_entries(part) for part in parts]
    indptr: Any = sum(part.indptr for part in entries)
    data, indices = np.empty(indptr[-1], dtype=dtype), np.empty(indptr[-1], dtype=np.int32)
    place = indptr[:-1].copy()
    for part, start in zip(entries, starts, strict=False):
        counts = np.diff(part.indptr)
        at = np.arange(len(part.data)) + np.repeat(place - part.indptr[:-1], counts)
        data[at], indices[at] = part.data, part.indices + start
        place += counts
    return sp.csr_matrix((data, indices, indptr), shape=(rows, int(starts[-1])))


def _all_entries(part: Any) -> Entries:
    rows, width = part.shape
    indices = np.tile(np.arange(width, dtype=np.int32), rows)
    return Entries(np.ascontiguousarray(part).ravel(), indices, np.arange(rows + 1, dtype=np.int32) * width)


def named(kinds: dict[str, list[str]], *wanted: str) -> list[str]:
    """Return the names of the columns of some kinds."""
    return [name for kind in wanted for name in kinds.get(kind, [])]


def keeps_missing(kinds: dict[str, list[str]], wants: Wants) -> bool:
    """Whether missing values can stay.

    scikit-learn's trees take missing values and take sparse matrices, but not both at once; libraries that also know
    categories do. So the former get imputed numbers when texts or one-hot categories may make the matrix sparse.
    """
    maybe_sparse = wants.sparse and ("text" in kinds or "categorical" in kinds)
    return wants.missing and (wants.categories or not maybe_sparse)


def at_least(featurizer: str, low: float, **values: float | None) -> None:
    """Refuse parameters below a bound.

    Raises:
        ConfigError: names the parameter.
    """
    for name, value in values.items():
        if value is not None and value < low:
            raise ConfigError(
                f"featurizer={featurizer}: {name} must be at least {low:g}",
                value=value,
                where=f"featurizer.{name}",
                hint=f"set featurizer.{name}={low:g} or more",
            )


def _by_kind(columns: Sequence[Column]) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    for column in columns:
        kinds.setdefault(column.kind, []).append(column.name)
    return kinds


def _unique(names: list[str]) -> list[str]:
    """Number the repeats: columns `a` with value `b=c` and `a=b` with value `c` would both give `a=b=c`."""
    taken: set[str] = set()
    result = []
    for name in names:
        new, count = name, 1
        while new in taken:
            count += 1
            new = f"{name} ({count})"
        taken.add(new)
        result.append(new)
    return result
