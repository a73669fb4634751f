"""Which input columns a fitted pipeline uses, how, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from mlframe.contracts import TASKS, Chart, Evaluation, Evaluator, Figure, Judged
from mlframe.errors import ParameterError
from mlframe.evaluators.advice import advise
from mlframe.evaluators.dependence import dependence_chart
from mlframe.evaluators.losses import at_least, loss_of_guessing
from mlframe.evaluators.permutation import Related, Sample, related_columns, shuffled_change

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    Array = npt.NDArray[Any]

__all__ = ["ImportanceEvaluator"]


class ImportanceEvaluator(Evaluator):
    """Say which columns the model leans on, which say the same, how predictions move with them, what to keep and drop.

    Three measures, on a sample of the holdout: how much the loss rises when a column is shuffled (Breiman 2001; log loss
    of classes, RMSE of values), the gain in training, and mean absolute SHAP contributions to the raw score (Lundberg
    et al. 2020) where the model can tell. A column that the trees never split on is not shuffled: nothing would change.
    Of columns that say the same, each looks unimportant alone: they are named and shuffled together. It gives no
    figures, and nothing when pictures are not wanted or the pipeline is not at hand.

    Args:
        rows: at most so many rows are used, drawn at random.
        repeats: how often each column is shuffled.
        top: columns in each picture; the table has all.
        curves: the most important columns of which is drawn how predictions move with them; 0 draws none.
        related: association from which columns are said to say the same, above 0 and at most 1.
        seed: seed of rows and shuffles.

    Raises:
        ParameterError: a number is out of range.
    """

    tasks = TASKS

    def __init__(
        self, rows: int = 500, repeats: int = 2, top: int = 15, curves: int = 3, related: float = 0.8, seed: int = 0
    ) -> None:
        at_least("importance", 1, rows=rows, repeats=repeats, top=top)
        at_least("importance", 0, curves=curves)
        if not 0 < related <= 1:
            raise ParameterError(
                "importance: related must be above 0 and at most 1",
                value=related,
                where="evaluators.importance.related",
                hint="0.8 joins columns that go together closely; 1 joins those that say exactly the same",
            )
        self.rows, self.repeats, self.top = rows, repeats, top
        self.curves, self.related, self.seed = curves, related, seed

    def declares(self) -> Sequence[Figure]:
        """Return nothing: importance is no figure that a gate could use."""
        return ()

    def evaluate(self, judged: Judged) -> Evaluation:
        """Return pictures of each importance that is known and of the first columns, a table of all, and advice."""
        if not judged.pictures or judged.pipeline is None or judged.table is None or not len(judged.table):
            return Evaluation()
        rng = np.random.default_rng(self.seed)
        sample = self._sample(judged, rng)
        if not sample.weight.sum() > 0:
            return Evaluation()
        names = [column.name for column in judged.table.features]
        gain: dict[str, float] | None = judged.pipeline.gain()
        used = [name for name in names if gain is None or gain.get(name, 0.0) > 0]
        changes = {name: shuffled_change(sample, [name], self.repeats, rng) for name in used}
        ranked = sorted(used, key=lambda name: (-changes[name].value, name))
        groups = [
            Related(group, strength, shuffled_change(sample, group, self.repeats, rng))
            for group, strength in related_columns(sample.table, ranked, self.related)
        ]
        shap = _contributions(sample)
        records = []
        for name in names:
            change = changes.get(name)
            record: dict[str, Any] = {"column": name}
            record |= {k: getattr(change, k) if change else 0.0 for k in ("value", "low", "high")}
            record |= {"gain": gain.get(name, 0.0)} if gain is not None else {}
            record |= dict(zip(("shap", "shap_low", "shap_high"), shap[name], strict=True)) if name in shap else {}
            records.append(record)
        table = pl.DataFrame(records).rename({"value": "permutation"})
        if gain is not None and (total := float(table["gain"].sum())) > 0:
            table = table.with_columns(pl.col("gain") / total)
        table = table.sort(["permutation", "column"], descending=[True, False])
        unit = "rmse" if judged.predictions.task == "regression" else "log loss"
        classes = judged.predictions.classes
        unused = [name for name in names if name not in used]
        guess = loss_of_guessing(sample.y, sample.weight, len(classes))
        return Evaluation(
            charts=[*self._charts(table, unit), *self._curves(sample, ranked, changes, groups, classes)],
            tables={"importance": table},
            findings=advise(changes, unused, groups, unit, guess),
        )

    def _sample(self, judged: Judged, rng: np.random.Generator) -> Sample:
        assert judged.table is not None
        chosen = np.arange(len(judged.table))
        if len(chosen) > self.rows:
            chosen = np.sort(rng.choice(chosen, self.rows, replace=False))
        table, said = judged.table.take(chosen), judged.predictions
        outputs = np.asarray(judged.pipeline.outputs(table.frame))
        return Sample(judged.pipeline, table, said.y[chosen], said.weight[chosen], outputs)

    def _curves(
        self, sample: Sample, ranked: list[str], changes: Any, groups: list[Related], classes: tuple[str, ...]
    ) -> list[Chart]:
        twins = {name for group in groups for name in group.names}
        charts: list[Chart] = []
        for name in ranked:
            if len(charts) >= self.curves or changes[name].value <= 0:
                break
            chart = dependence_chart(sample, name, classes, name in twins, len(charts) + 1)
            charts += [chart] if chart else []
        return charts

    def _charts(self, table: pl.DataFrame, unit: str) -> list[Chart]:
        from mlframe.charts import plots
        from mlframe.charts.svg import number

        charts = []
        parts = [
            ("permutation", "permutation_importance", "Permutation importance", f"rise of the {unit} when shuffled"),
            ("gain", "gain_importance", "Gain importance", "share of the gain in training"),
            ("shap", "shap_importance", "SHAP importance", "mean size of the contribution"),
        ]
        ends = {"permutation": ("low", "high"), "shap": ("shap_low", "shap_high")}
        for column, name, title, label in parts:
            if column not in table.columns:
                continue
            best = table.sort([column, "column"], descending=[True, False]).head(self.top)
            shown = best.filter(pl.col(column) != 0)
            if shown.is_empty():
                continue
            least = 0.01 * max(shown[column].to_list())  # what rounds to nothing leads nothing
            leaders = ", ".join(
                f"{n} ({number(v)})" for n, v in shown.select("column", column).head(3).iter_rows() if v > least
            )
            spread = None
            if column in ends:
                low, high = ends[column]
                spread = ((shown[high] - shown[low]) / 2).to_list()
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


def _contributions(sample: Sample) -> dict[str, tuple[float, float, float]]:
    """Return each column's mean absolute contribution with its 95 % interval; empty when the model cannot tell."""
    given = sample.pipeline.contributions(sample.table.frame)
    if given is None:
        return {}
    values, names = given
    size = np.abs(np.asarray(values)[:, :-1])
    mean: Array = np.average(size, axis=0, weights=sample.weight)
    error = np.sqrt((sample.weight[:, None] ** 2 * (size - mean) ** 2).sum(axis=0)) / sample.weight.sum()
    return {
        name: (float(m), float(m - 1.959964 * e), float(m + 1.959964 * e))
        for name, m, e in zip(names, mean, error, strict=False)
    }
