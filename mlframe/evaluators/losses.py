"""How wrong each single row is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from mlframe.contracts import Predictions
from mlframe.errors import ParameterError

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    Array = npt.NDArray[Any]

__all__ = [
    "Change",
    "Error",
    "at_least",
    "change_of_loss",
    "column_of",
    "frequent_classes",
    "log_losses",
    "loss_of_guessing",
    "row_losses",
]

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


def frequent_classes(said: Predictions, most: int = 10) -> list[int]:
    """Return the codes of the classes with the most weight, in the order of their codes."""
    total = np.bincount(said.y, said.weight, len(said.classes))
    return sorted(int(k) for k in np.argsort(-total, kind="stable")[:most])


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


@dataclass(frozen=True)
class Change:
    """How much higher a loss is after something was done to the input, on the same rows.

    Args:
        value: loss after minus loss before.
        low: lower end of its 95 % interval.
        high: upper end.
        after: the loss after.
        before: the loss before.
    """

    value: float
    low: float
    high: float
    after: float
    before: float


def change_of_loss(before: Array, after: Array, y: Array, weight: Array) -> Change:
    """Compare the loss of two sets of outputs on the same rows: log loss of classes, RMSE of values.

    The interval takes rows as drawn at random (paired; of the RMSE by the delta method).

    Args:
        before: probabilities (rows, classes) or values (rows,).
        after: the same after the change, or several: shape (repeats * rows, …), repeats one below the other.
        y: codes or values, shape (rows,).
        weight: shape (rows,).
    """
    repeats = len(after) // len(y)
    truth = np.tile(y, repeats)
    if before.ndim == 1:
        first, then = (y - before) ** 2, ((truth - after) ** 2).reshape(repeats, -1).mean(axis=0)
    else:
        first, then = log_losses(before, y), log_losses(after, truth).reshape(repeats, -1).mean(axis=0)
    start, end = float(np.average(first, weights=weight)), float(np.average(then, weights=weight))
    each = then - first
    if before.ndim == 1:
        start, end = start**0.5, end**0.5
        each = (then / end if end else then) / 2 - (first / start if start else first) / 2
    mean = float(np.average(each, weights=weight))
    used = max(int((weight > 0).sum()), 2)
    error = float(np.sqrt((weight**2 * (each - mean) ** 2).sum() * used / (used - 1)) / weight.sum())
    value = end - start
    return Change(value, value - 1.959964 * error, value + 1.959964 * error, end, start)


def loss_of_guessing(y: Array, weight: Array, classes: int) -> float:
    """Return the loss of one answer for all rows: the shares of the classes, or the mean."""
    if not classes:
        return float(np.sqrt(np.average((y - np.average(y, weights=weight)) ** 2, weights=weight)))
    shares = np.bincount(y, weight, classes) / weight.sum()
    seen = shares[shares > 0]
    return float(-(seen * np.log(seen)).sum())
