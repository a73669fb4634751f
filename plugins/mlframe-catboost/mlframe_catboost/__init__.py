"""CatBoost for mlframe. Nothing heavy is imported before the model is picked."""

from __future__ import annotations

from mlframe import Component, hookimpl

__all__ = ["mlframe_config", "mlframe_models"]
__version__ = "0.1.0"


@hookimpl
def mlframe_models() -> list[Component]:
    """Offer CatBoost."""
    return [
        Component(
            "catboost",
            {
                "classification": "mlframe_catboost.estimators:CatBoostClassifier",
                "regression": "mlframe_catboost.estimators:CatBoostRegressor",
            },
            "Gradient boosting (CatBoost): early stopping, ordered statistics of categories, missing values",
            adapter="mlframe_catboost.adapter:CatboostAdapter",
            check="mlframe.models.checks:constraints",
        )
    ]


@hookimpl
def mlframe_config() -> list[str]:
    """Offer the folder with `model/catboost.yaml`."""
    return ["pkg://mlframe_catboost.conf"]
