"""Decisions in money: what `goal.value` makes of predictions, as plain JSON values and in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mlframe.config.goal import check_value
from mlframe.contracts import Predictions
from mlframe.pipeline import Learning
from mlframe.stats.bootstrap import Estimate
from mlframe.stats.money import worth_of_decisions, worth_of_values

__all__ = ["median_of", "worth_record"]


def worth_record(config: Mapping[str, Any], said: Predictions, usual: float | None) -> dict[str, Any] | None:
    """Return what a pipeline's decisions are worth, None when the goal says nothing in money or there are no rows.

    Args:
        config: the resolved config; `goal` and `seed` are read.
        said: predictions of rows that the pipeline has not learned from.
        usual: what would be said without a model in a regression, None otherwise.

    Returns:
        `model`, `gain` and each of `alternatives` with value, low and high, in `currency` for 1,000 rows; `rival`, the
        best alternative, which `gain` is measured against; `per_year`, the gain for `goal.volume` rows or None; `rows`;
        `text`, all of it in a sentence.

    Raises:
        ConfigError: `goal.value` speaks of outcomes that this task does not have.
    """
    goal = config["goal"]
    for error in check_value(goal, said.task):
        raise error
    prices = goal.get("value") or {}
    if not prices or said.frame.height == 0:
        return None
    if said.task == "binary":
        worth = worth_of_decisions(said.y == 1, said.y_pred == 1, prices, said.weight, seed=config["seed"])
    else:
        assert usual is not None
        worth = worth_of_values(said.y, said.y_pred, usual, prices["error"], said.weight, seed=config["seed"])
    currency, volume = goal.get("currency") or "units of money", goal.get("volume")
    per_year = None if volume is None else worth.gain.value * volume / 1000
    text = (
        f"1,000 rows are worth {_estimate(worth.model)} {currency} with the model, "
        + ", ".join(f"{_money(found.value)} by {name}" for name, found in worth.alternatives.items())
        + f"; gain over {worth.rival} {_estimate(worth.gain)}"
        + ("" if per_year is None else f", {_money(per_year)} a year")
    )
    return {
        "currency": currency,
        "rows": said.frame.height,
        "model": asdict(worth.model),
        "alternatives": {name: asdict(found) for name, found in worth.alternatives.items()},
        "rival": worth.rival,
        "gain": asdict(worth.gain),
        "per_year": per_year,
        "text": text,
    }


def median_of(learning: Learning, target: pl.Series, rows: npt.NDArray[Any]) -> float | None:
    """Return the median of a numeric target over some rows, None for classes."""
    return None if learning.classes else float(np.median(learning.codes(target)[rows]))


def _estimate(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return _money(found.value)
    return f"{_money(found.value)} ({_money(found.low)} to {_money(found.high)})"


def _money(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"
