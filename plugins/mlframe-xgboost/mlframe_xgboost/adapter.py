"""What scikit-learn's interface cannot say about XGBoost's estimators."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost
from sklearn.base import clone, is_classifier

from mlframe.contracts import Adapter, Features, Stop, Told
from mlframe.errors import BundleError
from mlframe_xgboost.estimators import XGBClassifier

if TYPE_CHECKING:
    from mlframe.contracts import Array, Matrix

__all__ = ["XgboostAdapter", "check"]

CLASSES = {"XGBClassifier": XGBClassifier, "XGBRegressor": xgboost.XGBRegressor}
POSITIVE = ("n_estimators", "learning_rate", "max_bin", "max_cat_to_onehot", "max_cat_threshold")
NOT_NEGATIVE = ("max_depth", "max_leaves", "min_child_weight", "gamma", "reg_alpha", "reg_lambda")
FIRST_TOLD = 25
SHARES = ("subsample", "colsample_bytree", "colsample_bynode")


class XgboostAdapter(Adapter):
    """Categories, weights, early stopping, gain, contributions, and XGBoost's own format."""

    categories = True

    def fit(
        self,
        estimator: Any,
        features: Features,
        target: Array,
        *,
        weight: Array | None = None,
        stop: Stop | None = None,
    ) -> None:
        """Fit with categories, weights and early stopping."""
        kinds = ["q"] * len(features.names)
        for index in features.categorical:
            kinds[index] = "c"
        options: dict[str, Any] = {}
        if stop is not None:
            options = _watch(estimator, target, stop)
        estimator.set_params(
            enable_categorical=bool(features.categorical),
            feature_types=kinds if features.categorical else None,
            early_stopping_rounds=stop.rounds if stop is not None and options else None,
            callbacks=[_Teller(stop.told)] if stop is not None and stop.told is not None and options else None,
        )
        try:
            estimator.fit(features.matrix, target, sample_weight=weight, verbose=False, **options)
        finally:
            estimator.set_params(callbacks=None)

    def rounds(self, estimator: Any) -> int:
        """Return the number of rounds that predictions use."""
        booster = estimator.get_booster()
        best = booster.attr("best_iteration")
        return int(booster.num_boosted_rounds()) if best is None else int(best) + 1

    def with_rounds(self, estimator: Any, rounds: int) -> Any:
        """Return an unfitted copy that trains exactly so many rounds."""
        return clone(estimator).set_params(n_estimators=rounds, early_stopping_rounds=None)

    def gain(self, estimator: Any) -> Array:
        """Return the sum of each feature's gains, shape (features,)."""
        gains = np.zeros(estimator.n_features_in_)
        for name, value in estimator.get_booster().get_score(importance_type="total_gain").items():
            gains[int(name[1:])] = value
        return gains

    def contributions(self, estimator: Any, matrix: Matrix) -> Array:
        """Return SHAP values of the raw score (TreeSHAP, Lundberg et al. 2018), the baseline last."""
        rows = xgboost.DMatrix(
            matrix,
            feature_types=estimator.feature_types,
            enable_categorical=bool(estimator.enable_categorical),
            nthread=estimator.n_jobs,
        )
        span = (0, self.rounds(estimator))
        return np.asarray(estimator.get_booster().predict(rows, pred_contribs=True, iteration_range=span))

    def save(self, estimator: Any) -> bytes:
        """Return one line of JSON, then the booster in UBJSON."""
        params = {name: value for name, value in estimator.get_params().items() if _plain(value)}
        head: dict[str, Any] = {"class": type(estimator).__name__, "params": params}
        if is_classifier(estimator):
            head["classes"] = estimator.classes_.tolist()
        return json.dumps(head).encode() + b"\n" + bytes(estimator.get_booster().save_raw("ubj"))

    def load(self, data: bytes) -> Any:
        """Return the estimator that `save` wrote.

        Raises:
            BundleError: the data was not written by `save`.
        """
        line, _, rest = data.partition(b"\n")
        try:
            head = json.loads(line)
            estimator = CLASSES[head["class"]](**head["params"])
            estimator.load_model(bytearray(rest))
            if is_classifier(estimator):
                estimator.codes_ = np.asarray(head["classes"], dtype=np.intp)
                estimator.n_classes_ = len(estimator.codes_)
        except (ValueError, KeyError, TypeError, xgboost.core.XGBoostError) as error:
            raise BundleError(
                f"The saved XGBoost model cannot be read: {error}", hint="restore the file, or train the model again"
            ) from error
        return estimator


class _Teller(xgboost.callback.TrainingCallback):
    """Tells rounds 25, 50, 100, …: early ones soon, late ones seldom."""

    def __init__(self, told: Told) -> None:
        self.told = told

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        done = epoch + 1
        if done % FIRST_TOLD == 0 and (done // FIRST_TOLD).bit_count() == 1:
            (values,) = evals_log["validation_0"].values()
            self.told(done, float(values[-1]), False)
        return False


def check(target: Any, parameters: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each parameter that is out of range."""
    mistakes = []
    for name, value in parameters.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if name in POSITIVE and not (number and value > 0):
            mistakes.append(f"{name} must be a number above 0, got {value!r}")
        elif name in NOT_NEGATIVE and not (number and value >= 0):
            mistakes.append(f"{name} must be a number of 0 or more, got {value!r}")
        elif name in SHARES and not (number and 0 < value <= 1):
            mistakes.append(f"{name} must be a share above 0 and at most 1, got {value!r}")
    for name, allowed in (("grow_policy", ("depthwise", "lossguide")), ("tree_method", ("hist", "approx", "exact"))):
        if parameters.get(name, allowed[0]) not in allowed:
            mistakes.append(f"{name} must be one of {', '.join(allowed)}, got {parameters[name]!r}")
    return mistakes


def _watch(estimator: Any, target: Array, stop: Stop) -> dict[str, Any]:
    """Return the arguments of `fit` that name the rows to stop on; none are left when no class is known."""
    matrix: Any = stop.matrix
    truth, weight = stop.target, stop.weight
    if is_classifier(estimator):
        known = np.isin(truth, np.unique(target))  # a class that no train row has cannot be scored
        matrix, truth, weight = matrix[known], truth[known], None if weight is None else weight[known]
    if not len(truth):
        return {}
    return {"eval_set": [(matrix, truth)], "sample_weight_eval_set": None if weight is None else [weight]}


def _plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return isinstance(value, str | bool | int) or (isinstance(value, float) and value == value)
