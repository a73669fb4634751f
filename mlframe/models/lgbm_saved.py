"""LightGBM's own text on disk, and the model that it gives back: predictions only, by the booster itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np

from mlframe.errors import BundleError

if TYPE_CHECKING:
    from mlframe.contracts import Array, Matrix

__all__ = ["LgbmClassifier", "LgbmRegressor", "dump", "load", "threads_of"]


class LgbmRegressor:
    """A booster that predicts values.

    Args:
        booster: the booster; it holds the rounds that predictions use, and no others.
        threads: threads of a prediction.
    """

    def __init__(self, booster: lightgbm.Booster, threads: int | None) -> None:
        self.booster_ = booster
        self.threads = threads
        self.n_features_in_ = booster.num_feature()
        self.best_iteration_ = booster.num_trees() // booster.num_model_per_iteration()

    def predict(self, matrix: Matrix, *, pred_contrib: bool = False) -> Any:
        """Return values, shape (rows,), or contributions to the raw score."""
        options = {} if self.threads is None else {"num_threads": self.threads}
        return self.booster_.predict(matrix, pred_contrib=pred_contrib, **options)


class LgbmClassifier(LgbmRegressor):
    """A booster that predicts classes.

    Args:
        booster: the booster.
        threads: threads of a prediction.
        classes: codes that the train rows held, ascending.
    """

    def __init__(self, booster: lightgbm.Booster, threads: int | None, classes: list[int]) -> None:
        super().__init__(booster, threads)
        self.classes_ = np.asarray(classes, dtype=np.intp)

    def predict(self, matrix: Matrix, *, pred_contrib: bool = False) -> Any:
        """Return codes, shape (rows,), or contributions to the raw score."""
        if pred_contrib:
            return super().predict(matrix, pred_contrib=True)
        return self.classes_[self.predict_proba(matrix).argmax(axis=1)]

    def predict_proba(self, matrix: Matrix) -> Array:
        """Return probabilities, shape (rows, classes)."""
        given = np.asarray(super().predict(matrix))
        return given if given.ndim == 2 else np.stack([1.0 - given, given], axis=1)


def threads_of(estimator: Any) -> int | None:
    """Return the threads of a prediction, of a fitted estimator of LightGBM's or of this module's; None is all."""
    threads: int | None = estimator.threads if isinstance(estimator, LgbmRegressor) else estimator.n_jobs
    return threads


def dump(estimator: Any) -> bytes:
    """Return one line of JSON, then the booster's text; of a fitted estimator of LightGBM's or of this module's."""
    codes = getattr(estimator, "classes_", None)
    head = {"classes": None if codes is None else np.asarray(codes).tolist(), "threads": threads_of(estimator)}
    text: str = estimator.booster_.model_to_string()
    return json.dumps(head).encode() + b"\n" + text.encode()


def load(data: bytes) -> LgbmRegressor:
    """Return the model that `dump` wrote.

    Raises:
        BundleError: the data was not written by `dump`.
    """
    line, _, rest = data.partition(b"\n")
    try:
        head = json.loads(line)
        booster = lightgbm.Booster(model_str=rest.decode())
        classes, threads = head["classes"], head["threads"]
        return LgbmRegressor(booster, threads) if classes is None else LgbmClassifier(booster, threads, classes)
    except (ValueError, KeyError, TypeError, lightgbm.basic.LightGBMError) as error:
        raise BundleError(
            f"The saved LightGBM model cannot be read: {error}", hint="restore the file, or train the model again"
        ) from error
