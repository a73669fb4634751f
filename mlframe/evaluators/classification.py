"""Figures and pictures of class predictions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from mlframe import stats
from mlframe.contracts import Chart, Evaluation, Evaluator, Figure, Interval, Judged
from mlframe.errors import ParameterError

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt
    import polars as pl

    Array = npt.NDArray[Any]

__all__ = ["ClassificationEvaluator"]

TASKS = ("binary", "multiclass")
FIGURES = (
    Figure(
        "roc_auc", "higher", "1", TASKS, "How often a random positive is ranked above a random negative", low=0, high=1
    ),
    Figure(
        "average_precision",
        "higher",
        "1",
        TASKS,
        "Precision averaged over all recalls; suits rare positives",
        low=0,
        high=1,
    ),
    Figure("log_loss", "lower", "1", TASKS, "How wrong the probabilities are; sure mistakes cost most", low=0),
    Figure("brier", "lower", "1", TASKS, "Mean squared error of the probabilities", low=0, high=2),
    Figure(
        "f1", "higher", "1", TASKS, "Harmonic mean of precision and recall at the decision threshold", low=0, high=1
    ),
    Figure("precision", "higher", "1", TASKS, "Share of the called positives that are positive", low=0, high=1),
    Figure("recall", "higher", "1", TASKS, "Share of the positives that are found", low=0, high=1),
    Figure(
        "mcc", "higher", "1", TASKS, "Correlation of decision and truth; 0 is no better than guessing", low=-1, high=1
    ),
    Figure("accuracy", "higher", "1", TASKS, "Share of the rows that get the right class", low=0, high=1),
)
MOST_CURVES = 5
"""Classes that get a curve of their own; of more, the ones with the most rows are drawn."""


class ClassificationEvaluator(Evaluator):
    """Judge class predictions; values equal scikit-learn's with `sample_weight`.

    With two classes precision, recall, F1, ROC AUC and average precision are those of the second, positive class; with
    more they are the plain mean over the classes, one against the rest (macro). Figures that the rows do not define
    (ROC AUC of rows of one class, for example) are left out.

    Args:
        bootstrap: number of resamples for the 95 % intervals; 0 gives none.
        seed: seed of the resamples.

    Raises:
        ParameterError: `bootstrap` is negative.
    """

    tasks = TASKS

    def __init__(self, bootstrap: int = 1000, seed: int = 0) -> None:
        if bootstrap < 0:
            raise ParameterError(
                "classification: bootstrap must be 0 or more",
                value=bootstrap,
                where="evaluators.classification.bootstrap",
                hint="1000 resamples give steady intervals; 0 gives none",
            )
        self.bootstrap = bootstrap
        self.seed = seed

    def declares(self) -> Sequence[Figure]:
        """Return the nine figures."""
        return FIGURES

    def evaluate(self, judged: Judged) -> Evaluation:
        """Return figures with intervals; curves, confusion, calibration and thresholds when pictures are wanted."""
        said = judged.predictions
        y, proba, weight = said.y, said.proba, said.weight
        scores = stats.Scores(said.y_pred, proba)
        found = stats.estimate(y, scores, weight, resamples=self.bootstrap if judged.intervals else 0, seed=self.seed)
        figures = {name: Interval(item.value, item.low, item.high) for name, item in found.items()}
        if not judged.pictures or len(y) == 0:
            return Evaluation(figures)
        charts, tables = _pictures(y, scores.predicted, proba, weight, said.classes, figures)
        return Evaluation(figures, charts, tables)


def _pictures(
    y: Array, predicted: Array, proba: Array, weight: Array, classes: tuple[str, ...], figures: dict[str, Interval]
) -> tuple[list[Chart], dict[str, pl.DataFrame]]:
    import polars as pl

    from mlframe.charts import plots

    cells = stats.confusion(y, predicted, weight, len(classes))
    right = float(np.trace(cells) / cells.sum()) if cells.sum() else float("nan")
    alt = f"{right:.1%} of the rows get the right class."
    if len(classes) == 2:
        alt += (
            f" Of {cells[1].sum():.0f} rows that are {classes[1]}, {cells[1, 1]:.0f} are found;"
            f" of {cells[0].sum():.0f} that are {classes[0]}, {cells[0, 1]:.0f} are called {classes[1]}."
        )
    charts = [plots.matrix("confusion", "Confusion matrix", alt, classes, cells)]
    tables = {
        "confusion": pl.DataFrame({"true": list(classes)}).with_columns(
            [pl.Series(f"predicted {name}", cells[:, k]) for k, name in enumerate(classes)]
        )
    }
    rows = np.bincount(y, minlength=len(classes))
    common = sorted(np.argsort(-rows, kind="stable")[:MOST_CURVES].tolist())
    drawn = [k for k in ([1] if len(classes) == 2 else common) if 0 < rows[k] < len(y)]
    if not drawn:
        return charts, tables
    charts += _curves(y, proba, weight, classes, drawn, figures)
    if len(classes) == 2:
        at = np.round(np.arange(0.05, 1.0, 0.05), 2)
        table = stats.threshold_rows(y == 1, proba[:, 1], weight, at)
        tables["thresholds"] = pl.DataFrame(table).with_columns(pl.col("precision").fill_nan(None))
        best = int(np.argmax(table["f1"]))
        alt = (
            f"F1 is highest, {table['f1'][best]:.2f}, at the threshold {at[best]:.2f}: precision"
            f" {table['precision'][best]:.2f}, recall {table['recall'][best]:.2f}, {table['flagged'][best]:.1%} of the"
            f" rows called {classes[1]}."
        )
        known = np.isfinite(table["precision"])
        series = [
            plots.Series("precision", at[known], table["precision"][known]),
            plots.Series("recall", at, table["recall"]),
            plots.Series("F1", at, table["f1"]),
        ]
        title = f"Where to call a row {classes[1]}"
        charts.append(
            plots.lines(
                "thresholds", title, alt, series, x="decision threshold", y="", x_range=(0, 1), y_range=(0, 1.02)
            )
        )  # fmt: skip
    return charts, tables


def _curves(
    y: Array,
    proba: Array,
    weight: Array,
    classes: tuple[str, ...],
    drawn: list[int],
    figures: dict[str, Interval],
) -> list[Chart]:
    from mlframe.charts import plots

    roc, recall, calibration = [], [], []
    shares = []
    for k in drawn:
        label, positive, score = classes[k], y == k, proba[:, k]
        roc.append(plots.Series(label, *stats.roc_points(positive, score, weight)))
        recall.append(plots.Series(label, *stats.precision_recall_points(positive, score, weight)))
        bins = stats.calibration_bins(positive, score, weight)
        ends = {"low": bins["low"], "high": bins["high"]} if len(drawn) == 1 else {}
        calibration.append(plots.Series(label, bins["said"], bins["seen"], marks=True, **ends))
        shares.append(float(weight[positive].sum() / weight.sum()))
    unit = partial(plots.lines, x_range=(0.0, 1.0), y_range=(0.0, 1.02))
    bins = stats.calibration_bins(y == drawn[-1], proba[:, drawn[-1]], weight)
    gap = float(np.average(np.abs(bins["said"] - bins["seen"]), weights=bins["rows"]))
    base = (0.0, shares[0], 1.0, shares[0]) if len(drawn) == 1 else None
    return [
        unit(
            "roc", "ROC curve", f"Area under the curve {_words(figures.get('roc_auc'))}; 0.5 is guessing.", roc,
            x="false positive rate", y="true positive rate", rule=(0, 0, 1, 1),
        ),
        unit(
            "precision_recall", "Precision and recall",
            f"Average precision {_words(figures.get('average_precision'))}; guessing would give {max(shares):.2f}.",
            recall, x="recall", y="precision", rule=base
        ),
        unit(
            "calibration", "Calibration: what was said, what happened",
            f"Predicted and observed share of {classes[drawn[-1]]} differ by {gap:.3f} on average over"
            f" {len(bins['rows'])} groups of rows; the dotted line is perfect.",
            calibration, x="predicted probability", y="observed share", rule=(0, 0, 1, 1)
        ),
    ]  # fmt: skip


def _words(interval: Interval | None) -> str:
    if interval is None:
        return "unknown"
    if interval.low is None or interval.high is None:
        return f"{interval.value:.3f}"
    return f"{interval.value:.3f} (95 % interval {interval.low:.3f} to {interval.high:.3f})"
