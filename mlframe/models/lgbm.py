"""LightGBM: early stopping, native categories, weights, gain and contributions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import scipy.sparse as sp
from sklearn.base import clone

from mlframe.contracts import Adapter, Features, Stop, Told
from mlframe.errors import DataError
from mlframe.models import lgbm_fast, lgbm_saved

if TYPE_CHECKING:
    from mlframe.contracts import Array, Matrix

__all__ = ["LgbmAdapter", "check"]

POSITIVE = ("num_leaves", "learning_rate", "n_estimators", "subsample_for_bin", "max_bin")
NOT_NEGATIVE = ("min_split_gain", "min_child_weight", "min_child_samples", "subsample_freq", "reg_alpha", "reg_lambda")
AUTO = "auto"
"""An objective that follows the target as well as the task."""
AMOUNTS = "poisson"
"""What it is for values of which none is negative."""
FIRST_TOLD = 25
"""The first round that is told; then every doubling."""
SHARES = ("subsample", "colsample_bytree")


class LgbmAdapter(Adapter):
    """What scikit-learn's interface cannot say about LightGBM's estimators."""

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
        """Fit with categories, weights and early stopping.

        The objective `auto` becomes Poisson's for values of which none is negative: what is learned is still their mean, as
        the exponential of a sum, which suits effects that multiply. Stopping watches the squared error all the same.
        """
        options: dict[str, Any] = {"categorical_feature": list(features.categorical)} if features.categorical else {}
        if estimator.objective == AUTO:
            amounts = isinstance(estimator, lightgbm.LGBMRegressor) and target.min() >= 0 and target.max() > 0
            estimator.set_params(objective=AMOUNTS if amounts else None)
            if amounts:
                options["eval_metric"] = "l2"
        if stop is not None:
            options |= _watch(estimator, target, stop)
        estimator.fit(features.matrix, target, sample_weight=weight, **options)

    def stops(self, estimator: Any) -> bool:
        """Whether it can stop early: dart cannot, since its later rounds change the weights of earlier trees."""
        return str(estimator.boosting_type) != "dart"

    def rounds(self, estimator: Any) -> int:
        """Return the number of rounds that predictions use."""
        return int(estimator.best_iteration_ or estimator.n_estimators_)

    def save(self, estimator: Any) -> bytes:
        """Return the booster's own text behind a line of JSON."""
        return lgbm_saved.dump(estimator)

    def load(self, data: bytes) -> Any:
        """Return a model that predicts what the saved one did.

        Raises:
            BundleError: the data was not written by `save`.
        """
        return lgbm_saved.load(data)

    def fast(self, estimator: Any) -> Callable[[Matrix], Array]:
        """Return the booster's own predict without what is around it, and bit masks for more than a few dense rows."""
        return lgbm_fast.predictor(estimator, self.rounds(estimator))

    def with_rounds(self, estimator: Any, rounds: int) -> Any:
        """Return an unfitted copy that trains exactly so many rounds."""
        return clone(estimator).set_params(n_estimators=rounds)

    def learn_on(
        self,
        estimator: Any,
        fitted: Any,
        features: Features,
        target: Array,
        *,
        weight: Array | None = None,
        rounds: int | None = None,
        leaves: bool = False,
    ) -> Any:
        """Return the fitted model with more trees that new rows have taught, or with leaves that they have moved.

        https://lightgbm.readthedocs.io/en/stable/Parameters.html#input_model, and `Booster.refit`, which keeps the trees.

        Raises:
            DataError: the new rows lack a class.
        """
        codes = getattr(fitted, "classes_", None)
        if codes is not None and len(np.unique(target)) < len(codes):
            hint = "wait for more rows, or set update.how=scratch"
            raise DataError("The new rows lack a class, so that the model cannot learn on from them", hint=hint)
        if leaves:
            given = {} if weight is None else {"weight": weight}
            booster = fitted.booster_.refit(features.matrix, np.asarray(target, dtype=np.float64), **given)
            if codes is None:
                return lgbm_saved.LgbmRegressor(booster, estimator.n_jobs)
            return lgbm_saved.LgbmClassifier(booster, estimator.n_jobs, [int(code) for code in codes])
        more = clone(estimator).set_params(n_estimators=rounds or estimator.n_estimators)
        if more.objective == AUTO:  # more trees for the score that the first ones have
            first = str(fitted.booster_.dump_model(num_iteration=1)["objective"]).split()[0]
            more.set_params(objective=AMOUNTS if first == AMOUNTS else None)
        options: dict[str, Any] = {"categorical_feature": list(features.categorical)} if features.categorical else {}
        more.fit(features.matrix, target, sample_weight=weight, init_model=fitted.booster_, **options)
        return more

    def gain(self, estimator: Any) -> Array:
        """Return the sum of each feature's gains, shape (features,)."""
        booster = estimator.booster_
        return np.asarray(booster.feature_importance("gain", iteration=self.rounds(estimator)), dtype=np.float64)

    def contributions(self, estimator: Any, matrix: Matrix) -> Array:
        """Return SHAP values of the raw score (TreeSHAP, Lundberg et al. 2018), the baseline last."""
        given = estimator.predict(matrix, pred_contrib=True)
        width = matrix.shape[1] + 1
        if isinstance(given, list):  # LightGBM answers a sparse matrix of several classes with one matrix a class
            return np.stack([np.asarray(part.toarray()) for part in given], axis=1)
        dense = np.asarray(given.toarray() if sp.issparse(given) else given)
        return dense if dense.shape[1] == width else dense.reshape(len(dense), -1, width)


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
    if parameters.get("num_leaves") == 1:
        mistakes.append("num_leaves must be at least 2, got 1")
    boosting = parameters.get("boosting_type", "gbdt")
    if boosting not in ("gbdt", "dart", "rf"):
        mistakes.append(f"boosting_type must be gbdt, dart or rf, got {boosting!r}")
    if parameters.get("class_weight") is not None and not issubclass(target, lightgbm.LGBMClassifier):
        mistakes.append("class_weight is for classification; set it to null")
    return mistakes


def _watch(estimator: Any, target: Array, stop: Stop) -> dict[str, Any]:
    """Return the arguments of `fit` that stop early on the given rows."""
    matrix: Any = stop.matrix
    truth, weight = stop.target, stop.weight
    if isinstance(estimator, lightgbm.LGBMClassifier):
        known = np.isin(truth, np.unique(target))  # a class that no train row has cannot be scored
        matrix, truth, weight = matrix[known], truth[known], None if weight is None else weight[known]
    if not len(truth):
        return {}
    weights = None if weight is None else [weight]
    callbacks: list[Any] = [lightgbm.early_stopping(stop.rounds, verbose=False)]
    if stop.told is not None:
        callbacks.append(_teller(stop.told))
    watched = {"eval_sample_weight": weights, "callbacks": callbacks}
    if "eval_X" in inspect.signature(estimator.fit).parameters:
        return {"eval_X": matrix, "eval_y": truth, **watched}
    return {"eval_set": [(matrix, truth)], **watched}  # LightGBM before 4.7


def _teller(told: Told) -> Callable[[Any], None]:
    """Return a callback that tells rounds 25, 50, 100, …: early ones soon, late ones seldom."""

    def tell(env: Any) -> None:
        done = env.iteration + 1
        if done >= FIRST_TOLD and (done // FIRST_TOLD).bit_count() == 1 and done % FIRST_TOLD == 0:
            _, _, value, higher = env.evaluation_result_list[0][:4]
            told(done, float(value), bool(higher))

    return tell
