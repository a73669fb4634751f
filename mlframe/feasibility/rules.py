"""What a person would try before any model: say the last answer again, or ask one question."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mlframe.stats.associations import quantile_bins
from mlframe.table import Table

__all__ = ["Question", "alike_in_time", "ask_one_question", "no_change", "repeat_last"]

Array = npt.NDArray[Any]

CUTS = 32
"""Places at which a number may be cut in two."""
LEVELS = 200
"""Values of a word column that may be asked for, the most frequent ones."""


def no_change(times: Array, target: Array) -> Array:
    """Return for each row the target of the row before it in time, NaN for the first: the no-change forecast.

    Args:
        times: shape (rows,), sortable; of equal times the earlier row comes first.
        target: codes or values, shape (rows,).

    Returns:
        Float, shape (rows,).

    Source: A. Bifet and others (2013), Pitfalls in benchmarking data stream classification.
    """
    order = np.argsort(times, kind="stable")
    said = np.full(len(target), np.nan)
    said[order[1:]] = target[order[:-1]]
    return said


def alike_in_time(times: Array, target: Array, task: str) -> float:
    """Return how much better than chance the row before tells the target: 0 is chance, 1 is always.

    Classes: Cohen's kappa of neighbours. Numbers: correlation of the ranks of neighbours, at least 0.
    """
    said = no_change(times, target)
    known = np.isfinite(said)
    if known.sum() < 2:
        return 0.0
    truth, said = target[known], said[known]
    if task == "regression":
        a, b = (np.argsort(np.argsort(part)).astype(np.float64) for part in (truth, said))
        spread = float(a.std() * b.std())
        return max(0.0, float(((a - a.mean()) * (b - b.mean())).mean()) / spread) if spread > 0 else 0.0
    shares = np.bincount(target.astype(np.intp)) / len(target)
    chance = float((shares**2).sum())
    return max(0.0, (float((truth == said).mean()) - chance) / (1 - chance)) if chance < 1 else 0.0


def repeat_last(times: Array, target: Array, train: Array, valid: Array, classes: int) -> Array:
    """Forecast each row of `valid` from the target of the row before it in time, whatever part that row is in.

    Args:
        times: shape (rows,).
        target: codes or values, shape (rows,).
        train: positions learned from: how often a class follows a class is counted there.
        valid: positions forecast.
        classes: number of classes, 0 for a number.

    Returns:
        Probabilities (len(valid), classes), or values (len(valid),).
    """
    said = no_change(times, target)
    if not classes:
        return np.where(np.isnan(said[valid]), target[train].mean(), said[valid])
    usual = np.bincount(target[train].astype(np.intp), minlength=classes) / len(train)
    known = train[np.isfinite(said[train])]
    cells = said[known].astype(np.intp) * classes + target[known].astype(np.intp)
    follows = np.bincount(cells, minlength=classes**2).reshape(classes, classes) + usual  # one row of the usual kind
    follows = np.vstack([follows / follows.sum(axis=1, keepdims=True), usual])
    before = np.where(np.isnan(said[valid]), classes, said[valid]).astype(np.intp)
    forecast: Array = follows[before]
    return forecast


@dataclass(frozen=True)
class Question:
    """One question about one column, and the answer on either side (a one-level decision tree).

    Args:
        column: the column.
        text: the question in words.
        test: a polars expression that is true, false or null in a row; null counts as false.
        yes: shares of the classes, or the mean, where it is true.
        no: the same elsewhere.
        gain: how much of the squared error it takes away.
    """

    column: str
    text: str
    test: pl.Expr
    yes: Array
    no: Array
    gain: float

    def say(self, frame: pl.DataFrame) -> Array:
        """Return probabilities (rows, classes), or values (rows,)."""
        true = frame.select(self.test.fill_null(False)).to_series().to_numpy()
        said: Array = np.where(true[:, None], self.yes, self.no)
        return said if said.shape[1] > 1 else said[:, 0]


def ask_one_question(table: Table, target: Array, classes: int) -> Question | None:
    """Return the question about one column that takes away the most squared error; None without a usable column.

    Args:
        table: rows to learn from.
        target: codes or values of the same rows.
        classes: number of classes, 0 for a number.

    Source: R. Holte (1993), Very simple classification rules perform well on most commonly used datasets.
    """
    truth = np.eye(classes)[target.astype(np.intp)] if classes else target[:, None].astype(np.float64)
    found = [
        question for column in table.features for question in _questions(table.frame[column.name], column.kind, truth)
    ]
    return max(found, key=lambda question: question.gain, default=None)


def _questions(series: pl.Series, kind: str, truth: Array) -> Iterator[Question]:
    """Give the best question about a column, if it can be asked anything."""
    name = series.name
    if kind == "text" or series.dtype.is_nested():
        return
    if (series.dtype.is_numeric() and kind != "categorical") or series.dtype.is_temporal():
        numbers = series.to_physical().cast(pl.Float64)
        values = numbers.fill_null(np.nan).to_numpy()
        codes = quantile_bins(values, CUTS)
        known = np.isfinite(values)
        size = int(codes.max(initial=0)) + 1
        count, total = _sums(codes, truth, size)
        best = _best(np.cumsum(count), np.cumsum(total, axis=0), len(truth), truth.sum(axis=0))
        inside = known & (codes <= best[0])
        if best[1] <= 0 or not inside.any():
            return
        edge = float(values[inside].max())
        test = pl.col(name).to_physical().cast(pl.Float64) <= edge
        said = str(series.filter(pl.Series(inside)).max()) if series.dtype.is_temporal() else f"{edge:.4g}"
        yield _question(name, f"{name} at most {said}", test, inside, truth, best[1])
        return
    words = series.cast(pl.String)
    common = words.drop_nulls().alias("value").value_counts(sort=True).head(LEVELS)["value"].to_list()
    if not common:
        return
    places = {word: at for at, word in enumerate(common)}
    codes = words.replace_strict(places, default=len(common), return_dtype=pl.Int64).to_numpy()
    count, total = _sums(codes, truth, len(common) + 1)
    best = _best(count[:-1], total[:-1], len(truth), truth.sum(axis=0))
    if best[1] > 0:
        word = common[best[0]]
        test = pl.col(name).cast(pl.String) == word
        yield _question(name, f"{name} is {word!r}", test, codes == best[0], truth, best[1])


def _sums(codes: Array, truth: Array, size: int) -> tuple[Array, Array]:
    total = np.stack([np.bincount(codes, part, size) for part in truth.T], axis=1)
    return np.bincount(codes, minlength=size).astype(np.float64), total


def _best(count: Array, total: Array, rows: int, whole: Array) -> tuple[int, float]:
    """Return the side whose split from the rest takes away the most squared error, and how much."""
    rest = rows - count
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = (total**2).sum(axis=1) / count + ((whole - total) ** 2).sum(axis=1) / rest - (whole**2).sum() / rows
    gain = np.where((count > 0) & (rest > 0), gain, 0.0)
    at = int(np.argmax(gain))
    return at, float(gain[at])


def _question(name: str, text: str, test: pl.Expr, yes: Array, truth: Array, gain: float) -> Question:
    usual = truth.mean(axis=0)  # one row of the usual kind keeps shares off 0 and 1
    sides = [(truth[side].sum(axis=0) + usual) / (int(side.sum()) + 1) for side in (yes, ~yes)]
    return Question(name, text, test, sides[0], sides[1], gain)
