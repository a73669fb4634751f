"""How differently groups of people are treated, by columns tagged `protected`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from mlframe import stats
from mlframe.contracts import TASKS, Chart, Evaluation, Evaluator, Figure, Finding, Interval, Judged, Predictions
from mlframe.evaluators.columns import Groups, group_column
from mlframe.evaluators.losses import at_least, frequent_classes
from mlframe.evaluators.words import ends, say
from mlframe.table import Table

if TYPE_CHECKING:
    from typing import Any

__all__ = ["FairnessEvaluator"]

FIGURE = Figure(
    "fairness_gap",
    "lower",
    "1",
    TASKS,
    "Largest difference between protected groups: of the true positive rate, or of the mean error in standard"
    " deviations of the target",
    holdout_only=True,
    low=0,
)
FOUR_FIFTHS = 0.8
"""A group selected less than four fifths as often as another is a sign of adverse impact (US EEOC, 29 CFR 1607.4)."""


@dataclass(frozen=True)
class Measured:
    """One group's numbers.

    Args:
        column: name of the protected column.
        group: the group in words.
        label: the class that is judged against the rest; empty for values.
        rows: how many rows.
        rates: name to number.
    """

    column: str
    group: str
    label: str
    rows: int
    rates: dict[str, stats.Rate]


class FairnessEvaluator(Evaluator):
    """Compare the groups of each column tagged `protected` on the holdout, with bootstrap intervals.

    Of classes: selection rate, true and false positive rate, precision, calibration gap (predicted minus observed share)
    and ROC AUC, each class against the rest when there are more than two. Of values: the mean error (prediction minus
    truth). `fairness_gap` is the largest difference of true positive rates (equal opportunity, Hardt et al. 2016), or of
    mean errors in standard deviations of the target; it is left out without protected columns or two groups that are
    large enough. The column may have any role: with the role `ignore` it never reaches the model and is judged all the same.

    Args:
        least: fewest rows of a group; smaller groups are named and not judged.
        bins: groups that a protected number with more distinct values is cut into.
        bootstrap: resamples for the 95 % intervals; 0 gives none.
        seed: seed of the resamples.

    Raises:
        ParameterError: a number is out of range.
    """

    tasks = TASKS

    def __init__(self, least: int = 30, bins: int = 4, bootstrap: int = 1000, seed: int = 0) -> None:
        at_least("fairness", 2, least=least, bins=bins)
        at_least("fairness", 0, bootstrap=bootstrap)
        self.least, self.bins, self.bootstrap, self.seed = least, bins, bootstrap, seed

    def declares(self) -> Sequence[Figure]:
        """Return `fairness_gap`."""
        return (FIGURE,)

    def evaluate(self, judged: Judged) -> Evaluation:
        """Return the largest gap; numbers by group, pictures and findings when they are wanted."""
        table, said = judged.table, judged.predictions
        if table is None or not len(table):
            return Evaluation()
        measured, small = self._measure(said, table, self.bootstrap if judged.intervals else 0)
        main = "mean_error" if said.task == "regression" else "true_positive_rate"
        worst = _widest(measured, main)
        figures = {}
        if worst is not None and (scale := _scale(said)) > 0:
            value, low, high = stats.compare_rates(worst[0].rates[main], worst[1].rates[main])["difference"]
            bounds = (None, None) if low is None or high is None else (max(0.0, low) / scale, high / scale)
            figures["fairness_gap"] = Interval(value / scale, *bounds)
        if not judged.pictures or not (measured or small):
            return Evaluation(figures)
        findings = self._findings(measured, main) + small
        if not measured:
            return Evaluation(figures, findings=findings)
        tables = {"fairness": _groups(measured), "fairness_compared": _compared(measured)}
        return Evaluation(figures, _charts(measured, main, said), tables, findings)

    def _measure(self, said: Predictions, table: Table, resamples: int) -> tuple[list[Measured], list[Finding]]:
        measured, small = [], []
        for column in table.columns:
            if "protected" not in column.tags or column.role == "target":
                continue
            for groups in group_column(table.frame[column.name], column, max(self.bins, 2), 20)[:1]:
                few = []
                for code, label in enumerate(groups.labels):
                    rows = np.flatnonzero(groups.codes == code)
                    if len(rows) < self.least or not said.weight[rows].sum() > 0:
                        few += [f"{label} ({len(rows)})"] if len(rows) else []
                        continue
                    measured += self._group(said, rows, groups, code, resamples)
                if few:
                    text = f"groups of {column.name} with too few holdout rows to judge: {', '.join(few)}"
                    small.append(Finding("warning", f"{text}; at least {self.least} are wanted", column.name))
        return measured, small

    def _group(self, said: Predictions, rows: Any, groups: Groups, code: int, resamples: int) -> list[Measured]:
        weight, words = said.weight[rows], groups.words(code)
        seed = self.seed + code  # groups are drawn independently
        if said.task == "regression":
            error = stats.group_errors(said.y_pred[rows] - said.y[rows], weight, resamples=resamples, seed=seed)
            return [Measured(groups.column, words, "", len(rows), {"mean_error": error})]
        y, called, proba = said.y[rows], said.y_pred[rows], said.proba[rows]
        chosen = [1] if len(said.classes) == 2 else frequent_classes(said)
        return [
            Measured(
                groups.column,
                words,
                said.classes[k],
                len(rows),
                stats.group_rates(y == k, called == k, proba[:, k], weight, resamples=resamples, seed=seed),
            )
            for k in chosen
        ]

    def _findings(self, measured: list[Measured], main: str) -> list[Finding]:
        found = []
        for column, label in dict.fromkeys((item.column, item.label) for item in measured):
            part = [item for item in measured if (item.column, item.label) == (column, label)]
            of = f" of {label}" if label else ""
            gap = _widest(part, main)
            if gap is not None:
                value, low, high = stats.compare_rates(gap[0].rates[main], gap[1].rates[main])["difference"]
                sure = low is not None and low > 0
                text = (
                    f"{main.replace('_', ' ')}{of} differs by {say(value)}{ends(low, high)}: {gap[0].group}"
                    f" {say(gap[0].rates[main].value)}, {gap[1].group} {say(gap[1].rates[main].value)}"
                )
                found.append(Finding("warning" if sure else "info", text, column))
            chosen = _widest(part, "selection_rate")
            if chosen is None:
                continue
            # The smaller rate over the larger one.
            ratio, low, high = stats.compare_rates(
                chosen[1].rates["selection_rate"], chosen[0].rates["selection_rate"]
            )["ratio"]
            if ratio < FOUR_FIFTHS:
                sure = high is not None and high < FOUR_FIFTHS
                text = (
                    f"four-fifths rule: {chosen[1].group} is called {label} {ratio:.2f} times as often as"
                    f" {chosen[0].group}{ends(low, high)}"
                    f"{'' if sure else '; the interval reaches past 0.8'}"
                )
                found.append(Finding("problem" if sure else "warning", text, column))
        order = ("problem", "warning", "info")
        return sorted(found, key=lambda item: order.index(item.severity))


def _scale(said: Predictions) -> float:
    """Return what a gap is measured in: the standard deviation of the target's values, 1 for classes."""
    if said.task != "regression":
        return 1.0
    mean = np.average(said.y, weights=said.weight)
    return float(np.sqrt(np.average((said.y - mean) ** 2, weights=said.weight)))


