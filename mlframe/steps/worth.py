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
from mlframe.stats.money import paying_threshold, worth_of_decisions, worth_of_values

__all__ = ["decides_alike", "median_of", "worth_check", "worth_record"]

NAMES = {"doing nothing": "nothing", "acting on all": "all", "always saying the median": "usual"}


def worth_record(
    config: Mapping[str, Any], said: Predictions, usual: float | None, *, threshold: float | None = None
) -> dict[str, Any] | None:
    """Return what a pipeline's decisions are worth, None when the goal says nothing in money or there are no rows.

    Args:
        config: the resolved config; `goal` and `seed` are read.
        said: predictions of rows that the pipeline has not learned from.
        usual: what would be said without a model in a regression, None otherwise.
        threshold: probability from which a row is acted on, None to act on those that are predicted positive.

    Returns:
        In `currency` for 1,000 rows, each with value, low and high: `per_1000`, the model; `nothing` and `all`, what it is
        worth to act on no row and on every row (binary), or `usual`, to say the median always (regression); `gain` over
        the best of these, which `rival` names. And `per_year`, the gain for `goal.volume` rows or None; `rows`; `text`,
        all of it in a sentence.

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
        called = said.y_pred == 1 if threshold is None else said.proba[:, 1] >= threshold
        worth = worth_of_decisions(said.y == 1, called, prices, said.weight, seed=config["seed"])
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
        "per_1000": asdict(worth.model),
        **{NAMES[name]: asdict(found) for name, found in worth.alternatives.items()},
        "rival": worth.rival,
        "gain": asdict(worth.gain),
        "per_year": per_year,
        "text": text,
    }


def worth_check(record: Mapping[str, Any], part: str) -> dict[str, Any]:
    """Say no to a model that loses money beyond doubt, next to the best that can be done without one.

    A loss that chance may have made passes and is named: a "no" needs evidence as a "yes" does.

    Args:
        record: what `worth_record` gave.
        part: where it was measured.

    Returns:
        The check; `passed` is None when there are too few rows for an interval, and when not one resample
        differs from the rival.
    """
    gain = Estimate(**record["gain"])
    text = f"{part}: 1,000 rows gain {_estimate(gain)} {record['currency']} over {record['rival']}"
    passed: bool | None = True
    if gain.low is None or gain.high is None:
        passed, text = None, f"{text}; too few rows for an interval"
    elif gain.high < 0:
        passed, text = False, f"{text}: the whole 95 % interval is a loss"
    elif gain.value == gain.low == gain.high == 0:
        passed, text = None, f"{text}: the same as {record['rival']}, so nothing is gained and nothing lost"
    elif gain.low <= 0:
        text += (
            f" (warning: the 95 % interval reaches {'below 0' if gain.low < 0 else '0'}, so this may be no gain at all)"
        )
    return {
        "name": "worth",
        "passed": passed,
        "value": gain.value,
        "wanted": None,
        "better": "higher",
        "evidence": text,
    }


def decides_alike(said: Predictions, prices: Mapping[str, float], threshold: Any) -> str | None:
    """Tell that a model of two classes decides nothing since it calls all rows the same; None where it does not.

    Args:
        said: predictions of rows that the pipeline has not learned from.
        prices: `goal.value`.
        threshold: `fit.threshold`.
    """
    if said.task != "binary" or said.frame.height == 0 or len(np.unique(said.y_pred)) > 1:
        return None
    called, chances, pays = "every" if said.y_pred[0] else "no", said.proba[:, 1], paying_threshold(prices)
    text = (
        f"warning: {called} row of the {said.part} is called {said.classes[1]!r}; probabilities of it are "
        f"{chances.min():.4g} to {chances.max():.4g}"
    )
    if threshold == "value" and 0 < pays < 1:
        text += f". Where they can be taken at their word it pays to act from {pays:.4g} on: fit.threshold={pays:.4g}"
    return text


def median_of(learning: Learning, target: pl.Series, rows: npt.NDArray[Any]) -> float | None:
    """Return the median of a numeric target over some rows, None for classes."""
    return None if learning.classes else float(np.median(learning.codes(target)[rows]))


def _estimate(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return _money(found.value)
    return f"{_money(found.value)} ({_money(found.low)} to {_money(found.high)})"


def _money(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"
