"""XGBoost for mlframe. Nothing heavy is imported before the model is picked."""

from __future__ import annotations

from mlframe import Component, hookimpl

__all__ = ["mlframe_config", "mlframe_models"]
__version__ = "0.1.0"

PARAMETERS = (
    "n_estimators",
    "learning_rate",
    "max_depth",
    "max_leaves",
    "max_bin",
    "grow_policy",
    "tree_method",
    "min_child_weight",
    "gamma",
    "subsample",
    "colsample_bytree",
    "colsample_bynode",
    "reg_alpha",
    "reg_lambda",
    "max_cat_to_onehot",
    "max_cat_threshold",
    "random_state",
    "n_jobs",
    "device",
    "verbosity",
)


@hookimpl
def mlframe_models() -> list[Component]:
    """Offer XGBoost."""
    return [
        Component(
            "xgboost",
            {
                "classification": "mlframe_xgboost.estimators:XGBClassifier",
                "regression": "xgboost.sklearn:XGBRegressor",
            },
            "Gradient boosting (XGBoost): early stopping, native categories, missing values, sparse text",
            adapter="mlframe_xgboost.adapter:XgboostAdapter",
            parameters=PARAMETERS,
            check="mlframe_xgboost.adapter:check",
        )
    ]


@hookimpl
def mlframe_config() -> list[str]:
    """Offer the folder with `model/xgboost.yaml`."""
    return ["pkg://mlframe_xgboost.conf"]
