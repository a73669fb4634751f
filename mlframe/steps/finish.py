"""A candidate's last parts: calibration and decision threshold, learned from out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from mlframe import stats
from mlframe.config.fit import check_last_parts
from mlframe.errors import ConfigError
from mlframe.pipeline import Learning, decide

__all__ = ["RAW", "check_finish", "finish", "finishes", "others"]

ISOTONIC_ROWS = 1000
"""With fewer rows isotonic calibration tends to overfit (scikit-learn's user guide, 1.16 Probability calibration)."""

RAW = {"fit.calibration": "none", "fit.threshold": "none"}
"""The config of the same candidate without its last parts."""


def finishes(config: Mapping[str, Any]) -> bool:
    """Whether a config asks for calibration or a threshold."""
    return bool(config["fit"]["calibration"] != "none" or config["fit"]["threshold"] != "none")


def check_finish(context: Any, task: str) -> None:
    """Refuse what this learning task cannot have, before anything is fitted.

    Raises:
        ConfigError: values have no probabilities, and only two classes have a threshold.
    """
    for error in check_last_parts(context.config["fit"], task):
        raise error


def others(oof: pl.DataFrame, fold: int) -> Any:
    """Return the places of rows that may teach what is applied to a fold: of other folds, and not in that one too.

    Raises:
        ConfigError: there is no other fold.
    """
    inside = oof["fold"] == fold
    free = ~(inside | oof["row_id"].is_in(oof["row_id"].filter(inside).implode())).to_numpy()
    if not free.any():
        raise ConfigError(
            "What is learned from out-of-fold predictions needs two folds or more, so that each is judged by the others",
            where="splitter, fit.calibration, fit.threshold, ensembler",
            hint="pick splitter=stratified, kfold, group or time with two folds or more",
        )
    return np.flatnonzero(free)


def counted_once(oof: pl.DataFrame) -> Any:
    """Return weights, shape (rows,), with which each row counts once, however often the folds were cut.

    Each prediction is kept as it is: the mean of several would be less extreme than what one model says, and so would
    what is learned from it.
    """
    return oof.select(pl.col("weight") / pl.len().over("row_id")).to_series().to_numpy()


def finish(context: Any, learning: Learning, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Give `fit`'s artifacts with calibrated out-of-fold predictions and decisions.

    Each fold is calibrated, and its threshold chosen, by the rows of the other folds. What is deployed learns from all.

    Args:
        context: the run.
        learning: task and classes.
        raw: the artifacts of the same candidate without these parts.
    """
    oof: pl.DataFrame = raw["oof"]
    y = learning.codes(oof["y"])
    proba = oof.select([f"p_{name}" for name in learning.classes]).to_numpy()
    weight, fold = counted_once(oof), oof["fold"].to_numpy()
    frames = []
    for number in np.unique(fold):
        inside, free = np.flatnonzero(fold == number), others(oof, int(number))
        calibration, threshold = _learn(context.config, proba[free], y[free], weight[free])
        outputs = proba[inside] if calibration is None else stats.calibrate(proba[inside], calibration)
        frames.append(oof[inside].select("row_id", "fold", "y").hstack(decide(outputs, learning, threshold)))
    finished = pl.concat(frames).with_columns(oof["weight"])
    calibration, threshold = _learn(context.config, proba, y, weight)
    words = []
    if calibration is not None:
        after = finished.select([f"p_{name}" for name in learning.classes]).to_numpy()
        losses = [
            stats.figures(y, stats.Scores(p.argmax(axis=1), p), weight, only=["log_loss"])["log_loss"]
            for p in (proba, after)
        ]
        words.append(f"{calibration['method']} calibration: log loss {losses[0]:.4f} -> {losses[1]:.4f}")
    if threshold is not None:
        words.append(f"{learning.classes[1]} from a probability of {threshold:.4g}")
    rows = int(oof["row_id"].n_unique())
    context.say(f"{'; '.join(words)} (learned from {rows:,} out-of-fold rows, judged fold by fold)")
    last = {"calibration": calibration, "threshold": threshold}
    fitting = {**raw["fitting"], "last": last}
    if context.config["fit"]["calibration"] == "isotonic" and rows < ISOTONIC_ROWS:
        fitting["warnings"] = [
            f"isotonic calibration learned from {rows:,} rows; with fewer than {ISOTONIC_ROWS:,} it tends to overfit: "
            "fit.calibration=sigmoid has two numbers to learn"
        ]
        context.say(f"warning: {fitting['warnings'][0]}")
    return {"oof": finished, "members": raw["members"], "fitting": fitting}


def _learn(config: Mapping[str, Any], proba: Any, y: Any, weight: Any) -> tuple[dict[str, Any] | None, float | None]:
    """Return calibration and threshold that some rows teach."""
    fit = config["fit"]
    calibration = None
    if fit["calibration"] != "none":
        calibration = stats.fit_calibration(fit["calibration"], proba, y, weight)
        proba = stats.calibrate(proba, calibration)
    threshold = fit["threshold"]
    if threshold == "none":
        return calibration, None
    if threshold in ("f1", "value"):
        value = config["goal"].get("value") if threshold == "value" else None
        threshold = stats.best_threshold(proba[:, 1], y == 1, weight, value)
    return calibration, float(threshold)
