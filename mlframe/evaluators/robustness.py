"""How the model bears damaged input: missing, unseen, noisy or misspelt values, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from mlframe.contracts import TASKS, Chart, Evaluation, Evaluator, Figure, Finding, Judged
from mlframe.errors import ParameterError
from mlframe.evaluators.damage import KINDS, damaged
from mlframe.evaluators.losses import at_least, change_of_loss, loss_of_guessing
from mlframe.evaluators.words import say

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    Array = npt.NDArray[Any]

__all__ = ["RobustnessEvaluator"]

MUCH = 0.1
"""Rise of the loss, as a share of what the model gains over guessing, that is worth a warning."""


class RobustnessEvaluator(Evaluator):
    """Damage one input column at a time on a sample of the holdout, and measure how much the loss rises.

    Values go missing, categories become unseen or are shuffled, numbers get noise, texts get typing errors. The loss is
    the log loss of classes, the RMSE of values. A pipeline that fails on such input is a finding, not an error. It gives
    no figures, and nothing when pictures are not wanted or the pipeline is not at hand.

    Args:
        rows: at most so many rows are used, drawn at random.
        columns: at most so many columns, those with the largest gain first where it is known.
        noise: standard deviation of the noise on numbers, in standard deviations of the column.
        top: cases in the picture; the table has all.
        seed: seed of rows and damage.

    Raises:
        ParameterError: a number is out of range.
    """

    tasks = TASKS

    def __init__(self, rows: int = 300, columns: int = 50, noise: float = 0.2, top: int = 12, seed: int = 0) -> None:
        at_least("robustness", 1, rows=rows, columns=columns, top=top)
        if not noise > 0:
            raise ParameterError(
                "robustness: noise must be above 0",
                value=noise,
                where="evaluators.robustness.noise",
                hint="0.2 moves a number by a fifth of the column's standard deviation",
            )
        self.rows, self.columns, self.noise, self.top, self.seed = rows, columns, noise, top, seed

    def declares(self) -> Sequence[Figure]:
        """Return nothing: how input is damaged is an assumption, not a measurement."""
        return ()

    def evaluate(self, judged: Judged) -> Evaluation:
        """Return the table of all cases, a picture of the worst, and findings."""
        if not judged.pictures or judged.pipeline is None or judged.table is None or not len(judged.table):
            return Evaluation()
        rng = np.random.default_rng(self.seed)
        chosen = np.arange(len(judged.table))
        if len(chosen) > self.rows:
            chosen = np.sort(rng.choice(chosen, self.rows, replace=False))
        said = judged.predictions
        frame, y, weight = judged.table.frame[chosen], said.y[chosen], said.weight[chosen]
        if not weight.sum() > 0:
            return Evaluation()
        before = np.asarray(judged.pipeline.outputs(frame))
        cases: list[dict[str, Any]] = []
        findings: list[Finding] = []
        gain = judged.pipeline.gain() or {}
        columns = sorted(judged.table.features, key=lambda column: -gain.get(column.name, 0.0))[: self.columns]
        for column in columns:
            for kind, values in damaged(frame[column.name], column, self.noise, rng):
                try:
                    after = np.asarray(judged.pipeline.outputs(frame.with_columns(values.alias(column.name))))
                    if not np.isfinite(after).all():
                        raise ValueError("its predictions are not finite")
                except Exception as error:  # whatever a model makes of such input is what is being asked
                    why = str(error).splitlines()[0] if str(error) else type(error).__name__
                    text = f"the pipeline fails when {_case(column.name, kind)}: {type(error).__name__}: {why}"
                    findings.append(Finding("problem", text, column.name))
                    cases.append({"column": column.name, "damage": kind, "fails": True})
                    continue
                found = change_of_loss(before, after, y, weight)
                cases.append(
                    {
                        "column": column.name,
                        "damage": kind,
                        "fails": False,
                        "loss": found.after,
                        "rise": found.value,
                        "low": found.low,
                        "high": found.high,
                        "moved": _moved(before, after, weight),
                    }
                )
        if not cases:
            return Evaluation()
        unit = "rmse" if said.task == "regression" else "log loss"
        start = change_of_loss(before, before, y, weight).after
        guess = loss_of_guessing(y, weight, 0 if before.ndim == 1 else before.shape[1])
        schema: dict[str, Any] = {"column": pl.String, "damage": pl.String, "fails": pl.Boolean}
        schema |= dict.fromkeys(("loss", "rise", "low", "high", "moved"), pl.Float64)
        table = pl.DataFrame(cases, schema=schema).sort(
            ["fails", "rise", "column", "damage"], descending=[True, True, False, False], nulls_last=True
        )
        findings += _findings(table, unit, start, guess)
        return Evaluation({}, self._charts(table, unit, start), {"robustness": table}, findings)

    def _charts(self, table: pl.DataFrame, unit: str, start: float) -> list[Chart]:
        from mlframe.charts import plots

        worst = table.filter(~pl.col("fails")).head(self.top)
        if worst.is_empty():
            return []
        names = [f"{column}: {damage}" for column, damage in worst.select("column", "damage").iter_rows()]
        first = worst.row(0, named=True)
        return [
            plots.dots(
                "robustness",
                "When input is damaged",
                f"Rise of the {unit} (from {say(start)}) when one column is damaged, with 95 % intervals. Worst:"
                f" {_case(first['column'], first['damage'])}, {say(first['loss'])}.",
                names,
                worst["rise"].to_list(),
                worst["low"].to_list(),
                worst["high"].to_list(),
                x=f"rise of the {unit}",
                rule=0.0,
            )
        ]


def _findings(table: pl.DataFrame, unit: str, start: float, guess: float) -> list[Finding]:
    """Tell the columns whose damage breaks the model, the worst kind of each."""
    told: dict[str, Finding] = {}
    for case in table.filter(~pl.col("fails")).iter_rows(named=True):
        if case["column"] in told or not case["low"] > 0 or case["rise"] < MUCH * max(guess - start, 0.0):
            continue
        broken = case["loss"] >= guess > start
        text = (
            f"when {_case(case['column'], case['damage'])}, the {unit} rises from {say(start)} to {say(case['loss'])}"
            f" (by {say(case['rise'])}, {say(case['low'])} to {say(case['high'])})"
            + (f": no better than guessing without looking ({say(guess)})" if broken else "")
            + "; watch this column"
        )
        told[case["column"]] = Finding("problem" if broken else "warning", text, case["column"])
    if not told and not table["fails"].any():
        return [Finding("info", f"no damage to a single column raises the {unit} much (from {say(start)})")]
    return list(told.values())[:5]


def _case(column: str, kind: str) -> str:
    return f"{KINDS[kind]} in {column}"


def _moved(before: Array, after: Array, weight: Array) -> float:
    """Return the mean change of a value, or of a row's probabilities (half the sum over classes: 0 to 1)."""
    moved = np.abs(after - before)
    return float(np.average(moved if moved.ndim == 1 else moved.sum(axis=1) / 2, weights=weight))
