"""Learning: what estimators want, features, featurizers, adapters, predictions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy.typing as npt
    import polars as pl
    import scipy.sparse as sp

    from mlframe.table import Table

    Array: TypeAlias = npt.NDArray[Any]
    Matrix: TypeAlias = npt.NDArray[Any] | sp.csr_matrix

__all__ = [
    "DEFAULT_METRICS",
    "TASKS",
    "Adapter",
    "Features",
    "Featurizer",
    "Part",
    "Predictions",
    "Stop",
    "Told",
    "Wants",
]


TASKS = ("binary", "multiclass", "regression")
"""The learning tasks."""

DEFAULT_METRICS = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}
"""The figure that decides where the goal names none."""

Told = Callable[[int, float, bool], None]
"""Hears of a boosted model's rounds: round, value, whether higher is better."""

Part = Literal["folds", "holdout", "live"]
"""Which rows a figure was measured on."""


@dataclass(frozen=True)
class Wants:
    """What an estimator can take, so that a featurizer can suit it.

    Args:
        sparse: CSR matrices.
        missing: NaN.
        categories: integer codes of categories in marked columns (adapter `categories`).
        nonnegative: only values of zero and above.
        filled: most share of non-zero cells at which it is quicker on a CSR matrix (adapter `filled`).
    """

    sparse: bool = False
    missing: bool = False
    categories: bool = False
    nonnegative: bool = False
    filled: float = 0.5


@dataclass(frozen=True)
class Features:
    """Numbers for an estimator.

    Args:
        matrix: shape (rows, features), float32 or float64; numpy, or CSR when most is zero.
        names: one unique name a feature.
        origins: the input column that each feature comes from.
        categorical: indices of features that hold category codes (0..K-1; NaN = missing or unseen).
    """

    matrix: Matrix
    names: tuple[str, ...]
    origins: tuple[str, ...]
    categorical: tuple[int, ...] = ()


class Featurizer(ABC):
    """Turns columns into numbers (hook `mlframe_featurizers`, group `featurizer`).

    A featurizer keeps what it learned in plain attributes (numbers, strings, lists, dictionaries, numpy arrays,
    scikit-learn estimators): it is saved with skops, never with pickle.

    A server asks for one row a thousand times a second, and building a frame costs more than most models. A featurizer
    may therefore define, and those that do not are given frames:

        plain(columns: Mapping[str, Sequence | Array], rows: int) -> Matrix | None
            The matrix that `transform` gives for a frame of these values: number, truth value, text, date, time without
            a zone, or None; a list or a numpy array a column. None for rows that only `transform` knows.
    """

    @abstractmethod
    def fit(self, table: Table, target: Array, wants: Wants) -> None:
        """Learn from the train rows of one fold.

        Args:
            table: the train rows; only columns with the role feature may be used.
            target: codes or values of the same rows, shape (rows,).
            wants: what the candidate's estimator can take.
        """

    @abstractmethod
    def transform(self, frame: pl.DataFrame) -> Features:
        """Turn rows into numbers; unseen categories, missing values and text are never an error.

        Args:
            frame: holds at least the feature columns seen in `fit`.
        """


@dataclass(frozen=True)
class Stop:
    """Rows that tell a boosted model when to stop; cut from the fold's own train rows.

    Args:
        matrix: features, shape (rows, features).
        target: codes or values, shape (rows,).
        weight: shape (rows,) or None.
        rounds: stop when this many rounds bring nothing better.
        told: to be called now and then (after rounds 25, 50, 100, …) with the round, the loss or score on these rows
            and whether higher is better; what it raises ends the training. None when nobody asks.
    """

    matrix: Matrix
    target: Array
    weight: Array | None
    rounds: int
    told: Told | None = None


class Adapter:
    """What scikit-learn's interface cannot say about an estimator (`Component(…, adapter="pkg:Class")`).

    Every method is optional: an adapter defines those it can do, an absent one means "cannot". This class defines
    none of them, so that `hasattr` tells the truth; their forms are:

        fit(estimator, features: Features, target, *, weight=None, stop: Stop | None = None) -> None
            Fit with categories, weights and early stopping; the estimator is changed in place.
        stops(estimator) -> bool
            Whether it can stop early as it is set up; without this, whoever has `fit` and `with_rounds` can.
        rounds(estimator) -> int
            How many rounds the fitted estimator uses.
        with_rounds(estimator, rounds: int) -> estimator
            An unfitted copy that trains exactly so many rounds.
        learn_on(estimator, fitted, features: Features, target, *, weight=None, rounds=None, leaves=False) -> estimator
            A fitted model that knows what `fitted` knew and has learned these rows, too; `fitted` stays as it is. The
            unfitted `estimator` has the config's parameters. A boosted model adds so many `rounds`; with `leaves`, it
            keeps its trees and moves their leaves instead (`ConfigError` where it has none).
        learns_on(estimator) -> bool
            Whether it can learn on as it is set up; without this, whoever has `learn_on` can.
        save(estimator) -> bytes, load(data: bytes) -> estimator
            The library's own format; without them the estimator goes through skops.
        gain(estimator) -> array of shape (features,)
            How much each feature lowered the loss in training.
        fast(estimator) -> Callable[[Matrix], Array] | None
            What `predict_proba` (or `predict` of a regressor) gives, with less ado for a few rows; None when this
            estimator has no such way. It is called from one thread or several, and must not start any.
        contributions(estimator, matrix) -> array of shape (rows, features + 1) or (rows, classes, features + 1)
            Additive contributions to the raw score, the last one the baseline.
    """

    categories: ClassVar[bool] = False
    """Whether the estimator takes category codes in marked columns."""
    filled: ClassVar[float] = 0.5
    """Most share of non-zero cells at which it is quicker on a CSR matrix than on a dense one."""


@dataclass(frozen=True)
class Predictions:
    """What a pipeline said of rows, and what was true.

    Args:
        frame: columns row_id (UInt32), fold (Int32; -1 outside folds), y, y_pred (class names as String, or Float64),
            one `p_<class>` (Float64) for each class in the order of `classes`, weight (Float64).
        task: one of `TASKS`.
        classes: class names; with two, the second is the positive one. Empty for regression.
        part: which rows these are.
    """

    frame: pl.DataFrame
    task: str
    classes: tuple[str, ...]
    part: Part

    @property
    def y(self) -> Array:
        """Codes 0..K-1 (intp) or values (float64), shape (rows,)."""
        return self._codes("y")

    @property
    def y_pred(self) -> Array:
        """Predicted codes (intp) or values (float64), shape (rows,)."""
        return self._codes("y_pred")

    @property
    def proba(self) -> Array:
        """Probabilities, float64, shape (rows, classes)."""
        return self.frame.select([f"p_{name}" for name in self.classes]).to_numpy()

    @property
    def weight(self) -> Array:
        """Weights, float64, shape (rows,)."""
        return self.frame["weight"].to_numpy()

    def _codes(self, name: str) -> Array:
        import numpy as np
        import polars as pl

        if not self.classes:
            return self.frame[name].to_numpy()
        codes = self.frame[name].cast(pl.Enum(list(self.classes))).to_physical()
        return codes.to_numpy().astype(np.intp)
