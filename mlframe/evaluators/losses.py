"""How wrong each single row is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from mlframe.contracts import Predictions
from mlframe.errors import ParameterError

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    Array = npt.NDArray[Any]

__all__ = ["Error", "at_least", "column_of", "row_losses"]

Error = Literal["absolute", "squared"]
"""How an error of regression counts."""


def row_losses(said: Predictions, error: Error) -> tuple[Array, str]:
    """Return each row's loss, shape (rows,), and its name: log loss of classes, absolute or squared error of values."""
    if said.task == "regression":
        away = np.abs(said.y - said.y_pred)
        return (away, "absolute error") if error == "absolute" else (away**2, "squared error")
    return log_losses(said.proba, said.y), "log loss"


def log_losses(proba: Array, y: Array) -> Array:
    """Return the log loss of each row, shape (rows,); as scikit-learn's, a probability of 0 costs 36."""
    tiny = np.finfo(np.float64).eps
    chosen = proba[np.arange(len(y)), y] / proba.sum(axis=1)
    losses: Array = -np.log(np.clip(chosen, tiny, 1 - tiny))
    return losses


def at_least(component: str, limit: float, /, **given: float) -> None:
    """Refuse parameters below a limit.

    Raises:
        ParameterError: names the first one.
    """
    for name, value in given.items():
        if value < limit:
            raise ParameterError(
                f"{component}: {name} must be {limit:g} or more",
                value=value,
                where=f"evaluators.{component}.{name}",
                hint=f"leave it out for the default, or leave the judge out with '~evaluators.{component}'",
            )


def column_of(names: tuple[str, ...]) -> str:
    """Return the columns of a finding as one text."""
    return ", ".join(dict.fromkeys(names))
