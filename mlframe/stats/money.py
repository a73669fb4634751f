"""What decisions are worth in money, next to what could be done without a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlframe.stats.bootstrap import Estimate, estimate_means

__all__ = ["Worth", "paying_threshold", "worth_of_decisions", "worth_of_values"]

Array = npt.NDArray[Any]

PER = 1000
"""Rows that a worth is about."""


@dataclass(frozen=True)
class Worth:
    """Money for 1,000 rows.

    Args:
        model: what the model's decisions are worth.
        alternatives: what deciding without a model is worth, by what is done.
        rival: the best alternative.
        gain: model minus rival, on the same resamples.
    """

    model: Estimate
    alternatives: Mapping[str, Estimate]
    rival: str
    gain: Estimate


def paying_threshold(prices: Mapping[str, float]) -> float:
    """Return the probability from which acting pays, for probabilities that can be taken at their word.

    0 when acting always pays, above 1 when it never does (Elkan 2001).

    Args:
        prices: money for `tp`, `fp`, `tn`, `fn`; absent ones are worth 0.
    """
    tp, fp, tn, fn = (float(prices.get(name, 0.0)) for name in ("tp", "fp", "tn", "fn"))
    right, wrong = tp - fn, tn - fp  # what acting gains on a positive row, and loses on a negative one
    if right + wrong <= 0:
        return 0.0 if right > 0 or wrong < 0 else 1.1
    return float(np.clip(wrong / (right + wrong), 0.0, 1.1))


def worth_of_decisions(
    positive: Array,
    called: Array,
    prices: Mapping[str, float],
    weight: Array | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Worth:
    """Return the worth of acting on the rows that a model calls positive, next to acting on none and on all.

    Expected value of a decision rule under a pay-off matrix (Elkan 2001, The foundations of cost-sensitive learning).

    Args:
        positive: whether each row is positive, shape (rows,), bool.
        called: whether the model calls it so, shape (rows,), bool.
        prices: money for `tp`, `fp`, `tn`, `fn`; absent ones are worth 0.
        weight: shape (rows,), None for equal weights.
        resamples: number of resamples for the intervals.
        seed: equal seeds give equal intervals.
    """
    tp, fp, tn, fn = (float(prices.get(name, 0.0)) for name in ("tp", "fp", "tn", "fn"))
    act, rest = np.where(positive, tp, fp), np.where(positive, fn, tn)
    rules = {"doing nothing": rest, "acting on all": act}
    return _worth(np.where(called, act, rest), rules, weight, resamples, seed)


def worth_of_values(
    truth: Array,
    predicted: Array,
    usual: float,
    price: float,
    weight: Array | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Worth:
    """Return what errors cost (a negative worth), next to always saying the usual value.

    Args:
        truth: shape (rows,).
        predicted: shape (rows,).
        usual: what would be said without a model, such as the median of the development rows.
        price: loss for one unit of absolute error.
        weight: shape (rows,), None for equal weights.
        resamples: number of resamples for the intervals.
        seed: equal seeds give equal intervals.
    """
    rules = {"always saying the median": -price * np.abs(truth - usual)}
    return _worth(-price * np.abs(truth - predicted), rules, weight, resamples, seed)


def _worth(model: Array, rules: Mapping[str, Array], weight: Array | None, resamples: int, seed: int) -> Worth:
    columns = {"model": model, **rules, **{f"gain over {name}": model - value for name, value in rules.items()}}
    scaled = {name: PER * np.asarray(value, dtype=np.float64) for name, value in columns.items()}
    found = estimate_means(scaled, weight, resamples=resamples, seed=seed)
    rival = max(rules, key=lambda name: found[name].value)
    return Worth(found["model"], {name: found[name] for name in rules}, rival, found[f"gain over {rival}"])
