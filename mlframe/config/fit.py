"""Checks what follows from several keys together: components that refuse their values, and parts that learn from folds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mlframe.config.schema import entries
from mlframe.errors import ConfigError, MlframeError
from mlframe.plugins import Plugins
from mlframe.registry import PLURAL

__all__ = ["BUILT", "check_built", "check_folds", "check_last_parts"]

BUILT = ("splitter", "evaluators", "reporters")
"""Groups whose components check their values when they are built, and build in no time."""


def check_built(plugins: Plugins, config: Mapping[str, Any], groups: Iterable[str]) -> Iterator[MlframeError]:
    """Find values that a component refuses when it is built.

    Args:
        plugins: the loaded plugins.
        config: the config, whose names and types are right.
        groups: the groups to look at.
    """
    for group in groups:
        nodes = [node for _, node in entries(config.get(group))] if group in PLURAL else [config[group]]
        for node in nodes:
            try:
                plugins.registry.create(group, node)
            except ConfigError as error:
                yield error
            except MlframeError:  # no mistake of the user's: the step that needs it says so
                continue


def check_last_parts(fit: Mapping[str, Any], task: str | None) -> Iterator[ConfigError]:
    """Find a calibration or a threshold that a learning task cannot have; none while the task is unknown."""
    if fit["calibration"] != "none" and task == "regression":
        yield ConfigError(
            "A regression has no probabilities to calibrate",
            value=fit["calibration"],
            where="fit.calibration",
            hint="set fit.calibration=none",
        )
    if fit["threshold"] != "none" and task not in (None, "binary"):
        yield ConfigError(
            f"A decision threshold needs two classes, and the task is {task}",
            value=fit["threshold"],
            where="fit.threshold",
            hint="set fit.threshold=none",
        )


def check_folds(plugins: Plugins, config: Mapping[str, Any]) -> Iterator[ConfigError]:
    """Find a calibration or a threshold where there is no second fold to learn it from."""
    folds = getattr(plugins.registry.create("splitter", config["splitter"]), "folds", None)
    for key in ("calibration", "threshold"):
        value = config["fit"][key]
        if value != "none" and folds == 1:
            yield ConfigError(
                f"fit.{key} is learned from out-of-fold predictions and needs two folds or more, so that each is judged by "
                f"the others; splitter={config['splitter']['name']} cuts one",
                value=value,
                where=f"fit.{key}",
                hint=f"pick splitter=stratified, kfold, group or time with two folds or more; or fit.{key}=none",
            )
