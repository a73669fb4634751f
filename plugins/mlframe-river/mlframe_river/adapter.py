"""What scikit-learn's interface cannot say of River's learners: learning on, and a state of plain numbers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from mlframe.contracts import Adapter, Features
from mlframe.errors import BundleError, ConfigError
from mlframe_river.learning import Scaler
from mlframe_river.linear import OnlineLinear, OnlineLogistic

if TYPE_CHECKING:
    from mlframe.contracts import Array

__all__ = ["RiverAdapter"]

CLASSES = {"OnlineLogistic": OnlineLogistic, "OnlineLinear": OnlineLinear}


class RiverAdapter(Adapter):
    """Learns on, and saves as JSON; nothing is pickled."""

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
        """Return a copy of the fitted model that has learned more rows, one by one.

        Raises:
            ConfigError: it has no leaves to fit anew.
        """
        if leaves:
            hint = "set fit.warm_by=continue"
            raise ConfigError("Only trees have leaves to fit anew", value="leaves", where="fit.warm_by", hint=hint)
        more = self.load(self.save(fitted))
        return more.partial_fit(features.matrix, target, weight)

    def save(self, estimator: Any) -> bytes:
        """Return parameters, scalers and weights as JSON."""
        record: dict[str, Any] = {
            "class": type(estimator).__name__,
            "params": estimator.get_params(),
            "features": int(estimator.n_features_in_),
            "scaler": _of_scaler(estimator.scaler_),
        }
        if isinstance(estimator, OnlineLogistic):
            record["classes"], record["counts"] = estimator.classes_.tolist(), estimator.counts_.tolist()
            record["models"] = {str(code): _of_model(model) for code, model in estimator.models_.items()}
        else:
            record["target"], record["model"] = _of_scaler(estimator.target_), _of_model(estimator.model_)
        return json.dumps(record).encode()

    def load(self, data: bytes) -> Any:
        """Return the estimator that `save` wrote.

        Raises:
            BundleError: the data was not written by `save`.
        """
        try:
            record = json.loads(data)
            estimator: Any = CLASSES[record["class"]](**record["params"])
            estimator.n_features_in_ = int(record["features"])
            estimator.scaler_ = _to_scaler(record["scaler"], estimator.n_features_in_)
            if isinstance(estimator, OnlineLogistic):
                estimator.classes_ = np.asarray(record["classes"], dtype=np.intp)
                estimator.counts_ = np.asarray(record["counts"], dtype=np.float64)
                estimator.models_ = {}
                for code, state in record["models"].items():
                    _to_model(estimator.model(int(code)), state, estimator.n_features_in_)
            else:
                estimator.target_ = _to_scaler(record["target"], 1)
                estimator.model_ = estimator.new_model()
                _to_model(estimator.model_, record["model"], estimator.n_features_in_)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            hint = "restore the file, or train the model again"
            raise BundleError(f"The saved River model cannot be read: {error}", hint=hint) from error
        return estimator


def _of_scaler(scaler: Scaler) -> dict[str, Any]:
    return {"count": scaler.count, "mean": scaler.mean.tolist(), "spread": scaler.spread.tolist()}


def _to_scaler(state: dict[str, Any], features: int) -> Scaler:
    scaler = Scaler(0)
    scaler.count = float(state["count"])
    scaler.mean, scaler.spread = (np.array(state[name], dtype=np.float64) for name in ("mean", "spread"))
    if not scaler.mean.shape == scaler.spread.shape == (features,):
        raise ValueError(f"{features} features, and means of the shape {scaler.mean.shape}")
    return scaler


def _of_model(model: Any) -> dict[str, Any]:
    weights = [(int(name), float(value)) for name, value in dict(model.weights).items()]
    return {"weights": weights, "intercept": float(model.intercept), "steps": int(model.optimizer.n_iterations)}


def _to_model(model: Any, state: dict[str, Any], features: int) -> None:
    for name, value in state["weights"]:
        if not 0 <= int(name) < features:
            raise ValueError(f"a weight of feature {name} of {features}")
        model._weights[int(name)] = float(value)
    model.intercept = float(state["intercept"])
    model.optimizer.n_iterations = int(state["steps"])
