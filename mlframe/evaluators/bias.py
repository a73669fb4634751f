"""By which columns predictions are off on average: truth minus prediction, group by group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from mlframe import stats
from mlframe.contracts import Chart, Finding, Predictions
from mlframe.evaluators.columns import Groups
from mlframe.evaluators.losses import frequent_classes
from mlframe.evaluators.words import ends, say, signed

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    Array = npt.NDArray[Any]

__all__ = ["Bias", "bias_by_column", "chart_of", "findings_of", "table_of"]

LEAST = 10
"""Groups of fewer rows are not shown: their interval would say nothing."""


@dataclass(frozen=True)
class Bias:
    """Truth minus prediction by the groups of one column.

    Args:
        groups: the column.
        label: name of the class whose share is compared; empty for values.
        codes: the groups with enough rows, shape (groups,).
        rows: rows of each.
        observed: mean truth (share of the class).
        predicted: mean prediction.
        low: lower end of the 95 % interval of observed minus predicted.
        high: upper end.
        p: p-value of each group.
        size: how far the column's groups are off, typically: root mean square less what chance gives.
    """

    groups: Groups
    label: str
    codes: Array
    rows: Array
    observed: Array
    predicted: Array
    low: Array
    high: Array
    p: Array
    size: float

    @property
    def difference(self) -> Array:
        """Observed minus predicted, shape (groups,)."""
        return self.observed - self.predicted


def bias_by_column(said: Predictions, columns: list[Groups]) -> list[Bias]:
    """Compare truth and prediction by the groups of each column; the column that is most off comes first."""
    from scipy.special import ndtr

    if said.task == "regression":
        targets = [("", said.y, said.y_pred)]
    else:
        proba, y = said.proba, said.y
        chosen = [1] if len(said.classes) == 2 else frequent_classes(said)
        targets = [(said.classes[k], (y == k).astype(np.float64), proba[:, k]) for k in chosen]
    w = said.weight / (said.weight.mean() or 1.0)
    found = []
    for groups in columns:
        size = len(groups.labels)
        rows, total = np.bincount(groups.codes, minlength=size), np.bincount(groups.codes, w, size)
        codes = np.flatnonzero((rows >= LEAST) & (total > 0))
        if not len(codes):
            continue
        for label, truth, told in targets:
            observed = np.bincount(groups.codes, w * truth, size)[codes] / total[codes]
            predicted = np.bincount(groups.codes, w * told, size)[codes] / total[codes]
            off = observed - predicted
            full = np.zeros(size)
            full[codes] = off
            left = (w * (truth - told - full[groups.codes])) ** 2
            count = rows[codes]
            error = np.sqrt(np.bincount(groups.codes, left, size)[codes] * count / (count - 1)) / total[codes]
            if not (error > 0).all():
                continue
            z = off / error
            square = float(np.average(off**2 - error**2, weights=total[codes]))
            lows, highs = off - 1.959964 * error, off + 1.959964 * error
            found.append(
                Bias(groups, label, codes, count, observed, predicted, lows, highs, 2 * ndtr(-np.abs(z)), np.sqrt(max(square, 0.0)))
            )  # fmt: skip
    return sorted(found, key=lambda item: (-item.size, item.groups.name, item.label))


def table_of(found: list[Bias]) -> pl.DataFrame:
    """Return one row a group."""
    parts = [
        pl.DataFrame(
            {
                "column": item.groups.name,
                "group": [item.groups.labels[code] for code in item.codes],
                **({"class": [item.label] * len(item.codes)} if item.label else {}),
                "rows": item.rows,
                "observed": item.observed,
                "predicted": item.predicted,
                "difference": item.difference,
                "low": item.low,
                "high": item.high,
            }
        )
        for item in found
    ]
    return pl.concat(parts)


def findings_of(found: list[Bias], fdr: float, most: int = 3) -> list[Finding]:
    """Tell the groups that are off beyond chance, over all groups of all columns that were looked at."""
    if not found:
        return []
    q = stats.benjamini_hochberg(np.concatenate([item.p for item in found]))
    told: list[tuple[str, str]] = []
    start = 0
    for item in found:
        values = q[start : start + len(item.p)]
        start += len(item.p)
        place = int(np.argmax(np.where(values <= fdr, np.abs(item.difference), -1.0)))
        if values[place] > fdr or item.groups.column in {name for name, _ in told}:
            continue
        what = f"share of {item.label}" if item.label else "mean"
        text = (
            f"rows with {item.groups.words(int(item.codes[place]))}: {what} predicted {say(float(item.predicted[place]))},"
            f" observed {say(float(item.observed[place]))} ({item.rows[place]:,} rows, difference"
            f" {signed(float(item.difference[place]))}{ends(float(item.low[place]), float(item.high[place]))})"
        )
        told.append((item.groups.column, text))
    return [Finding("warning", text, column) for column, text in told[:most]]


def chart_of(item: Bias, number: int) -> Chart:
    """Draw observed minus predicted by the groups of one column."""
    from mlframe.charts import plots

    worst = int(np.argmax(np.abs(item.difference)))
    what = f"share of {item.label}" if item.label else "value"
    alt = (
        f"Observed minus predicted {what} by {item.groups.name}, with 95 % intervals; 0 is right on average. Largest:"
        f" {item.groups.words(int(item.codes[worst]))}, predicted {say(float(item.predicted[worst]))}, observed"
        f" {say(float(item.observed[worst]))}, {item.rows[worst]} rows."
    )
    shown = item.codes[:12]
    return plots.dots(
        f"bias_{number}",
        f"Off on average, by {item.groups.name}",
        alt,
        [item.groups.words(int(code)) for code in shown],
        item.difference[:12].tolist(),
        item.low[:12].tolist(),
        item.high[:12].tolist(),
        x=f"observed - predicted {what}",
        rule=0.0,
        notes=[f"({rows:,} rows)".replace(",", "\u202f").replace(" ", "\u00a0") for rows in item.rows[:12].tolist()],
    )
