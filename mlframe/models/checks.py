"""Parameters of scikit-learn's classes, checked against the ranges that these classes declare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.utils._param_validation import InvalidParameterError, validate_parameter_constraints

__all__ = ["constraints"]


def constraints(target: Any, parameters: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each parameter that the class would refuse in `fit`.

    Args:
        target: a scikit-learn estimator class.
        parameters: names and values.
    """
    declared = target._parameter_constraints
    mistakes = []
    for name, value in parameters.items():
        if name in declared:
            try:
                validate_parameter_constraints({name: declared[name]}, {name: value}, caller_name=target.__name__)
            except InvalidParameterError as error:
                mistakes.append(str(error))
    return mistakes
