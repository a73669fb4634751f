"""Which input columns a fitted pipeline uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from mlframe import stats
from mlframe.contracts import TASKS, Chart, Evaluation, Evaluator, Figure, Judged
from mlframe.errors import ParameterError

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    Array = npt.NDArray[Any]

__all__ = ["ImportanceEvaluator"]


class ImportanceEvaluator(Evaluator):
    """Measure how much worse predictions get when one input column is shuffled (Breiman 2001), and gain in training.

    Worse means a higher log loss of classes, a higher RMSE of values. A column that the trees never split on has gain
    0 and is not shuffled: nothing would change. Of columns that say the same, each looks unimportant alone. It gives
    no figures, and nothing when pictures are not wanted or the pipeline is not at hand.

    Args:
        rows: at most so many rows are used, drawn at random.
        repeats: how often each column is shuffled.
        top: columns in the picture; the table has all.
        seed: seed of rows and shuffles.

    Raises:
        ParameterError: a number is below 1.
    """

    tasks = TASKS

    def __init__(self, rows: int = 500, repeats: int = 2, top: int = 15, seed: int = 0) -> None:
        for name, value in (("rows", rows), ("repeats", repeats), ("top", top)):
            if value < 1:
                raise ParameterError(
                    f"importance: {name} must be 1 or more",
                    value=value,
                    where=f"evaluators.importance.{name}",
                    hint="leave the evaluator out with '~evaluators.importance' if it takes too long",
                )
        self.rows = rows
        self.repeats = repeats
        self.top = top
        self.seed = seed

    def declares(self) -> Sequence[Figure]:
        """Return nothing: importance is no figure that a gate could use."""
        return ()

    def evaluate(self, judged: Judged) -> Evaluation:
        """Return one chart for each kind of importance that is known, and a table of all input columns."""
        if not judged.pictures or judged.pipeline is None or judged.table is None or not len(judged.table):
            return Evaluation()
        names = [column.name for column in judged.table.features]
        gain: dict[str, float] | None = judged.pipeline.gain()
        shuffled = [name for name in names if gain is None or gain.get(name, 0.0) > 0]
        drops = self._permute(judged, shuffled)
        unit = "rmse" if judged.predictions.task == "regression" else "log loss"
        records = [
            {
                "column": name,
                "permutation": float(np.mean(drops[name])) if name in drops else 0.0,
                "spread": float(np.std(drops[name], ddof=1)) if name in drops and self.repeats > 1 else 0.0,
                **({"gain": gain.get(name, 0.0)} if gain is not None else {}),
            }
            for name in names
        ]
        table = pl.DataFrame(records)
        if gain is not None and (total := float(table["gain"].sum())) > 0:
            table = table.with_columns(pl.col("gain") / total)
        table = table.sort(["permutation", "column"], descending=[True, False])
        return Evaluation(charts=self._charts(table, unit), tables={"importance": table})

    def _permute(self, judged: Judged, names: list[str]) -> dict[str, list[float]]:
        """Return column to the rise of the loss, one number a repeat."""
        assert judged.table is not None
        said = judged.predictions
        rng = np.random.default_rng(self.seed)
        chosen = np.arange(len(judged.table))
        if len(chosen) > self.rows:
            chosen = np.sort(rng.choice(chosen, self.rows, replace=False))
        frame, y, weight = judged.table.frame[chosen], said.y[chosen], said.weight[chosen]
        loss = "rmse" if said.task == "regression" else "log_loss"

        def score(rows: pl.DataFrame) -> Array:
            outputs = np.asarray(judged.pipeline.outputs(rows))
            parts = np.split(outputs, len(outputs) // len(y))
            return np.array([stats.figures(y, _scores(part), weight, only=[loss])[loss] for part in parts])

        base = score(frame)[0]
        drops = {}
        for name in names:
            # All repeats go through the pipeline at once: fewer calls, the same rows.
            copies = [frame.with_columns(frame[name][rng.permutation(len(y))].alias(name)) for _ in range(self.repeats)]
            drops[name] = (score(pl.concat(copies)) - base).tolist()
        return drops

    def _charts(self, table: pl.DataFrame, unit: str) -> list[Chart]:
        from mlframe.charts import plots
        from mlframe.charts.svg import number

        charts = []
        parts = [
            ("permutation", "permutation_importance", "Permutation importance", f"rise of the {unit} when shuffled")
        ]
        if "gain" in table.columns:
            parts.append(("gain", "gain_importance", "Gain importance", "share of the gain in training"))
        for column, name, title, label in parts:
            best = table.sort([column, "column"], descending=[True, False]).head(self.top)
            shown = best.filter(pl.col(column) != 0)
            if shown.is_empty():
                continue
            least = 0.01 * max(shown[column].to_list())  # what rounds to nothing leads nothing
            leaders = ", ".join(
                f"{n} ({number(v)})" for n, v in shown.select("column", column).head(3).iter_rows() if v > least
            )
            spread = shown["spread"].to_list() if column == "permutation" and self.repeats > 1 else None
            charts.append(
                plots.bars(
                    name,
                    title,
                    f"{label[0].upper()}{label[1:]}. Most important: {leaders}.",
                    shown["column"].to_list(),
                    shown[column].to_list(),
                    x=label,
                    spread=spread,
                    percent=column == "gain",
                )
            )
        return charts


def _scores(outputs: Array) -> stats.Scores:
    if outputs.ndim == 1:
        return stats.Scores(outputs)
    return stats.Scores(outputs.argmax(axis=1), outputs)
