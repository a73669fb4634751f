"""Any classifier or regressor of scikit-learn, by its class name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

from sklearn.utils import all_estimators

from mlframe.errors import ParameterError, UnknownNameError
from mlframe.models.checks import constraints
from mlframe.models.partial import PartialAdapter
from mlframe.models.saving import TreeSaver
from mlframe.registry import SEED_PARAMETERS, THREAD_PARAMETERS

__all__ = ["ByNameAdapter", "check", "classifier", "regressor"]

WHERE = "model.estimator"


class ByNameAdapter(PartialAdapter, TreeSaver):
    """Loads trees safely, whatever class holds them; classes with `partial_fit` learn on."""

    trusted = (
        "functools.partial",
        "scipy.sparse._csr.csr_matrix",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.utils.validation.check_array",
    )


THREADLESS = frozenset({"LogisticRegression"})
"""Classes that take a number of threads, ignore it, and warn of it (scikit-learn 1.8 and later)."""


def classifier(
    estimator: str, params: dict[str, Any] | None = None, random_state: int | None = None, n_jobs: int | None = None
) -> Any:
    """Build a scikit-learn classifier.

    Args:
        estimator: class name, such as `ExtraTreesClassifier`.
        params: its parameters.
        random_state: seed, for classes that take one.
        n_jobs: threads, for classes that take a number of them.

    Raises:
        UnknownNameError: scikit-learn has no such class, or it does not classify.
        ParameterError: it does not take a parameter, or gives no probabilities.
    """
    built = _build("classifier", estimator, params, random_state, n_jobs)
    if not hasattr(built, "predict_proba"):
        raise ParameterError(_no_probabilities(estimator), where=WHERE, hint="model=svm is a calibrated linear SVM")
    return built


def regressor(
    estimator: str, params: dict[str, Any] | None = None, random_state: int | None = None, n_jobs: int | None = None
) -> Any:
    """Build a scikit-learn regressor.

    Args:
        estimator: class name, such as `Lasso`.
        params: its parameters.
        random_state: seed, for classes that take one.
        n_jobs: threads, for classes that take a number of them.

    Raises:
        UnknownNameError: scikit-learn has no such class, or it is no regressor.
        ParameterError: it does not take a parameter.
    """
    return _build("regressor", estimator, params, random_state, n_jobs)


def check(target: Any, parameters: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each mistake in the class name and its parameters.

    Whether a class fits the task is said when it is built: before data is read the task may not be known yet.
    """
    name = parameters["estimator"]
    known = {**_classes("regressor"), **_classes("classifier")}
    if name not in known:
        error = UnknownNameError.from_name("classifier or regressor of scikit-learn", name, known)
        return ["; ".join(filter(None, [error.what, error.hint]))]
    cls = known[name]
    params = dict(parameters.get("params") or {})
    mistakes = [f"{error.what}: {error.hint}" for error in _unknown(cls, params)]
    mistakes += constraints(cls, params)
    needed = [name for name, p in _parameters(cls).items() if p.default is p.empty and name not in params]
    if needed:
        mistakes.append(f"{cls.__name__} needs {', '.join(needed)}, which a config cannot give; pick another class")
    elif not mistakes and name in _classes("classifier") and not hasattr(cls(**params), "predict_proba"):
        mistakes.append(_no_probabilities(cls.__name__))
    return mistakes


def _build(kind: str, name: str, params: Mapping[str, Any] | None, seed: int | None, threads: int | None) -> Any:
    cls = _find(kind, name)
    given = dict(params or {})
    for error in _unknown(cls, given):
        raise error
    if name in THREADLESS:
        threads = None
    for names, value in ((SEED_PARAMETERS, seed), (THREAD_PARAMETERS, threads)):
        given |= {key: value for key in names if key in _parameters(cls) and key not in given and value is not None}
    return cls(**given)


def _find(kind: str, name: str) -> Any:
    classes = _classes(kind)
    if name in classes:
        return classes[name]
    other = "regressor" if kind == "classifier" else "classifier"
    if name in _classes(other):
        raise UnknownNameError(
            f"scikit-learn's {name} is a {other}, and the task needs a {kind}",
            where=f"{WHERE}, goal.task",
            hint=f"pick a {kind}, or another target column",
        )
    raise UnknownNameError.from_name(f"{kind} of scikit-learn", name, classes, where=WHERE)


@cache
def _classes(kind: str) -> dict[str, Any]:
    return dict(all_estimators(type_filter=kind))


@cache
def _parameters(cls: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(cls).parameters


def _unknown(cls: Any, params: Mapping[str, Any]) -> list[ParameterError]:
    known = _parameters(cls)
    return [
        ParameterError.unknown(cls.__name__, name, known, where=f"model.params.{name}")
        for name in params
        if name not in known
    ]


def _no_probabilities(name: str) -> str:
    return f"{name} gives no probabilities with these parameters, and predictions need them"
