"""A block turns some columns of one kind into features; a featurizer is blocks side by side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from mlframe.contracts import Features, Featurizer, Wants
from mlframe.errors import ConfigError, DataError

if TYPE_CHECKING:
    from mlframe.contracts import Array, Matrix
    from mlframe.table import Column, Table

__all__ = ["Block", "Blocks", "at_least", "keeps_missing", "named"]


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

    def name(self, column: str, suffixes: Iterable[str] | None = None) -> None:
        """Append the features of one column: itself, or one for each suffix."""
        new = [column] if suffixes is None else [f"{column}{suffix}" for suffix in suffixes]
        self.names += new
        self.origins += [column] * len(new)


class Blocks(Featurizer):
    """A featurizer made of blocks: a subclass says which.

    The matrix is float32 when that holds every value (trees cut numbers, they do not add them), else float64. It is
    CSR when the estimator takes that and most features are zero in most rows. Features come in the order of the
    blocks, never of the matrix's format.

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
        self.sparse = wants.sparse and 2 * sum(block.zeros for block in self.blocks) > sum(widths)
        self.exact = not self.single or any(block.exact for block in self.blocks)

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

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what follows from the blocks: thousands of names would make saving slow."""
        return {name: value for name, value in self.__dict__.items() if name not in ("names", "origins")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what `__getstate__` gave."""
        self.__dict__.update(state)
        self._name()

    def _name(self) -> None:
        self.names = _unique([name for block in self.blocks for name in block.names])
        self.origins = [origin for block in self.blocks for origin in block.origins]


def _explicit(part: Any) -> Any:
    """Return CSR that stores the zeros of a dense part: some libraries read an entry that is not stored as missing."""
    if sp.issparse(part):
        return part
    rows, width = part.shape
    indices = np.tile(np.arange(width, dtype=np.int32), rows)
    return sp.csr_matrix((np.ascontiguousarray(part).ravel(), indices, np.arange(rows + 1) * width), shape=part.shape)


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
