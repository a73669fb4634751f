"""Judges of predictions: figures with intervals, and the pictures that explain them."""

from __future__ import annotations

from mlframe import Component, hookimpl


@hookimpl
def mlframe_evaluators() -> list[Component]:
    """Offer the built-in evaluators."""
    return [
        Component(
            "classification",
            "mlframe.evaluators.classification:ClassificationEvaluator",
            "ROC AUC, log loss, F1 and more with intervals; curves, confusion, calibration, thresholds",
        ),
        Component(
            "regression",
            "mlframe.evaluators.regression:RegressionEvaluator",
            "RMSE, MAE, R2, MAPE and pinball loss with intervals; predicted against true, residuals",
        ),
        Component(
            "importance",
            "mlframe.evaluators.importance:ImportanceEvaluator",
            "Which input columns the model uses and how: permutation, gain, SHAP, dependence; keep, drop, try",
        ),
        Component(
            "slices",
            "mlframe.evaluators.slices:SlicesEvaluator",
            "Where the model is worst: groups of out-of-fold rows of one or two columns",
        ),
        Component(
            "mistakes",
            "mlframe.evaluators.mistakes:MistakesEvaluator",
            "The worst mistakes row by row, columns that predictions are off by, labels that look wrong",
        ),
        Component(
            "fairness",
            "mlframe.evaluators.fairness:FairnessEvaluator",
            "How differently groups of protected columns are treated, with intervals",
        ),
        Component(
            "robustness",
            "mlframe.evaluators.robustness:RobustnessEvaluator",
            "How the model bears damaged input: missing, unseen, noisy or misspelt values",
        ),
        Component(
            "service",
            "mlframe.evaluators.service:ServiceEvaluator",
            "What a prediction costs: latency, throughput, size of the saved pipeline",
        ),
    ]
