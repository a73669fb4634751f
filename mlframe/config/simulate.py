"""Checks what is simulated: durations, strategies and their models, before any row is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlframe.config.schema import entries
from mlframe.config.update import models_that_learn_on
from mlframe.contracts.amounts import parse_duration, parse_moment
from mlframe.errors import ConfigError, MlframeError, ParameterError, Problems, UnknownNameError
from mlframe.operating.policy import Policy, read_policy
from mlframe.plugins import Plugins

__all__ = ["KINDS", "Change", "changes_of", "check_simulate", "policy_of"]

KINDS: Mapping[str, tuple[str, ...]] = {
    "static": (),
    "scheduled": ("every", "window", "sliding", "combine", "cooldown", "how"),
    "triggered": ("triggers", "combine", "cooldown", "window", "sliding", "how"),
    "online": ("model", "featurizer"),
}
"""Kinds of strategies, and the keys that each takes."""
ABOUT = ("answer", "columns")
FIGURES = ("accuracy", "log_loss", "mae", "rmse")
"""What a trigger `decay` can look at here."""


def check_simulate(plugins: Plugins, config: Mapping[str, Any]) -> Iterator[MlframeError]:
    """Find everything that is wrong with `simulate`.

    Args:
        plugins: the loaded plugins.
        config: the resolved config.
    """
    node = config["simulate"]
    for key in ("start", "delay", "look"):
        try:
            seconds = parse_duration(node[key], where=f"simulate.{key}", zero=key == "delay")
            if seconds is None and key != "delay":
                yield ConfigError("This needs a duration", where=f"simulate.{key}", hint="write it like 12h, 1d or 90d")
        except ParameterError as error:
            yield error
    if not 0 < node["delta"] < 1:
        hint = "it is a chance, such as 0.002"
        yield ParameterError("This must lie between 0 and 1", value=node["delta"], where="simulate.delta", hint=hint)
    if node["drift_rows"] != 0 and node["drift_rows"] < 100:
        hint = "fewer rows show nothing; 0 compares no column"
        yield ParameterError(
            "This must be 0, or 100 or more", value=node["drift_rows"], where="simulate.drift_rows", hint=hint
        )
    if node["rows"] is not None and node["rows"] < 100:
        yield ParameterError(
            "This must be 100 or more", value=node["rows"], where="simulate.rows", hint="null takes all rows"
        )
    if config["ensembler"]["name"] != "none":
        hint = "set ensembler=none; what is compared are ways of updating, and one model shows them"
        yield ConfigError(
            "A simulation trains single models", value=config["ensembler"]["name"], where="ensembler", hint=hint
        )
    try:
        changes_of(node)
    except ConfigError as error:
        yield error
    strategies = dict(entries(node["strategies"]))
    if not strategies:
        hint = "such as simulate.strategies.static={kind: static}"
        yield ConfigError("No strategy is there to be simulated", where="simulate.strategies", hint=hint)
    if "no_change" in strategies:
        hint = "give yours another name"
        yield ConfigError("no_change is the baseline's name", where="simulate.strategies.no_change", hint=hint)
    for name, strategy in strategies.items():
        yield from _check_strategy(plugins, config, strategy, f"simulate.strategies.{name}")


@dataclass(frozen=True)
class Change:
    """Something that is known to have changed.

    Args:
        name: what people call it.
        since: the first moment (UTC).
        until: when it was over or complete, None where that was at once.
        about: `answer`, or `columns` where what they say of the answer stayed.
    """

    name: str
    since: datetime
    until: datetime | None
    about: str


def changes_of(node: Mapping[str, Any]) -> list[Change]:
    """Return `simulate.changes`, the earliest first.

    Raises:
        ConfigError: one of them is no change.
    """
    found = []
    for name, given in entries(node["changes"]):
        where = f"simulate.changes.{name}"
        if not isinstance(given, Mapping) or set(given) - {"since", "until", "about"}:
            hint = "such as {since: 2025-06-01, until: null, about: answer}"
            raise ConfigError("Not a change", value=given, where=where, hint=hint)
        about = str(given.get("about", "answer"))
        if about not in ABOUT:
            raise UnknownNameError.from_name("word for what changed", about, ABOUT, where=f"{where}.about")
        since, until = (parse_moment(given.get(key), where=f"{where}.{key}") for key in ("since", "until"))
        if since is None or (until is not None and until < since):
            hint = "give since, and until at the same time or later"
            raise ConfigError("A change needs a beginning, and no end before it", value=given, where=where, hint=hint)
        found.append(Change(str(name), since, until, about))
    return sorted(found, key=lambda change: change.since)


def policy_of(config: Mapping[str, Any], strategy: Mapping[str, Any], where: str = "update") -> Policy:
    """Return the update policy of a strategy that has one.

    Raises:
        Problems: everything that is wrong with it.
    """
    if strategy["kind"] == "static":
        return Policy()
    node = dict(strategy)
    if strategy["kind"] == "scheduled":
        node["triggers"] = {"schedule": {"every": strategy.get("every", "30d")}}
    elif not strategy.get("triggers"):
        return read_policy(config["update"], metric=config["goal"].get("metric"))
    node = {key: value for key, value in node.items() if value is not None or key == "cooldown"}
    node.setdefault("cooldown", None)
    return read_policy(node, where=where)


def _check_strategy(plugins: Plugins, config: Mapping[str, Any], strategy: Any, where: str) -> Iterator[MlframeError]:
    if not isinstance(strategy, Mapping) or strategy.get("kind") not in KINDS:
        found = strategy.get("kind") if isinstance(strategy, Mapping) else strategy
        yield UnknownNameError.from_name("kind of strategy", str(found), list(KINDS), where=f"{where}.kind")
        return
    kind = strategy["kind"]
    for key in set(strategy) - {"kind", *KINDS[kind]}:
        yield UnknownNameError.from_name(
            f"key of a strategy of kind {kind}", str(key), KINDS[kind], where=f"{where}.{key}"
        )
    if kind == "online":
        yield from _check_online(plugins, config, strategy, where)
        return
    try:
        policy = policy_of(config, strategy, where)
    except Problems as problems:
        yield from problems.errors
        return
    if kind == "triggered" and not policy.triggers:
        hint = "give it triggers, or pick update=triggered: without any, it is static"
        yield ConfigError("This strategy has no trigger", where=f"{where}.triggers", hint=hint)
    for trigger in policy.triggers.values():
        figure = getattr(trigger, "figure", None)
        if figure is not None and figure not in FIGURES:
            yield UnknownNameError.from_name(
                "figure of a simulation", figure, FIGURES, where=f"{where}.triggers.decay.figure"
            )
    if policy.how == "warm":
        yield from _check_learns_on(plugins, str(config["model"]["name"]), f"{where}.how")


def _check_online(
    plugins: Plugins, config: Mapping[str, Any], strategy: Mapping[str, Any], where: str
) -> Iterator[MlframeError]:
    model = strategy.get("model")
    if model is None:
        name = str(config["model"]["name"])
    elif not isinstance(model, Mapping) or not model.get("name"):
        hint = f"give the model's name: {where}.model={{name: mlp}}"
        yield ConfigError(f"{where}.model names no model", value=model, where=f"{where}.model", hint=hint)
        return
    else:
        name = str(model["name"])
        yield from plugins.registry.bind("model", model, where=f"{where}.model", task=config["goal"].get("task"))
    if strategy.get("featurizer") is not None:
        yield from plugins.registry.bind("featurizer", strategy["featurizer"], where=f"{where}.featurizer")
    if name in plugins.registry.names("model"):
        yield from _check_learns_on(plugins, name, f"{where}.model")


def _check_learns_on(plugins: Plugins, name: str, where: str) -> Iterator[MlframeError]:
    able = models_that_learn_on(plugins)
    if name not in able:
        hint = f"pick one that can: {', '.join(able)}"
        yield ConfigError(f"model={name} cannot learn on from where it was", value=name, where=where, hint=hint)