def _widest(measured: list[Measured], name: str) -> tuple[Measured, Measured] | None:
    """Return the two groups of one column and class that differ most, the higher one first; None without two."""
    best, width = None, -1.0
    for key in dict.fromkeys((item.column, item.label) for item in measured):
        part = [
            m for m in measured if (m.column, m.label) == key and name in m.rates and np.isfinite(m.rates[name].value)
        ]
        if len(part) > 1:
            high, low = max(part, key=lambda m: m.rates[name].value), min(part, key=lambda m: m.rates[name].value)
            if (gap := high.rates[name].value - low.rates[name].value) > width:
                best, width = (high, low if low is not high else part[-1]), gap
    return best


def _groups(measured: list[Measured]) -> pl.DataFrame:
    """Return one row a group and class."""
    records = []
    for item in measured:
        record: dict[str, Any] = {"column": item.column, "group": item.group, "class": item.label, "rows": item.rows}
        for name, rate in item.rates.items():
            low, high = rate.interval
            record |= {name: rate.value if np.isfinite(rate.value) else None, f"{name}_low": low, f"{name}_high": high}
        records.append(record)
    frame = pl.DataFrame(records, infer_schema_length=None)
    return frame if any(item.label for item in measured) else frame.drop("class")


def _compared(measured: list[Measured]) -> pl.DataFrame:
    """Return each group against the largest of its column: difference and ratio of every number."""
    records = []
    for key in dict.fromkeys((item.column, item.label) for item in measured):
        part = [item for item in measured if (item.column, item.label) == key]
        largest = max(part, key=lambda item: item.rows)
        for item in part:
            for name in item.rates if item is not largest else ():
                record: dict[str, Any] = {"column": key[0], "class": key[1], "group": item.group}
                record |= {"compared_with": largest.group, "number": name}
                for kind, (value, low, high) in stats.compare_rates(item.rates[name], largest.rates[name]).items():
                    record |= {kind: value if np.isfinite(value) else None, f"{kind}_low": low, f"{kind}_high": high}
                records.append(record)
    texts = ("column", "class", "group", "compared_with", "number")
    numbers = [f"{kind}{end}" for kind in ("difference", "ratio") for end in ("", "_low", "_high")]
    schema: dict[str, Any] = {**dict.fromkeys(texts, pl.String), **dict.fromkeys(numbers, pl.Float64)}
    frame = pl.DataFrame(records, schema=schema)
    return frame if any(item.label for item in measured) else frame.drop("class")


def _charts(measured: list[Measured], main: str, said: Predictions) -> list[Chart]:
    from mlframe.charts import plots

    charts = []
    for number, column in enumerate(dict.fromkeys(item.column for item in measured), 1):
        part = [m for m in measured if m.column == column and np.isfinite(m.rates[main].value)][:16]
        if not part:
            continue
        told = [f"{item.group}{f' as {item.label}' if said.task == 'multiclass' else ''}" for item in part]
        values = [item.rates[main].value for item in part]
        bounds = [item.rates[main].interval for item in part]
        name = main.replace("_", " ")
        charts.append(
            plots.dots(
                f"fairness_{number}",
                f"{name.capitalize()} by {column}",
                f"{name.capitalize()} with 95 % intervals: "
                + "; ".join(f"{text} {say(value)}" for text, value in zip(told, values, strict=True))
                + ".",
                told,
                values,
                [low for low, _ in bounds],
                [high for _, high in bounds],
                x=name,
                rule=0.0 if said.task == "regression" else None,
                notes=[f"({item.rows:,} rows)".replace(",", "\u202f").replace(" ", "\u00a0") for item in part],
            )
        )
    return charts
