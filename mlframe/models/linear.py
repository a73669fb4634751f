"""Linear models and what each feature adds to their score."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from mlframe.contracts import Adapter

if TYPE_CHECKING:
    from mlframe.contracts import Array, Matrix

__all__ = ["LinearAdapter", "LinearClassifier"]


class LinearClassifier(LogisticRegression):  # type: ignore[misc]
    """Logistic regression with the parameters that matter; the rest of scikit-learn's are deprecated or tuning.

    Args:
        C: inverse strength of regularisation, above 0.
        l1_ratio: 0 is ridge, 1 is lasso; above 0 the solver must be saga.
        fit_intercept: learn a constant.
        class_weight: None, or `balanced` to weigh each class by the inverse of its share.
        solver: lbfgs, liblinear, newton-cg, newton-cholesky, sag or saga.
        tol: when to stop.
        max_iter: most iterations.
        random_state: seed of the solvers that shuffle.
    """

    def __init__(
        self,
        C: float = 1.0,
        l1_ratio: float = 0.0,
        fit_intercept: bool = True,
        class_weight: Any = None,
        solver: str = "lbfgs",
        tol: float = 1e-4,
        max_iter: int = 1000,
        random_state: int | None = None,
    ) -> None:
        super().__init__(
            C=C,
            l1_ratio=l1_ratio,
            fit_intercept=fit_intercept,
            class_weight=class_weight,
            solver=solver,
            tol=tol,
            max_iter=max_iter,
            random_state=random_state,
        )


class LinearAdapter(Adapter):
    """Contributions of linear models, and their outputs without scikit-learn's checks."""

    def fast(self, estimator: Any) -> Callable[[Matrix], Array]:
        """Return the scores' logistic function or softmax, or the values themselves."""
        weights, constant = np.ascontiguousarray(np.atleast_2d(estimator.coef_).T), estimator.intercept_

        def ask(matrix: Matrix) -> Array:
            scores: Any = matrix @ weights + constant
            if not isinstance(estimator, LogisticRegression):
                return np.asarray(scores)[:, 0]
            if scores.shape[1] == 1:
                positive = expit(scores)
                return np.hstack([1.0 - positive, positive])
            raised = np.exp(scores - scores.max(axis=1, keepdims=True))
            return np.asarray(raised / raised.sum(axis=1, keepdims=True))

        return ask

    def contributions(self, estimator: Any, matrix: Matrix) -> Array:
        """Return coefficient times value, the intercept last."""
        rows: Any = matrix
        dense = np.asarray(rows.toarray() if sp.issparse(rows) else rows, dtype=np.float64)
        weights = np.atleast_2d(estimator.coef_)
        constant = np.broadcast_to(np.atleast_1d(estimator.intercept_), (len(weights),))
        parts = dense[:, None, :] * weights[None, :, :]
        baseline = np.broadcast_to(constant[None, :, None], (*parts.shape[:2], 1))
        whole = np.concatenate([parts, baseline], axis=2)
        return whole[:, 0] if len(weights) == 1 else whole
