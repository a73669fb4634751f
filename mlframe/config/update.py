"""Checks the update policy: words, durations and sizes, and whether the model can learn on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlframe.config.schema import pick
from mlframe.contracts.amounts import parse_duration, parse_size
from mlframe.errors import ConfigError, MlframeError, ParameterError, Problems, UnknownNameError
from mlframe.operating.policy import AFTER, read_policy
from mlframe.operating.schedule import parse_schedule
from mlframe.plugins import Plugins
from mlframe.registry import import_target

__all__ = ["check_update", "models_that_learn_on"]

TESTS = ("none", "standard", "staged")
ROWS = ("data", "feedback")
HEALTH = ("rows", "latency", "performance", "monitors")


def check_update(plugins: Plugins, config: Mapping[str, Any], *, components: bool) -> Iterator[MlframeError]:
    """Find everything that is wrong with `update`.

    Args:
        plugins: the loaded plugins.
        config: the resolved config.
        components: whether the model may be asked, which imports its library.
    """
    node = config["update"]
    try:
        read_policy(node)
    except Problems as problems:
        yield from problems.errors
    for key, words in (("rows", ROWS), ("after", AFTER), ("tests", TESTS)):
        if node[key] not in words:
            yield UnknownNameError.from_name(f"word for update.{key}", str(node[key]), words, where=f"update.{key}")
    for key in ("trial", "watch", "poll", "timeout", "backoff", "lease"):
        try:
            if parse_duration(node[key], where=f"update.{key}") is None and key in (
                "trial",
                "poll",
                "backoff",
                "lease",
            ):
                yield ConfigError("This needs a duration", where=f"update.{key}", hint="write it like 90s, 2h or 7d")
        except ParameterError as error:
            yield error
    try:
        if node["monitor"] is not None:
            parse_schedule(node["monitor"], where="update.monitor")
        parse_size(node["memory"], where="update.memory")
    except ParameterError as error:
        yield error
    if not 0 < node["test"] < 1:
        hint = "0.3 means that 30 % of the newest rows are kept for the comparison"
        yield ParameterError("This must lie between 0 and 1", value=node["test"], where="update.test", hint=hint)
    if node["test_rows"] < 30:
        hint = "fewer rows show nothing; the default is 200"
        yield ParameterError("This must be 30 or more", value=node["test_rows"], where="update.test_rows", hint=hint)
    for key in set(node["health"]) - set(HEALTH):
        yield UnknownNameError.from_name("key of update.health", str(key), HEALTH, where=f"update.health.{key}")
    acts = {"operate", "update"} & {
        name for name, options in (pick(config, "task.steps") or {}).items() if options is not None
    }
    if acts and node["rows"] == "feedback":
        yield from _check_logged(config)
    if acts and node["how"] == "warm" and components:
        yield from _check_warm(plugins, config)


def _check_logged(config: Mapping[str, Any]) -> Iterator[MlframeError]:
    """Find columns whose values the server does not keep, so that nothing can be learned from its log."""
    columns = (config.get("data") or {}).get("columns") or {}
    private = sorted(
        name
        for name, column in columns.items()
        if "pii" in (column.get("tags") or []) and column.get("role", "feature") == "feature"
    )
    if private:
        hint = "set update.rows=data and add labelled rows to the data's source; or take the tag pii away"
        what = (
            f"Values of columns tagged pii are hashed in the server's log: nothing is learned from {', '.join(private)}"
        )
        yield ConfigError(what, value="feedback", where="update.rows", hint=hint)


def _check_warm(plugins: Plugins, config: Mapping[str, Any]) -> Iterator[MlframeError]:
    """Find a model that cannot learn on, and name those that can."""
    model = str(config["model"]["name"])
    if config["ensembler"]["name"] != "none":
        hint = "set ensembler=none, or update.how=scratch"
        yield ConfigError(
            "Only a single model learns on", value=config["ensembler"]["name"], where="ensembler", hint=hint
        )
    elif model in plugins.registry.names("model") and model not in (able := models_that_learn_on(plugins)):
        hint = f"set update.how=scratch, or pick a model that can: {', '.join(able)}"
        yield ConfigError(
            f"model={model} cannot learn on from where it was", value="warm", where="update.how", hint=hint
        )


def models_that_learn_on(plugins: Plugins) -> list[str]:
    """Return the names of the models that can learn more rows without forgetting what they know."""

    def can(model: str) -> bool:
        item = plugins.registry.get("model", model)
        target = item.component.adapter
        try:
            return target is not None and hasattr(import_target(target, item), "learn_on")
        except MlframeError:  # its library is not installed
            return False

    return [name for name in plugins.registry.names("model") if can(name)]
