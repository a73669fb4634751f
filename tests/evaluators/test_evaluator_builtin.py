from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn import metrics

from mlframe.contracts import Judged, Predictions
from mlframe.errors import ParameterError
from mlframe.evaluators.classification import ClassificationEvaluator
from mlframe.evaluators.importance import ImportanceEvaluator
from mlframe.evaluators.regression import RegressionEvaluator


def classes(rows: int = 400, names: tuple[str, ...] = ("ham", "spam"), seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(names), rows)
    logits = rng.normal(size=(rows, len(names)))
    logits[np.arange(rows), y] += 1.5
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    frame = pl.DataFrame(
        {
            "row_id": np.arange(rows, dtype=np.uint32),
            "fold": np.full(rows, -1, dtype=np.int32),
            "y": [names[k] for k in y],
            "y_pred": [names[k] for k in proba.argmax(axis=1)],
            **{f"p_{name}": proba[:, k] for k, name in enumerate(names)},
            "weight": np.ones(rows),
        }
    )
    return Predictions(frame, "binary" if len(names) == 2 else "multiclass", names, "holdout")


def values(rows: int = 400, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    y = rng.normal(10, 3, rows)
    frame = pl.DataFrame(
        {
            "row_id": np.arange(rows, dtype=np.uint32),
            "fold": np.full(rows, -1, dtype=np.int32),
            "y": y,
            "y_pred": y + rng.normal(size=rows),
            "weight": np.ones(rows),
        }
    )
    return Predictions(frame, "regression", (), "holdout")


def test_binary_figures_charts_and_tables() -> None:
    said = classes()
    found = ClassificationEvaluator(bootstrap=100).evaluate(Judged(said))
    assert set(found.figures) == {figure.name for figure in ClassificationEvaluator().declares()}
    auc = found.figures["roc_auc"]
    assert auc.value == pytest.approx(metrics.roc_auc_score(said.y, said.proba[:, 1]))
    assert auc.low is not None
    assert auc.high is not None
    assert auc.low < auc.value < auc.high
    assert [chart.name for chart in found.charts] == [
        "confusion", "roc", "precision_recall", "calibration", "thresholds"
    ]  # fmt: skip
    assert f"{auc.value:.3f}" in found.charts[1].alt
    assert found.tables["confusion"].select("predicted ham", "predicted spam").sum_horizontal().sum() == 400
    assert found.tables["thresholds"]["recall"].is_sorted(descending=True)


def test_multiclass_draws_one_curve_a_class() -> None:
    found = ClassificationEvaluator(bootstrap=20).evaluate(Judged(classes(300, ("a", "b", "c"))))
    assert len(found.figures) == 9
    roc = next(chart for chart in found.charts if chart.name == "roc")
    assert roc.svg.count("<polyline") == 3
    assert "thresholds" not in found.tables


def test_one_class_in_the_rows_leaves_figures_out_and_still_draws() -> None:
    said = classes()
    only = Predictions(said.frame.filter(pl.col("y") == "ham"), "binary", said.classes, "holdout")
    found = ClassificationEvaluator(bootstrap=50).evaluate(Judged(only))
    assert set(found.figures) == {"log_loss", "brier", "accuracy"}
    assert [chart.name for chart in found.charts] == ["confusion"]


def test_no_rows_are_no_figures() -> None:
    said = classes()
    none = Predictions(said.frame.clear(), "binary", said.classes, "holdout")
    assert ClassificationEvaluator().evaluate(Judged(none)).figures == {}
    assert (
        RegressionEvaluator().evaluate(Judged(Predictions(values().frame.clear(), "regression", (), "live"))).figures
        == {}
    )


def test_regression_figures_charts_and_tables() -> None:
    said = values()
    found = RegressionEvaluator(bootstrap=100, quantile=0.9).evaluate(Judged(said))
    assert set(found.figures) == {"rmse", "mae", "r2", "mape", "pinball"}
    assert found.figures["pinball"].value == pytest.approx(metrics.mean_pinball_loss(said.y, said.y_pred, alpha=0.9))
    assert {chart.name for chart in found.charts} == {"predicted_true", "residuals", "residual_distribution"}
    assert found.tables["residuals"]["rows"].sum() == 400


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ClassificationEvaluator(bootstrap=-1), "bootstrap"),
        (lambda: RegressionEvaluator(bootstrap=-1), "bootstrap"),
        (lambda: RegressionEvaluator(quantile=1.0), "quantile"),
        (lambda: ImportanceEvaluator(rows=0), "rows"),
    ],
)
def test_impossible_parameters_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()


def test_scoring_without_pictures_imports_no_drawing() -> None:
    code = """
import sys
import polars as pl
from mlframe.contracts import Judged, Predictions
from mlframe.evaluators.classification import ClassificationEvaluator
from mlframe.evaluators.regression import RegressionEvaluator
import mlframe.evaluators.importance
frame = pl.DataFrame({"y": ["a", "b"], "y_pred": ["a", "b"], "p_a": [0.9, 0.2], "p_b": [0.1, 0.8], "weight": [1.0, 1.0]})
found = ClassificationEvaluator().evaluate(Judged(Predictions(frame, "binary", ("a", "b"), "folds"), pictures=False))
assert len(found.figures) == 9 and not found.charts and not found.tables
names = ("matplotlib", "jinja2", "sklearn", "scipy", "pandas", "mlframe.charts.plots")
sys.exit(", ".join(name for name in names if name in sys.modules) or None)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_intervals_are_left_out_when_not_wanted(task: str) -> None:
    evaluator = ClassificationEvaluator() if task == "binary" else RegressionEvaluator()
    said = classes() if task == "binary" else values()
    found = evaluator.evaluate(Judged(said, pictures=False, intervals=False)).figures
    assert len(found) >= 5
    assert all(item.low is None and item.high is None for item in found.values())
