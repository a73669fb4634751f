"""CatBoost behind scikit-learn's interface: matrices of floats with category codes go in.

CatBoost wants categories as integers and takes no float for them, so each call builds a frame of the two kinds.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import catboost  # type: ignore[import-untyped]
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils._param_validation import Interval, StrOptions

if TYPE_CHECKING:
    from mlframe.contracts import Array

__all__ = ["CatBoostClassifier", "CatBoostRegressor"]

POLICIES = Literal["SymmetricTree", "Depthwise", "Lossguide"]
DEVICES = Literal["CPU", "GPU"]
RENAMED = {"n_estimators": "iterations", "random_state": "random_seed", "n_jobs": "thread_count"}
SHARED: dict[str, list[Any]] = {
    "n_estimators": [Interval(Integral, 1, None, closed="left")],
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "depth": [Interval(Integral, 1, 16, closed="both")],
    "l2_leaf_reg": [Interval(Real, 0, None, closed="left")],
    "random_strength": [Interval(Real, 0, None, closed="left")],
    "bagging_temperature": [Interval(Real, 0, None, closed="left")],
    "rsm": [Interval(Real, 0, 1, closed="right")],
    "border_count": [Interval(Integral, 1, 65535, closed="both")],
    "max_ctr_complexity": [Interval(Integral, 1, 16, closed="both")],
    "leaf_estimation_iterations": [Interval(Integral, 1, None, closed="left")],
    "one_hot_max_size": [Interval(Integral, 1, None, closed="left")],
    "min_data_in_leaf": [Interval(Integral, 1, None, closed="left")],
    "grow_policy": [StrOptions({"SymmetricTree", "Depthwise", "Lossguide"})],
    "task_type": [StrOptions({"CPU", "GPU"})],
    "devices": [str, Interval(Integral, 0, None, closed="left"), None],
}


class _CatBoost(BaseEstimator):  # type: ignore[misc]
    """What both have in common: parameters by their usual names, and pools of rows."""

    n_estimators: int
    task_type: DEVICES
    devices: str | int | None
    model_: Any

    def pool(self, X: Any, y: Any = None, weight: Any = None) -> Any:
        """Return rows as CatBoost wants them.

        Args:
            X: shape (rows, features), floats; codes in the columns `categorical_`, NaN = missing.
            y: codes or values.
            weight: shape (rows,).
        """
        matrix = np.asarray(X)
        if not self.categorical_:
            # CatBoost refuses arrays that cannot be written, such as memory-mapped ones.
            return catboost.Pool(np.require(matrix, requirements="W"), y, weight=weight)
        import pandas as pd

        chosen = set(self.categorical_)
        columns = {
            index: np.where(np.isnan(values), -1, values).astype(np.int32) if index in chosen else values.copy()
            for index, values in enumerate(matrix.T)
        }
        return catboost.Pool(pd.DataFrame(columns), y, cat_features=self.categorical_, weight=weight)

    def train(
        self,
        X: Any,
        y: Any,
        weight: Any,
        categorical: Sequence[int],
        stop: Any,
        rounds: int | None,
        callback: Any = None,
    ) -> None:
        """Fit.

        Args:
            X: shape (rows, features).
            y: codes or values.
            weight: shape (rows,) or None.
            categorical: columns that hold category codes.
            stop: (X, y, weight) to stop early on, or None.
            rounds: stop when so many rounds bring nothing better.
            callback: called after each round (CatBoost's `after_iteration`), None for nobody.
        """
        self._validate_params()
        self.categorical_ = [int(index) for index in categorical]
        self.n_features_in_ = X.shape[1]
        watched = None if stop is None else self.pool(*stop)
        self.model_ = self._new()
        self.model_.fit(
            self.pool(X, y, weight),
            eval_set=watched,
            use_best_model=watched is not None,
            early_stopping_rounds=None if watched is None else rounds,
            # CatBoost tells nobody of rounds on a GPU.
            callbacks=None if watched is None or callback is None or self.task_type == "GPU" else [callback],
        )

    def _options(self) -> dict[str, Any]:
        # What CatBoost would choose by the planned number of rounds (leaf_estimation_iterations, max_ctr_complexity) is a
        # parameter here, so that as many rounds as early stopping left give the same trees.
        params = {RENAMED.get(name, name): value for name, value in self.get_params(deep=False).items()}
        if self.task_type == "GPU":  # it has no share of features a split there, and refuses to be told of one
            params.pop("rsm")
            params["devices"] = None if self.devices is None else str(self.devices)
        else:  # a processor has no number
            del params["devices"]
        silent = {"logging_level": "Silent", "allow_writing_files": False, "allow_const_label": True}
        # Bayesian bootstrap is what bagging_temperature belongs to; else CatBoost picks by the number of rows.
        return {**params, **silent, "bootstrap_type": "Bayesian"}

    def _new(self) -> Any:
        raise NotImplementedError

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class CatBoostClassifier(ClassifierMixin, _CatBoost):  # type: ignore[misc]
    """Gradient boosting with ordered target statistics (Prokhorenkova et al. 2018) for classes.

    Args:
        n_estimators: most rounds.
        learning_rate: weight of each new tree.
        depth: levels of a tree.
        l2_leaf_reg: L2 regularisation.
        random_strength: randomness in the choice of splits.
        bagging_temperature: randomness of the rows' weights.
        rsm: share of features a split.
        border_count: most bins of a feature.
        max_ctr_complexity: most categorical columns that are combined into one.
        leaf_estimation_iterations: steps that find a leaf's value.
        one_hot_max_size: columns with so many categories or fewer are one-hot.
        min_data_in_leaf: least rows in a leaf.
        grow_policy: how trees grow.
        balanced: weigh each class by the inverse of its share.
        random_state: seed.
        n_jobs: threads.
        task_type: whether a GPU trains.
        devices: which GPUs, such as 0 or "0:1"; None is all.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {**SHARED, "balanced": ["boolean"]}

    def __init__(
        self,
        n_estimators: int = 1000,
        learning_rate: float = 0.05,
        depth: int = 6,
        l2_leaf_reg: float = 3.0,
        random_strength: float = 1.0,
        bagging_temperature: float = 1.0,
        rsm: float = 1.0,
        border_count: int = 254,
        max_ctr_complexity: int = 4,
        leaf_estimation_iterations: int = 10,
        one_hot_max_size: int = 2,
        min_data_in_leaf: int = 1,
        grow_policy: POLICIES = "SymmetricTree",
        balanced: bool = False,
        random_state: int | None = None,
        n_jobs: int | None = None,
        task_type: DEVICES = "CPU",
        devices: str | int | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.depth = depth
        self.l2_leaf_reg = l2_leaf_reg
        self.random_strength = random_strength
        self.bagging_temperature = bagging_temperature
        self.rsm = rsm
        self.border_count = border_count
        self.max_ctr_complexity = max_ctr_complexity
        self.leaf_estimation_iterations = leaf_estimation_iterations
        self.one_hot_max_size = one_hot_max_size
        self.min_data_in_leaf = min_data_in_leaf
        self.grow_policy = grow_policy
        self.balanced = balanced
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.task_type = task_type
        self.devices = devices

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> CatBoostClassifier:
        """Fit on codes, all columns numbers."""
        self.train(X, y, sample_weight, (), None, None)
        return self

    @property
    def classes_(self) -> Array:
        """Codes, shape (classes,)."""
        return np.asarray(self.model_.classes_).astype(np.intp)

    def predict_proba(self, X: Any) -> Array:
        """Return probabilities, shape (rows, classes)."""
        return np.asarray(self.model_.predict_proba(self.pool(X)))

    def predict(self, X: Any) -> Array:
        """Return the likeliest codes, shape (rows,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def _new(self) -> Any:
        options = self._options()
        balanced = options.pop("balanced")
        return catboost.CatBoostClassifier(**options, auto_class_weights="Balanced" if balanced else None)


class CatBoostRegressor(RegressorMixin, _CatBoost):  # type: ignore[misc]
    """Gradient boosting with ordered target statistics (Prokhorenkova et al. 2018) for values.

    Args:
        n_estimators: most rounds.
        learning_rate: weight of each new tree.
        depth: levels of a tree.
        l2_leaf_reg: L2 regularisation.
        random_strength: randomness in the choice of splits.
        bagging_temperature: randomness of the rows' weights.
        rsm: share of features a split.
        border_count: most bins of a feature.
        max_ctr_complexity: most categorical columns that are combined into one.
        leaf_estimation_iterations: steps that find a leaf's value.
        one_hot_max_size: columns with so many categories or fewer are one-hot.
        min_data_in_leaf: least rows in a leaf.
        grow_policy: how trees grow.
        loss_function: what is minimised, in CatBoost's words.
        random_state: seed.
        n_jobs: threads.
        task_type: whether a GPU trains.
        devices: which GPUs, such as 0 or "0:1"; None is all.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {**SHARED, "loss_function": [str]}

    def __init__(
        self,
        n_estimators: int = 1000,
        learning_rate: float = 0.05,
        depth: int = 6,
        l2_leaf_reg: float = 3.0,
        random_strength: float = 1.0,
        bagging_temperature: float = 1.0,
        rsm: float = 1.0,
        border_count: int = 254,
        max_ctr_complexity: int = 4,
        leaf_estimation_iterations: int = 1,
        one_hot_max_size: int = 2,
        min_data_in_leaf: int = 1,
        grow_policy: POLICIES = "SymmetricTree",
        loss_function: str = "RMSE",
        random_state: int | None = None,
        n_jobs: int | None = None,
        task_type: DEVICES = "CPU",
        devices: str | int | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.depth = depth
        self.l2_leaf_reg = l2_leaf_reg
        self.random_strength = random_strength
        self.bagging_temperature = bagging_temperature
        self.rsm = rsm
        self.border_count = border_count
        self.max_ctr_complexity = max_ctr_complexity
        self.leaf_estimation_iterations = leaf_estimation_iterations
        self.one_hot_max_size = one_hot_max_size
        self.min_data_in_leaf = min_data_in_leaf
        self.grow_policy = grow_policy
        self.loss_function = loss_function
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.task_type = task_type
        self.devices = devices

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> CatBoostRegressor:
        """Fit on values, all columns numbers."""
        self.train(X, y, sample_weight, (), None, None)
        return self

    def predict(self, X: Any) -> Array:
        """Return values, shape (rows,)."""
        return np.asarray(self.model_.predict(self.pool(X)))

    def _new(self) -> Any:
        return catboost.CatBoostRegressor(**self._options())
