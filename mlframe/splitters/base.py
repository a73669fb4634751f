"""What all splitters share: the checks before and after a cut, and shares drawn evenly over strata."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mlframe.contracts import Split, Splitter
from mlframe.errors import ConfigError, DataError
from mlframe.table import Table

__all__ = ["RuleSplitter", "check_share", "class_name", "even_folds", "even_share", "strata"]

Array = npt.NDArray[Any]


def check_share(name: str, value: float, *, zero: bool) -> float:
    """Return a share between 0 and 1.

    Raises:
        ConfigError: it is not.
    """
    if not (0 < value < 1 or (zero and value == 0)):
        raise ConfigError(
            f"splitter.{name} must be a share {'of 0 or more' if zero else 'above 0'} and below 1",
            value=value,
            where=f"splitter.{name}",
            hint="0.2 means a fifth of the rows",
        )
    return float(value)


class RuleSplitter(Splitter):
    """A splitter with one rule that takes the holdout, the folds and the rows for early stopping.

    Args:
        folds: number of folds.
        holdout: share of the rows that only the final evaluation reads; 0 for none.
        seed: seed of every random choice.
        repeats: how often the folds are cut, each time from another shuffle (repeated cross-validation): folds times
            repeats pairs, in which each development row is validated once a repeat.
    """

    least_folds = 2

    def __init__(self, folds: int = 5, holdout: float = 0.2, seed: int = 0, repeats: int = 1) -> None:
        if folds < self.least_folds:
            raise ConfigError(
                f"splitter.folds must be {self.least_folds} or more", value=folds, where="splitter.folds",
                hint="for a single train and validation part use splitter=holdout",
            )  # fmt: skip
        self.folds = folds
        self.holdout = check_share("holdout", holdout, zero=True)
        self.seed = seed
        if repeats < 1:
            raise ConfigError(
                "splitter.repeats must be 1 or more", value=repeats, where="splitter.repeats",
                hint="1 cuts the folds once; 3 cuts them three times, each time from another shuffle",
            )  # fmt: skip
        self.repeats = repeats

    @abstractmethod
    def part(self, table: Table, target: Array, task: str, rows: Array, share: float, salt: int) -> tuple[Array, Array]:
        """Cut `rows` in two by the rule: (rest, part of about `share`); gaps belong to neither."""

    @abstractmethod
    def pairs(self, table: Table, target: Array, task: str, rows: Array, repeat: int) -> Sequence[tuple[Array, Array]]:
        """Return the folds over `rows`, 0 <= repeat < repeats."""

    def check(self, table: Table, target: Array, task: str) -> None:
        """Refuse rows that this rule cannot cut; a subclass adds its own reasons.

        Raises:
            DataError: too few rows, or a class with a single row.
        """
        needed = self.folds + 1 + (1 if self.holdout else 0)
        if len(table) < needed:
            raise DataError(
                f"{len(table)} rows are too few for {self.folds} fold{'s' if self.folds > 1 else ''}"
                + (" and a holdout" if self.holdout else ""),
                where="splitter.folds",
                hint="give more rows, or fewer folds: splitter.folds=2 splitter.holdout=0",
            )
        if task != "regression":
            counts = np.bincount(target.astype(np.intp))
            for code in np.flatnonzero(counts == 1):
                raise DataError(
                    f"Class {class_name(table, target, int(code))!r} has a single row: "
                    "it cannot be both learned from and judged on",
                    where="splitter",
                    hint="give more rows of this class, merge it with another, or leave its row out",
                )

    def split(self, table: Table, target: Array, task: str) -> Split:
        """Return folds and holdout; all positions ascending.

        Raises:
            DataError: the rows cannot be cut so.
        """
        self.check(table, target, task)
        rows = np.arange(len(table), dtype=np.intp)
        held = rows[:0]
        if self.holdout:
            rows, held = self.part(table, target, task, rows, self.holdout, 0)
            if len(rows) == 0 or len(held) == 0:
                raise DataError(
                    f"A holdout of {self.holdout:g} leaves {len(rows)} rows to learn from and {len(held)} to judge on",
                    where="splitter.holdout",
                    hint="give more rows, another share, or a smaller gap",
                )
        folds = tuple(
            (_sorted(train), _sorted(valid))
            for repeat in range(self.repeats)
            for train, valid in self.pairs(table, target, task, rows, repeat)
        )
        for number, (train, valid) in enumerate(folds, 1):
            if len(train) == 0 or len(valid) == 0:
                raise DataError(
                    f"Fold {number} has {len(train)} train and {len(valid)} validation rows",
                    where="splitter.folds",
                    hint="give more rows, fewer folds, or a smaller gap",
                )
            if task != "regression" and len(np.unique(target[train])) < 2:
                name = class_name(table, target, int(target[train[0]]))
                raise DataError(
                    f"The train rows of fold {number} are all of class {name!r}: there is nothing to learn",
                    where="splitter",
                    hint="use fewer folds or another splitter; a rare class wants splitter=stratified",
                )
        return Split(folds, _sorted(held), _sorted(rows))

    def cut(self, table: Table, target: Array, task: str, rows: Array, share: float) -> tuple[Array, Array]:
        """Cut `rows` in two by the same rule: (train, stop).

        Raises:
            DataError: one of the two would be empty.
        """
        train, stop = self.part(table, target, task, rows, check_share("share", share, zero=False), 2)
        if len(train) == 0 or len(stop) == 0:
            raise DataError(
                f"{len(rows)} rows cannot be cut into train rows and rows for early stopping",
                where="fit.stop_share",
                hint="give more rows, or switch early stopping off: fit.early_stopping=none",
            )
        return _sorted(train), _sorted(stop)

    def random(self, salt: int, repeat: int = 0) -> np.random.Generator:
        """Return the generator for one purpose: 0 the holdout, 1 the folds, 2 early stopping."""
        return np.random.default_rng([self.seed, salt, repeat])


def class_name(table: Table, target: Array, code: int) -> str:
    """Return the text of the class that a code stands for."""
    name = table.one("target")
    if name is None:
        return str(code)
    return str(table.frame[name][int(np.flatnonzero(target == code)[0])])


def strata(target: Array, task: str, bins: int) -> Array:
    """Return one stratum a row: the class, or for regression one of `bins` equal parts of the ordered target."""
    if task != "regression":
        return target.astype(np.intp)
    ranks = np.empty(len(target), dtype=np.intp)
    ranks[np.argsort(target, kind="stable")] = np.arange(len(target))
    return (ranks * bins) // max(len(target), 1)


def even_share(labels: Array, share: float, random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Draw a share of the rows, in each stratum as in the whole, to within one row.

    Systematic sampling with a random start over rows in the order of their strata, random inside each
    (Cochran, Sampling Techniques, chapter 8).

    Args:
        labels: stratum of each row, shape (rows,).
        share: share to draw.
        random: generator.

    Returns:
        Mask of the drawn rows, shape (rows,); with two rows or more at least one is drawn and one is left.
    """
    order = _shuffled_by(labels, random)
    count = len(labels)
    drawn = min(max(round(count * share), 1), count - 1) if count > 1 else 0
    steps = np.floor((np.arange(count + 1) * drawn + random.integers(count)) / count) if count else np.zeros(1)
    mask = np.zeros(count, dtype=np.bool_)
    mask[order] = np.diff(steps) > 0
    return mask


def even_folds(labels: Array, folds: int, random: np.random.Generator) -> Array:
    """Deal rows out to folds so that each stratum is spread to within one row; returns the fold of each row."""
    order = _shuffled_by(labels, random)
    fold = np.empty(len(labels), dtype=np.intp)
    fold[order] = np.arange(len(labels)) % folds
    return fold


def _shuffled_by(labels: Array, random: np.random.Generator) -> Array:
    """Order rows by stratum, at random inside each."""
    return np.lexsort((random.permutation(len(labels)), labels))


def _sorted(rows: Array) -> Array:
    return np.sort(rows).astype(np.intp)
