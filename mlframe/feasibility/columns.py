"""Leaks inside the rows: columns that know the answer. Each column is asked alone, on rows that it was not fitted on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mlframe.feasibility.leak import Leak
from mlframe.stats.associations import quantile_bins
from mlframe.table import ROW, Column, Table

__all__ = ["column_leaks", "power"]

Array = npt.NDArray[Any]

MOST_ROWS = 10_000
MOST_BINS = 256
MOST_CLASSES = 20
LEAST_ROWS = 50
ALMOST_ALL = 0.98
"""ROC AUC, or R2 of ranks, above which one column predicts the target almost perfectly."""
PRESENCE = 0.9
"""The same for whether a column is filled in: that should hardly tell anything."""
PRESENCE_NUMBER = 0.5
IDENTIFIER = 0.75
"""The same for a name of the row, which should tell nothing."""
IDENTIFIER_NUMBER = 0.3
ORDER = 0.9
ORDER_BINS = 20
PURE = 0.99
BY_CHANCE = 1e-9
EXACT = 1e-3
"""Residual in standard deviations of the target below which a sum is exact, rounding allowed for."""


def column_leaks(
    table: Table, target: Array, task: str, rows: Array, classes: tuple[str, ...] = (), *, seed: int = 0
) -> Iterator[Leak]:
    """Look for columns that know the target.

    Args:
        table: the rows that have a label.
        target: codes 0..K-1 or values, shape (rows of the table,).
        task: the learning task.
        rows: positions that may be looked at (the development rows); at most 10,000 of them are, drawn by the seed.
        classes: class names, for the texts.
        seed: seed of the draw.
    """
    random = np.random.default_rng(seed)
    if len(rows) > MOST_ROWS:
        rows = np.sort(random.choice(rows, MOST_ROWS, replace=False))
    if len(rows) < LEAST_ROWS:
        return
    truth = _truth(target[rows], task)
    half = random.permutation(len(rows)) % 2 == 0
    frame = table.frame[rows]
    for column in table.features:
        series = frame[column.name]
        alone = max(power(_codes(series, column), truth, half), _rising(series, column, truth))
        remedy = f"data.columns.{column.name}.role=ignore, if it is not known yet when the model is asked"
        known = "R2 of ranks" if task == "regression" else "ROC AUC"
        if alone >= ALMOST_ALL:
            text = f"{column.name!r} alone predicts the target: {known} {alone:.3f} on rows it was not fitted on"
            yield Leak("single_column", "problem", text, column.name, remedy)
        else:
            yield from _presence(column.name, series, truth, half, task, target[rows], classes, remedy)
        if _is_identifier(series, column):
            tells = alone >= (IDENTIFIER_NUMBER if task == "regression" else IDENTIFIER)
            text = f"{column.name!r} has another value in each of {len(rows):,} rows: a name of the row, not a property"
            if tells:
                text += f", and it orders the target ({known} {alone:.3f})"
            yield Leak(
                "identifier",
                "problem" if tells else "warning",
                text,
                column.name,
                f"data.columns.{column.name}.role=id",
            )
    if not table.names("time"):
        yield from _order(table, frame, truth, half, task)
    if task == "regression":
        yield from _sum(table, frame, target[rows])


def power(codes: Array, truth: Array, half: Array) -> float:
    """Return how well codes tell the target, each half of the rows told by the means of the other half.

    Args:
        codes: shape (rows,), intp from 0.
        truth: shape (rows, columns): one indicator a class, or one column of ranks.
        half: which half each row is in, shape (rows,), bool.

    Returns:
        Classes: ROC AUC, its mean over the classes. Numbers: R2, at least 0.
    """
    size = int(codes.max(initial=0)) + 1
    said = np.empty_like(truth)
    for part in (half, ~half):
        count = np.bincount(codes[part], minlength=size)
        usual = truth[part].mean(axis=0)
        for at in range(truth.shape[1]):
            # Two rows of the usual kind steady the means of small groups.
            total = np.bincount(codes[part], truth[part, at], size)
            said[~part, at] = ((total + 2 * usual[at]) / (count + 2))[codes[~part]]
    if truth.shape[1] == 1:
        spread = float(((truth - truth.mean()) ** 2).sum())
        return max(0.0, 1 - float(((truth - said) ** 2).sum()) / spread) if spread > 0 else 0.0
    areas = [_area(truth[:, at] > 0, said[:, at]) for at in range(truth.shape[1])]
    known = [area for area in areas if area is not None]
    return float(np.mean(known)) if known else 0.5


def _rising(series: pl.Series, column: Column, truth: Array) -> float:
    """Return how well the order of a numeric column alone tells the target: exact where bins are too coarse."""
    if not series.dtype.is_numeric() or column.kind == "categorical" or truth.shape[1] > 2:
        return 0.0
    values = series.cast(pl.Float64).fill_null(np.nan).to_numpy()
    ranks = _ranks(np.where(np.isfinite(values), values, -np.inf))
    if truth.shape[1] == 2:
        area = _area(truth[:, 0] > 0, ranks)
        return 0.0 if area is None else max(area, 1 - area)
    spread = ranks.std() * truth.std()
    return 0.0 if spread == 0 else float(((ranks - ranks.mean()) * (truth[:, 0] - truth.mean())).mean() / spread) ** 2


def _ranks(values: Array) -> Array:
    """Return ranks of 0 to 1, ties in their middle."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Array = ((np.cumsum(counts) - counts / 2) / len(values))[inverse]
    return ranks


