"""Figures and pictures of predicted values."""

from __future__ import annotations

from collections.abc import Sequence
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

__all__ = ["RegressionEvaluator"]

TASKS = ("regression",)


class RegressionEvaluator(Evaluator):
    """Judge predicted values; values equal scikit-learn's with `sample_weight`.

    Left out is what the rows do not define: R2 of a constant target, MAPE of a target that is zero somewhere.

    Args:
        bootstrap: number of resamples for the 95 % intervals; 0 gives none.
        quantile: quantile whose pinball loss is measured, between 0 and 1; 0.5 is half the mean absolute error.
        seed: seed of the resamples.

    Raises:
        ParameterError: `bootstrap` is negative or `quantile` not between 0 and 1.
    """

    tasks = TASKS

    def __init__(self, bootstrap: int = 1000, quantile: float = 0.5, seed: int = 0) -> None:
        if bootstrap < 0:
            raise ParameterError(
                "regression: bootstrap must be 0 or more",
                value=bootstrap,
                where="evaluators.regression.bootstrap",
                hint="1000 resamples give steady intervals; 0 gives none",
            )
        if not 0 < quantile < 1:
            raise ParameterError(
                "regression: quantile must lie between 0 and 1",
                value=quantile,
                where="evaluators.regression.quantile",
                hint="0.9 judges a forecast that is to be passed in one case of ten",
            )
        self.bootstrap = bootstrap
        self.quantile = quantile
        self.seed = seed

    def declares(self) -> Sequence[Figure]:
        """Return the five figures."""
        return (
            Figure("rmse", "lower", "target", TASKS, "Typical size of the error; large errors weigh most", low=0),
            Figure("mae", "lower", "target", TASKS, "Mean size of the error", low=0),
            Figure("r2", "higher", "1", TASKS, "Share of the target's variance that is explained", high=1),
            Figure("mape", "lower", "1", TASKS, "Mean error as a share of the true value", low=0),
            Figure("pinball", "lower", "target", TASKS, f"Loss of a forecast of the {self.quantile:g} quantile", low=0),
        )

    def evaluate(self, judged: Judged) -> Evaluation:
        """Return figures with intervals; predicted against true and residuals when pictures are wanted."""
        said = judged.predictions
        y = np.asarray(said.y, dtype=np.float64)
        predicted = np.asarray(said.y_pred, dtype=np.float64)
        found = stats.estimate(
            y,
            stats.Scores(predicted),
            said.weight,
            resamples=self.bootstrap if judged.intervals else 0,
            seed=self.seed,
            quantile=self.quantile,
        )
        figures = {name: Interval(item.value, item.low, item.high) for name, item in found.items()}
        if not judged.pictures or len(y) == 0:
            return Evaluation(figures)
        return Evaluation(figures, _charts(y, predicted), {"residuals": _table(y, predicted)})


def _charts(y: Array, predicted: Array) -> list[Chart]:
    from mlframe.charts import plots
    from mlframe.charts.svg import number

    residual = y - predicted
    low, middle, high = (float(q) for q in np.quantile(residual, [0.05, 0.5, 0.95]))
    inner = residual[(residual >= np.quantile(residual, 0.005)) & (residual <= np.quantile(residual, 0.995))]
    counts, edges = np.histogram(inner, bins=30)
    between = f"nine residuals of ten lie between {number(low)} and {number(high)}"
    return [
        plots.density(
            "predicted_true",
            "Predicted against true",
            f"{len(y)} rows; the dotted line is perfect; {between}.",
            y,
            predicted,
            x="true value",
            y="predicted value",
        ),
        plots.density(
            "residuals",
            "Residuals by prediction",
            f"True minus predicted value; the median is {number(middle)}, {between}.",
            predicted,
            residual,
            x="predicted value",
            y="true - predicted",
            rule="zero",
        ),
        plots.histogram(
            "residual_distribution",
            "Distribution of residuals",
            f"The median residual is {number(middle)}; {between}. The outermost percent is not drawn.",
            edges,
            [("rows", counts / len(y))],
            x="true - predicted",
        ),
    ]


def _table(y: Array, predicted: Array) -> pl.DataFrame:
    """Return errors by tenths of the prediction: where the model is wrong."""
    import polars as pl

    codes = stats.quantile_bins(predicted, 10)
    frame = pl.DataFrame({"tenth": codes + 1, "true": y, "predicted": predicted})
    return (
        frame.group_by("tenth")
        .agg(
            rows=pl.len(),
            predicted=pl.col("predicted").mean(),
            true=pl.col("true").mean(),
            mae=(pl.col("true") - pl.col("predicted")).abs().mean(),
        )
        .sort("tenth")
    )
