"""Where the model is worst: groups of rows of one or two columns, found on out-of-fold rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from mlframe import stats
from mlframe.contracts import TASKS, Chart, Evaluation, Evaluator, Figure, Finding, Judged, Predictions
from mlframe.errors import ParameterError
from mlframe.evaluators.columns import Groups, group_columns
from mlframe.evaluators.losses import Error, at_least, column_of, row_losses
from mlframe.evaluators.words import say

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    Array = npt.NDArray[Any]

__all__ = ["SlicesEvaluator"]

ROLES = ("feature", "time", "group")


class SlicesEvaluator(Evaluator):
    """Find groups of rows of one or two columns whose loss is highest, with false-discovery control.

    The rows are the out-of-fold ones, so looking for errors does not wear out the holdout. Columns become categories,
    bins of numbers, lengths of texts, parts of times, and whether a value is missing; every value and every pair of
    values is tested. It gives no figures, and nothing while only figures are wanted.

    A slice can be bad because its rows are hard, not because the model is: compare `observed` and `predicted`, and try
    another model on it.

    Args:
        least: fewest rows of a slice.
        fdr: highest expected share of false discoveries among the slices that are found.
        top: slices in table and picture; findings name the first five.
        bins: groups that numbers, lengths and times are cut into.
        categories: the most frequent categories of a column that are tried.
        columns: so many columns, those whose own groups differ most, are also tried in pairs.
        error: how an error counts in regression: `absolute` or `squared`. Of classes it is the log loss.

    Raises:
        ParameterError: a number is out of range.

    Source: Y. Chung et al. (2019), Slice Finder; tests and intervals as in `mlframe.stats.slices`.
    """

    tasks = TASKS

    def __init__(
        self,
        least: int = 50,
        fdr: float = 0.05,
        top: int = 10,
        bins: int = 6,
        categories: int = 20,
        columns: int = 60,
        error: Error = "absolute",
    ) -> None:
        at_least("slices", 2, least=least, bins=bins)
        at_least("slices", 1, top=top, categories=categories)
        at_least("slices", 0, columns=columns)
        if not 0 < fdr < 1:
            raise ParameterError(
                "slices: fdr must lie between 0 and 1",
                value=fdr,
                where="evaluators.slices.fdr",
                hint="0.05 lets one slice of twenty be chance",
            )
        self.least, self.fdr, self.top = least, fdr, top
        self.bins, self.categories, self.columns = bins, categories, columns
        self.error = error

    def declares(self) -> Sequence[Figure]:
        """Return nothing: a worst slice is found, not tracked."""
        return ()

    def evaluate(self, judged: Judged) -> Evaluation:
        """Return the worst slices as table, picture and findings."""
        said, table = judged.oof, judged.oof_table
        if not judged.pictures or said is None or table is None or not len(table):
            return Evaluation()
        groups = group_columns(table, bins=self.bins, categories=self.categories, roles=ROLES)
        loss, unit = row_losses(said, self.error)
        found = stats.slice_search(
            [stats.Codes(item.column, item.codes, len(item.labels)) for item in groups],
            loss,
            said.weight,
            least=self.least,
            fdr=self.fdr,
            top=self.top,
            pairs=self.columns,
        )
        if not found.slices:
            text = (
                f"no group of {self.least} or more out-of-fold rows stands out: {found.tried:,} slices of one and two"
                f" columns were tried at a false-discovery rate of {self.fdr:.0%}"
            )
            return Evaluation(findings=[Finding("info", text)])
        words = [" and ".join(groups[c].words(code) for c, code in item.parts) for item in found.slices]
        findings = [
            Finding(
                "warning",
                f"rows with {text}: {unit} {say(item.loss)} against {say(item.rest)} elsewhere, {item.rows:,} rows"
                f" (difference {say(item.loss - item.rest)}, {say(item.low)} to {say(item.high)})",
                column_of(tuple(groups[c].column for c, _ in item.parts)),
            )
            for text, item in list(zip(words, found.slices, strict=True))[:5]
        ]
        frame = _table(found, words, groups, said)
        return Evaluation({}, [_chart(found, words, unit)], {"slices": frame}, findings)


def _table(found: stats.SliceSearch, words: list[str], groups: list[Groups], said: Predictions) -> pl.DataFrame:
    """Return one row a slice; `observed` and `predicted` are shares of the positive class, or mean values."""
    plain = said.task == "regression"
    truth = said.y if plain else (said.y == 1).astype(np.float64)
    told = said.y_pred if plain else said.proba[:, 1]
    records = []
    for text, item in zip(words, found.slices, strict=True):
        inside = np.logical_and.reduce([groups[column].codes == code for column, code in item.parts])
        means: dict[str, Any] = {}
        if said.task != "multiclass":
            weight = said.weight[inside]
            means = {
                "observed": float(np.average(truth[inside], weights=weight)),
                "predicted": float(np.average(told[inside], weights=weight)),
            }
        records.append(
            {
                "slice": text,
                "rows": item.rows,
                "share": item.share,
                "loss": item.loss,
                "elsewhere": item.rest,
                "difference": item.loss - item.rest,
                "low": item.low,
                "high": item.high,
                "p": item.p,
                "q": item.q,
                **means,
            }
        )
    return pl.DataFrame(records)


def _chart(found: stats.SliceSearch, words: list[str], unit: str) -> Chart:
    from mlframe.charts import plots

    first = found.slices[0]
    return plots.dots(
        "slices",
        "Worst slices",
        f"Mean {unit} above that of all other rows, with intervals. Worst: {words[0]}, {say(first.loss)} against"
        f" {say(first.rest)} elsewhere, {first.rows:,} rows. {found.tried:,} slices were tried.",
        words,
        [item.loss - item.rest for item in found.slices],
        [item.low for item in found.slices],
        [item.high for item in found.slices],
        x=f"{unit} above that elsewhere",
        rule=0.0,
        notes=[f"({item.rows:,} rows)".replace(",", "\u202f").replace(" ", "\u00a0") for item in found.slices],
    )
