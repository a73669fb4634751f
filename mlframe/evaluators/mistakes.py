"""What went wrong most, row by row, and labels that look wrong; on out-of-fold rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from mlframe import stats
from mlframe.contracts import TASKS, Evaluation, Evaluator, Figure, Finding, Judged, Predictions
from mlframe.evaluators import bias
from mlframe.evaluators.columns import group_columns
from mlframe.evaluators.losses import Error, at_least, row_losses
from mlframe.table import Table

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    Array = npt.NDArray[Any]

__all__ = ["MistakesEvaluator"]

FDR = 0.05


class MistakesEvaluator(Evaluator):
    """List the worst mistakes, the columns by which predictions are off on average, and labels that look wrong.

    The rows are the out-of-fold ones, so looking at them does not wear out the holdout. Tables named `rows/…` hold rows
    of the data and stay on this machine unless a tracker is told otherwise. Labels are judged by confident learning
    (`mlframe.stats.labels`). It gives no figures, and nothing while only figures are wanted.

    Args:
        rows: rows in each of the tables `rows/mistakes` and `rows/label_suspects`.
        columns: columns whose residuals are drawn.
        bins: groups that numbers, lengths and times are cut into.
        categories: the most frequent categories of a column that are looked at.
        error: how an error counts in regression: `absolute` or `squared`. Of classes it is the log loss.
        seed: seed of the interval of the share of wrong labels.

    Raises:
        ParameterError: a number is out of range.
    """

    tasks = TASKS

    def __init__(
        self,
        rows: int = 50,
        columns: int = 3,
        bins: int = 8,
        categories: int = 10,
        error: Error = "absolute",
        seed: int = 0,
    ) -> None:
        at_least("mistakes", 1, rows=rows, categories=categories)
        at_least("mistakes", 0, columns=columns)
        at_least("mistakes", 2, bins=bins)
        self.rows, self.columns, self.bins, self.categories = rows, columns, bins, categories
        self.error = error
        self.seed = seed

    def declares(self) -> Sequence[Figure]:
        """Return nothing: mistakes are looked at, not tracked."""
        return ()

    def evaluate(self, judged: Judged) -> Evaluation:
        """Return tables of rows, residuals by column with pictures, and findings."""
        said, table = judged.oof, judged.oof_table
        if not judged.pictures or said is None or table is None or not len(table):
            return Evaluation()
        loss, unit = row_losses(said, self.error)
        counted = np.where(said.weight > 0, loss, -np.inf)
        worst = np.argsort(-counted, kind="stable")[: self.rows]
        tables = {"rows/mistakes": _rows(said, table, worst, {unit.replace(" ", "_"): loss[worst]})}
        findings = [_worst(said, loss, unit)]
        off = bias.bias_by_column(said, group_columns(table, bins=self.bins, categories=self.categories))
        charts = [bias.chart_of(item, number) for number, item in enumerate(off[: self.columns], 1) if item.size > 0]
        findings += bias.findings_of(off, FDR)
        if off:
            tables["residuals_by_column"] = bias.table_of(off)
        if said.classes:
            suspects = stats.label_suspects(said.y, said.proba, said.weight, seed=self.seed)
            if suspects is not None:
                findings.append(_noise(said, suspects))
                shown = suspects.rows[: self.rows]
                if len(shown):
                    likely = suspects.likely[: self.rows]
                    more = {
                        "likely": [said.classes[k] for k in likely],
                        "probability_of_likely": said.proba[shown, likely],
                        "usual_probability": suspects.thresholds[said.y[shown]],
                    }
                    tables["rows/label_suspects"] = _rows(said, table, shown, more)
        return Evaluation({}, charts, tables, findings)


def _rows(said: Predictions, table: Table, chosen: Array, more: dict[str, Any]) -> pl.DataFrame:
    """Return rows with what was true and what was said, then their features."""
    frame = said.frame[chosen]
    head = [
        frame["row_id"],
        frame["fold"],
        frame["y"].alias("truth"),
        frame["y_pred"].alias("predicted"),
    ]
    if said.classes:
        head.append(pl.Series("probability_of_truth", said.proba[chosen, said.y[chosen]]))
    head += [pl.Series(name, values) for name, values in more.items()]
    taken = {series.name for series in head}
    names = [*table.names("id"), *(column.name for column in table.features)]
    features = table.frame[chosen].select([pl.col(n).alias(f"{n} (input)" if n in taken else n) for n in names])
    return pl.DataFrame(head).hstack(features)


def _worst(said: Predictions, loss: Array, unit: str) -> Finding:
    """Say how much of the whole loss the worst rows make."""
    cost = loss * said.weight
    count = max(1, len(loss) // 100)
    worst = np.sort(cost)[-count:]
    share = float(worst.sum() / cost.sum()) if cost.sum() > 0 else 0.0
    rows = "1 out-of-fold row makes" if count == 1 else f"{count:,} out-of-fold rows (the worst percent) make"
    return Finding("info", f"{rows} {share:.0%} of the whole {unit}; the table rows/mistakes lists the worst")


def _noise(said: Predictions, suspects: stats.Suspects) -> Finding:
    text = (
        f"{len(suspects.rows):,} of {len(said.y):,} labels look wrong to models that had not seen them: at most"
        f" about {suspects.share:.1%} of all (95 % interval {suspects.low:.1%} to {suspects.high:.1%}); where classes"
        f" overlap, rows that are merely hard count too"
    )
    known = [
        (float(share), name) for share, name in zip(suspects.by_class, said.classes, strict=True) if np.isfinite(share)
    ]
    worst = max(known)
    if worst[0] > 0:
        text += f"; most among those labelled {worst[1]}: {worst[0]:.1%}"
    return Finding("info", f"{text}; check those in rows/label_suspects by hand" if len(suspects.rows) else text)