def _truth(target: Array, task: str) -> Array:
    """Return one indicator a class (two classes need one each, so that a number is told apart), or ranks of 0 to 1."""
    if task == "regression":
        return _ranks(target).reshape(-1, 1)
    counts = np.bincount(target.astype(np.intp))
    common = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
    indicators: Array = (target[:, None] == common[counts[common] > 0][None, :]).astype(np.float64)
    return indicators


def _area(positive: Array, score: Array) -> float | None:
    """Return the area under the ROC curve (Mann-Whitney, ties half), None for one class."""
    values, inverse = np.unique(score, return_inverse=True)
    hits = np.bincount(inverse, positive, len(values))
    misses = np.bincount(inverse, ~positive, len(values))
    below = np.cumsum(misses) - misses / 2
    pairs = float(hits.sum() * misses.sum())
    return float((hits * below).sum()) / pairs if pairs else None


def _codes(series: pl.Series, column: Column) -> Array:
    """Return a number a value: bins of numbers and times, levels of everything else; null has its own."""
    bins = int(np.clip(len(series) // 20, 8, MOST_BINS))
    if series.dtype.is_temporal():
        series = series.to_physical()
    if series.dtype.is_numeric() and column.kind != "categorical":
        return quantile_bins(series.cast(pl.Float64).fill_null(np.nan).to_numpy(), bins)
    if series.dtype in (pl.Categorical, pl.Enum):
        series = series.cast(pl.String)
    return series.rank("dense").fill_null(0).to_numpy().astype(np.intp)


def _presence(
    name: str,
    series: pl.Series,
    truth: Array,
    half: Array,
    task: str,
    target: Array,
    classes: tuple[str, ...],
    remedy: str,
) -> Iterator[Leak]:
    absent = series.is_null().to_numpy()
    if not 0 < int(absent.sum()) < len(absent):
        return
    tells = power(absent.astype(np.intp), truth, half)
    if task == "regression":
        if tells >= PRESENCE_NUMBER:
            text = f"whether {name!r} is filled in explains {tells:.0%} of the target's ranks"
            yield Leak("presence", "problem", text, name, remedy)
        return
    if tells >= PRESENCE:
        text = f"whether {name!r} is filled in tells the class: ROC AUC {tells:.3f}"
        yield Leak("presence", "problem", text, name, remedy)
        return
    for side, word in ((~absent, "filled in"), (absent, "empty")):
        counts = np.bincount(target[side].astype(np.intp))
        code, rows = int(np.argmax(counts)), int(side.sum())
        share = counts[code] / rows
        usual = float((target == code).mean())
        if share >= PURE and rows * np.log(max(usual, 1e-12)) < np.log(BY_CHANCE):
            which = repr(classes[code]) if code < len(classes) else f"number {code}"
            text = f"{share:.1%} of the {rows:,} rows in which {name!r} is {word} are of class {which} ({usual:.0%} of all)"
            yield Leak("presence", "problem", text, name, remedy)
            return


def _is_identifier(series: pl.Series, column: Column) -> bool:
    """Whether each row has its own whole number, of a range that they fill, or its own word."""
    if series.null_count() or series.n_unique() < len(series):
        return False
    if series.dtype.is_integer() and column.kind == "numeric":
        low, high = series.min(), series.max()
        return isinstance(low, int) and isinstance(high, int) and high - low < 20 * len(series)
    return column.kind == "categorical"


def _order(table: Table, frame: pl.DataFrame, truth: Array, half: Array, task: str) -> Iterator[Leak]:
    """Look at the rows' numbers and ids, which no model sees: whoever cuts along them judges on other classes."""
    for name in (ROW, *table.names("id")):
        series = frame[name]
        if not series.dtype.is_numeric():
            continue
        told = power(quantile_bins(series.cast(pl.Float64).fill_null(np.nan).to_numpy(), ORDER_BINS), truth, half)
        if told >= ORDER:
            what = "the rows' order in the source" if name == ROW else repr(name)
            score = f"{'R2 of ranks' if task == 'regression' else 'ROC AUC'} {told:.3f}"
            text = f"{what} follows the target ({score}); it is no feature, so only a cut along it would mislead"
            yield Leak("order", "info", text, None if name == ROW else name)


def _sum(table: Table, frame: pl.DataFrame, target: Array) -> Iterator[Leak]:
    """Look for numeric columns whose weighted sum is the target: least squares on one half, judged on the other."""
    names = [
        column.name
        for column in table.features
        if column.kind == "numeric"
        and frame[column.name].dtype.is_numeric()
        and frame[column.name].null_count() < 0.2 * frame.height
    ]
    if not names:
        return
    matrix = frame.select(pl.col(names).cast(pl.Float64)).head(4 * MOST_BINS).to_numpy()
    y = target[: len(matrix)]
    fine = np.isfinite(matrix).all(axis=1)
    matrix, y = matrix[fine], y[fine]
    if len(y) < 4 * len(names) or len(y) < LEAST_ROWS or y.std() == 0:
        return
    scale = matrix.std(axis=0)
    usable = [at for at in range(len(names)) if scale[at] > 0]

    def misses(columns: list[int]) -> tuple[float, Array]:
        parts = np.c_[(matrix[:, columns] - matrix[:, columns].mean(axis=0)) / scale[columns], np.ones(len(y))]
        first = np.arange(len(y)) % 2 == 0
        weights, *_ = np.linalg.lstsq(parts[first], y[first], rcond=None)
        off = y[~first] - parts[~first] @ weights
        return float(np.sqrt((off**2).mean()) / y.std()), weights[:-1] / scale[columns]

    if not usable or misses(usable)[0] > EXACT:
        return
    kept = usable
    for at in usable:  # leave out what is not needed
        fewer = [other for other in kept if other != at]
        if fewer and misses(fewer)[0] <= EXACT:
            kept = fewer
    weights = misses(kept)[1]
    if len(kept) < 2:
        return  # one column: told as `single_column`
    terms = " ".join(
        f"{'-' if weight < 0 else '+'} {'' if abs(abs(weight) - 1) < 0.01 else f'{abs(weight):.3g} * '}{names[at]}"
        for at, weight in zip(kept, weights, strict=True)
    ).removeprefix("+ ")
    text = f"the target is {terms} in every row looked at"
    remedy = " ".join(f"data.columns.{names[at]}.role=ignore" for at in kept)
    yield Leak("sum", "problem", text, None, remedy)
