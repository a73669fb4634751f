"""Support vector machines that scale to many rows and give probabilities.

The solver is liblinear's, whose time grows with the rows, not their square. The Gaussian kernel is approximated by
Nyström's method (Williams and Seeger 2001). Probabilities come from a sigmoid (Platt 1999) on scores that were
cross-validated inside the train rows.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.kernel_approximation import Nystroem
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC, LinearSVR
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from mlframe.errors import DataError

if TYPE_CHECKING:
    from mlframe.contracts import Array, Matrix

__all__ = ["SvmClassifier", "SvmRegressor"]

SHARED: dict[str, list[Any]] = {
    "C": [Interval(Real, 0, None, closed="neither")],
    "kernel": [StrOptions({"linear", "rbf"})],
    "gamma": [None, Interval(Real, 0, None, closed="neither")],
    "components": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="neither")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
}


class _Svm(BaseEstimator):  # type: ignore[misc]
    """What both have in common: the kernel's map and the checks of the input."""

    kernel: str
    gamma: float | None
    components: int
    random_state: int | None

    def _map_fit(self, X: Matrix) -> Matrix:
        """Learn the kernel's map, shape (rows, components), and apply it."""
        self.map_ = None
        if self.kernel == "linear":
            return X
        gamma = self.gamma
        if gamma is None:  # as in libsvm's `scale`
            mean = X.mean()
            spread = float((X.multiply(X).mean() if hasattr(X, "multiply") else (X * X).mean()) - mean * mean)
            gamma = 1.0 / (X.shape[1] * spread) if spread > 0 else 1.0
        count = min(self.components, X.shape[0])
        self.map_ = Nystroem(kernel="rbf", gamma=gamma, n_components=count, random_state=self.random_state)
        return self.map_.fit_transform(X)

    def _map(self, X: Matrix) -> Matrix:
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float64, reset=False)
        return X if self.map_ is None else self.map_.transform(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class SvmClassifier(ClassifierMixin, _Svm):  # type: ignore[misc]
    """Linear support vector classifier, one class against the others, with calibrated probabilities.

    Args:
        C: inverse strength of regularisation.
        kernel: `linear`, or `rbf` for the approximated Gaussian kernel.
        gamma: width of the Gaussian kernel; None takes 1 / (features x variance).
        components: directions that approximate the Gaussian kernel.
        class_weight: None, or `balanced`.
        folds: folds of the calibration; fewer when a class has fewer rows.
        tol: when to stop.
        max_iter: most iterations.
        random_state: seed.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **SHARED,
        "class_weight": [None, dict, StrOptions({"balanced"})],
        "folds": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self,
        C: float = 1.0,
        kernel: Literal["linear", "rbf"] = "linear",
        gamma: float | None = None,
        components: int = 300,
        class_weight: Any = None,
        folds: int = 5,
        tol: float = 1e-4,
        max_iter: int = 10000,
        random_state: int | None = None,
    ) -> None:
        self.C = C
        self.kernel = kernel
        self.gamma = gamma
        self.components = components
        self.class_weight = class_weight
        self.folds = folds
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: Matrix, y: Array, sample_weight: Array | None = None) -> SvmClassifier:
        """Fit on codes.

        Raises:
            DataError: a class has a single row, so that no fold could calibrate it.
        """
        self._validate_params()
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64)
        self.classes_, counts = np.unique(y, return_counts=True)
        folds = min(self.folds, int(counts.min()))
        if folds < 2 or len(counts) < 2:
            raise DataError(
                "model=svm needs two classes with two rows or more each to calibrate its probabilities",
                value={int(code): int(count) for code, count in zip(self.classes_, counts, strict=True)},
                where="the train rows of one fold",
                hint="gather more rows of the rare class, merge it into another, or pick another model",
            )
        machine = LinearSVC(
            C=self.C,
            class_weight=self.class_weight,
            tol=self.tol,
            max_iter=self.max_iter,
            random_state=self.random_state,
        )
        cut = StratifiedKFold(folds, shuffle=True, random_state=self.random_state)
        self.machine_ = CalibratedClassifierCV(machine, method="sigmoid", cv=cut, ensemble=False)
        self.machine_.fit(self._map_fit(X), y, sample_weight=sample_weight)
        return self

    def predict_proba(self, X: Matrix) -> Array:
        """Return probabilities, shape (rows, classes)."""
        return np.asarray(self.machine_.predict_proba(self._map(X)))

    def predict(self, X: Matrix) -> Array:
        """Return the likeliest codes, shape (rows,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


class SvmRegressor(RegressorMixin, _Svm):  # type: ignore[misc]
    """Linear support vector regression on a standardised target.

    Args:
        C: inverse strength of regularisation.
        kernel: `linear`, or `rbf` for the approximated Gaussian kernel.
        gamma: width of the Gaussian kernel; None takes 1 / (features x variance).
        components: directions that approximate the Gaussian kernel.
        epsilon: errors below it cost nothing; in standard deviations of the target.
        tol: when to stop.
        max_iter: most iterations.
        random_state: seed.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **SHARED,
        "epsilon": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        C: float = 1.0,
        kernel: Literal["linear", "rbf"] = "linear",
        gamma: float | None = None,
        components: int = 300,
        epsilon: float = 0.0,
        tol: float = 1e-4,
        max_iter: int = 10000,
        random_state: int | None = None,
    ) -> None:
        self.C = C
        self.kernel = kernel
        self.gamma = gamma
        self.components = components
        self.epsilon = epsilon
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: Matrix, y: Array, sample_weight: Array | None = None) -> SvmRegressor:
        """Fit on values."""
        self._validate_params()
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64, y_numeric=True)
        self.offset_ = float(np.mean(y))
        self.spread_ = float(np.std(y)) or 1.0
        self.machine_ = LinearSVR(
            C=self.C, epsilon=self.epsilon, tol=self.tol, max_iter=self.max_iter, random_state=self.random_state
        )
        self.machine_.fit(self._map_fit(X), (y - self.offset_) / self.spread_, sample_weight=sample_weight)
        return self

    def predict(self, X: Matrix) -> Array:
        """Return values in the target's own unit, shape (rows,)."""
        scaled: Any = self.machine_.predict(self._map(X))
        return np.asarray(scaled * self.spread_ + self.offset_)
