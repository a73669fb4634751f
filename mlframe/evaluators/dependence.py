"""How predictions move with one column: partial dependence, or accumulated local effects where columns hang together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from mlframe.contracts import Chart
from mlframe.evaluators.permutation import Sample
from mlframe.evaluators.words import say

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    Array = npt.NDArray[Any]

__all__ = ["dependence_chart"]

ROWS = 100
"""Rows that each value is tried on for partial dependence."""
GRID = 12
MOST_CLASSES = 5


def dependence_chart(sample: Sample, name: str, classes: tuple[str, ...], related: bool, number: int) -> Chart | None:
    """Draw the mean prediction by the values of one column; None for columns that have no curve.

    Partial dependence (Friedman 2001) gives every row each value in turn. Where the column hangs together with others
    that would make rows that cannot be, and numbers get accumulated local effects instead (Apley and Zhu 2020): each row
    moves within its own neighbourhood only. Intervals take rows as drawn at random; the fitted model is given.

    Args:
        sample: rows and pipeline.
        name: the column.
        classes: class names; empty for values.
        related: whether the column hangs together with others.
        number: number of the chart.
    """
    column = next(column for column in sample.table.features if column.name == name)
    series = sample.table.frame[name]
    if column.kind == "numeric" and series.dtype.is_numeric():
        values = series.cast(pl.Float64).to_numpy()
        values = values[np.isfinite(values)]
        grid = np.unique(np.quantile(values, np.linspace(0, 1, GRID), method="higher")) if len(values) else values
        if len(grid) < 2:
            return None
        if related:
            return _lines(name, number, classes, grid, *_accumulated(sample, series, grid), "accumulated local effects")
        return _lines(name, number, classes, grid, *_partial(sample, series, grid.tolist()), "partial dependence")
    if column.kind in ("categorical", "boolean"):
        counts = (
            series.drop_nulls()
            .alias("value")
            .value_counts(name="rows")
            .sort(["rows", "value"], descending=[True, False])
        )
        kept = counts["value"].head(GRID).to_list()
        if len(kept) < 2:
            return None
        return _categories(name, number, classes, kept, *_partial(sample, series, kept))
    return None


def _partial(sample: Sample, series: pl.Series, grid: list[Any]) -> tuple[Array, Array]:
    """Return mean outputs and their standard errors, shape (values, outputs)."""
    step = max(1, -(-len(series) // ROWS))
    frame, weight = sample.table.frame[::step], sample.weight[::step]
    if not weight.sum() > 0:
        weight = np.ones(len(weight))
    copies = [
        frame.with_columns(pl.Series(series.name, [value]).cast(series.dtype).new_from_index(0, frame.height))
        for value in grid
    ]
    said = _wide(sample.pipeline.outputs(pl.concat(copies))).reshape(len(grid), frame.height, -1)
    mean = np.average(said, axis=1, weights=weight)
    # What differs between rows whatever the value says nothing about the curve.
    own = said - said.mean(axis=0, keepdims=True)
    spread = np.average((own - np.average(own, axis=1, weights=weight)[:, None]) ** 2, axis=1, weights=weight)
    return mean, np.sqrt(spread * (weight**2).sum()) / weight.sum()


def _accumulated(sample: Sample, series: pl.Series, grid: Array) -> tuple[Array, Array]:
    """Return mean outputs and their standard errors, shape (edges, outputs)."""
    values = series.cast(pl.Float64).to_numpy()
    known = np.flatnonzero(np.isfinite(values) & (sample.weight > 0))
    frame, weight = sample.table.frame[known], sample.weight[known]
    cell = np.clip(np.searchsorted(grid, values[known], side="left") - 1, 0, len(grid) - 2)
    ends = [
        frame.with_columns(pl.Series(series.name, edges).cast(series.dtype)) for edges in (grid[cell], grid[cell + 1])
    ]
    low, high = np.split(_wide(sample.pipeline.outputs(pl.concat(ends))), 2)
    moved = high - low
    size, total = len(grid) - 1, np.bincount(cell, weight, len(grid) - 1)
    total = np.where(total > 0, total, 1.0)
    steps = np.stack([np.bincount(cell, weight * part, size) / total for part in moved.T], axis=1)
    left = (weight[:, None] * (moved - steps[cell])) ** 2
    variance = np.stack([np.bincount(cell, part, size) / total**2 for part in left.T], axis=1)
    curve = np.vstack([np.zeros(moved.shape[1]), np.cumsum(steps, axis=0)])
    error = np.sqrt(np.vstack([np.zeros(moved.shape[1]), np.cumsum(variance, axis=0)]))
    # Put on the scale of predictions: the curve's mean over the rows is the mean prediction.
    middle = (curve[:-1] + curve[1:]) / 2
    mean = np.average(middle[cell], axis=0, weights=weight)
    return curve - mean + np.average(_wide(sample.outputs), axis=0, weights=_some(sample.weight)), error


def _lines(
    name: str, number: int, classes: tuple[str, ...], grid: Array, mean: Array, error: Array, method: str
) -> Chart:
    from mlframe.charts import plots

    shown = _shown(classes, mean)
    single = len(shown) == 1
    series = [
        plots.Series(
            classes[k] if classes else name,
            grid,
            mean[:, k],
            marks=True,
            low=mean[:, k] - 1.959964 * error[:, k] if single else None,
            high=mean[:, k] + 1.959964 * error[:, k] if single else None,
        )
        for k in shown
    ]
    alt = f"Mean prediction by {name} ({method}). " + " ".join(
        f"{f'Of {classes[k]}: from' if classes else 'From'} {say(float(mean[0, k]))} at {say(float(grid[0]))} to {say(float(mean[-1, k]))} at"
        f" {say(float(grid[-1]))}, highest {say(float(mean[:, k].max()))} at {say(float(grid[mean[:, k].argmax()]))}."
        for k in shown
    )
    y = (
        f"predicted share of {classes[shown[0]]}"
        if classes and single
        else ("predicted share" if classes else "prediction")
    )
    return plots.lines(f"dependence_{number}", f"How predictions move with {name}", alt, series, x=name, y=y)


def _categories(name: str, number: int, classes: tuple[str, ...], kept: list[Any], mean: Array, error: Array) -> Chart:
    from mlframe.charts import plots

    k = _shown(classes, mean)[0]  # one class: dots of several would lie on each other
    middle, half = mean[:, k], 1.959964 * error[:, k]
    order = np.argsort(-middle, kind="stable")
    words = [("true" if kept[i] else "false") if isinstance(kept[i], bool) else str(kept[i]) for i in order]
    what = f"predicted share of {classes[k]}" if classes else "prediction"
    alt = f"Mean {what} by {name} (partial dependence): " + "; ".join(
        f"{word} {say(float(middle[i]))}" for word, i in zip(words, order, strict=True)
    )
    return plots.dots(
        f"dependence_{number}", f"How predictions move with {name}", f"{alt}.", words, middle[order].tolist(),
        (middle - half)[order].tolist(), (middle + half)[order].tolist(), x=what,
    )  # fmt: skip


def _shown(classes: tuple[str, ...], mean: Array) -> list[int]:
    """Return the outputs that are drawn: the positive class, the value, or the classes that move most."""
    if len(classes) == 2:
        return [1]
    if not classes:
        return [0]
    return [int(k) for k in np.argsort(-np.ptp(mean, axis=0), kind="stable")[:MOST_CLASSES]]


def _wide(outputs: Any) -> Array:
    given = np.asarray(outputs)
    return given[:, None] if given.ndim == 1 else given


def _some(weight: Array) -> Array:
    return weight if weight.sum() > 0 else np.ones(len(weight))
