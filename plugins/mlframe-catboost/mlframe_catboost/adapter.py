"""What scikit-learn's interface cannot say about CatBoost's estimators."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import catboost  # type: ignore[import-untyped]
import numpy as np
from sklearn.base import clone, is_classifier

from mlframe.contracts import Adapter, Features, Stop
from mlframe.errors import BundleError
from mlframe_catboost.estimators import CatBoostClassifier, CatBoostRegressor

if TYPE_CHECKING:
    from mlframe.contracts import Array, Matrix, Told

__all__ = ["CatboostAdapter"]

FIRST_TOLD = 25
"""The first round that is told; then every doubling."""

CLASSES = {"CatBoostClassifier": CatBoostClassifier, "CatBoostRegressor": CatBoostRegressor}


class CatboostAdapter(Adapter):
    """Categories, weights, early stopping, importance, contributions, and CatBoost's own format."""

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
        """Fit with categories, weights and early stopping, telling rounds to who asks."""
        watched = None
        if stop is not None:
            matrix: Any = stop.matrix
            # A class that no train row has cannot be scored.
            known = np.isin(stop.target, np.unique(target)) if is_classifier(estimator) else slice(None)
            watched = (matrix[known], stop.target[known], None if stop.weight is None else stop.weight[known])
            watched = watched if len(watched[1]) else None
        rounds = None if stop is None else stop.rounds
        teller = None if stop is None or stop.told is None else _Teller(stop.told)
        estimator.train(features.matrix, target, weight, features.categorical, watched, rounds, teller)
        if teller is not None and teller.raised is not None:
            raise teller.raised

    def rounds(self, estimator: Any) -> int:
        """Return the number of rounds that predictions use."""
        return max(1, int(estimator.model_.tree_count_))

    def with_rounds(self, estimator: Any, rounds: int) -> Any:
        """Return an unfitted copy that trains exactly so many rounds."""
        return clone(estimator).set_params(n_estimators=rounds)

    def gain(self, estimator: Any) -> Array:
        """Return how much predictions change with each feature (PredictionValuesChange), shape (features,)."""
        return np.asarray(estimator.model_.get_feature_importance(type="PredictionValuesChange"), dtype=np.float64)

    def contributions(self, estimator: Any, matrix: Matrix) -> Array:
        """Return SHAP values of the raw score (TreeSHAP, Lundberg et al. 2018), the baseline last."""
        return np.asarray(estimator.model_.get_feature_importance(estimator.pool(matrix), type="ShapValues"))

    def save(self, estimator: Any) -> bytes:
        """Return one line of JSON, then the model as cbm."""
        head = {
            "class": type(estimator).__name__,
            "params": estimator.get_params(deep=False),
            "categorical": estimator.categorical_,
            "features": estimator.n_features_in_,
        }
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.cbm")
            estimator.model_.save_model(str(path), format="cbm")
            return json.dumps(head).encode() + b"\n" + path.read_bytes()

    def load(self, data: bytes) -> Any:
        """Return the estimator that `save` wrote.

        Raises:
            BundleError: the data was not written by `save`.
        """
        line, _, rest = data.partition(b"\n")
        try:
            head = json.loads(line)
            estimator = CLASSES[head["class"]](**head["params"])
            estimator.categorical_ = [int(index) for index in head["categorical"]]
            estimator.n_features_in_ = int(head["features"])
            estimator.model_ = estimator._new()
            estimator.model_.load_model(blob=rest)
        except (ValueError, KeyError, TypeError, catboost.CatBoostError) as error:
            raise BundleError(
                f"The saved CatBoost model cannot be read: {error}", hint="restore the file, or train the model again"
            ) from error
        return estimator


class _Teller:
    """Tells rounds 25, 50, 100, …: early ones soon, late ones seldom.

    What the listener raises is kept and ends the training: CatBoost would make an error of its own of it.
    """

    def __init__(self, told: Told) -> None:
        self.told = told
        self.raised: BaseException | None = None

    def after_iteration(self, info: Any) -> bool:
        """Return whether to go on; CatBoost counts rounds from 1."""
        done = int(info.iteration)
        if done % FIRST_TOLD or (done // FIRST_TOLD).bit_count() != 1:
            return True
        (values,) = info.metrics["validation"].values()
        try:
            self.told(done, float(values[-1]), False)
        except BaseException as error:
            self.raised = error
        return self.raised is None
