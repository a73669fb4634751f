"""The update policy: which triggers, how often at most, from which rows, and how."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, get_type_hints

from mlframe.contracts.amounts import parse_duration
from mlframe.errors import ConfigError, MlframeError, ParameterError, Problems, UnknownNameError
from mlframe.operating.triggers import TRIGGERS, Decay, Fired, Situation, Trigger

__all__ = ["AFTER", "COMBINE", "HOW", "WINDOWS", "DataWindow", "Policy", "read_policy"]

COMBINE = ("any", "all")
HOW = ("scratch", "warm")
WINDOWS = ("all", "sliding", "since_last")
AFTER = ("promote", "shadow", "canary")


@dataclass(frozen=True)
class DataWindow:
    """Which labelled rows an update learns from.

    Args:
        kind: `all`; `sliding`, the newest ones; `since_last`, those that came since the last update.
        seconds: how far back `sliding` reaches, None where it is told in rows.
        rows: how many rows `sliding` keeps, None where it is told as time.
    """

    kind: str = "all"
    seconds: float | None = None
    rows: int | None = None

    def since(self, now: datetime, last: datetime) -> datetime | None:
        """Return the first moment that counts, None where all do (or where `rows` decides).

        Args:
            now: the newest moment.
            last: when the last update ended, or when the champion was trained.
        """
        if self.kind == "since_last":
            return last
        if self.kind == "sliding" and self.seconds is not None:
            return now - timedelta(seconds=self.seconds)
        return None


@dataclass(frozen=True)
class Policy:
    """When to update a model, and how.

    Args:
        triggers: name to trigger; none at all means: only by hand.
        combine: `any` trigger is enough, or `all` are needed.
        cooldown: seconds after an update in which none begins.
        window: which rows an update learns from.
        how: `scratch`, or `warm`: the champion learns on.
        tune_every: of so many updates, the last searches its parameters anew; None never does.
    """

    triggers: Mapping[str, Trigger] = field(default_factory=dict)
    combine: str = "any"
    cooldown: float = 0.0
    window: DataWindow = field(default_factory=DataWindow)
    how: str = "scratch"
    tune_every: int | None = None

    def decide(self, situation: Situation) -> list[Fired]:
        """Return the reasons to update now; none where there is no reason, or where the last update is too recent."""
        if self.cools(situation) is not None:
            return []
        found = [trigger.fires(situation) for trigger in self.triggers.values()]
        fired = [one for one in found if one is not None]
        return [] if self.combine == "all" and len(fired) < len(found) else fired

    def cools(self, situation: Situation) -> datetime | None:
        """Return the moment until which no update begins, None where one may."""
        if situation.updated is None:
            return None
        until = situation.updated + timedelta(seconds=self.cooldown)
        return until if situation.now < until else None

    def tunes(self, number: int) -> bool:
        """Whether the update of a number (1 is the first) searches its parameters anew."""
        return self.tune_every is not None and number % self.tune_every == 0


def read_policy(node: Mapping[str, Any], *, where: str = "update", metric: str | None = None) -> Policy:
    """Make the policy of a config's `update`.

    Args:
        node: `triggers` (name to parameters, null is off), `combine`, `cooldown`, `window`, `sliding`, `how`, `tune_every`;
            other keys are not looked at.
        where: the node's key.
        metric: the figure that `decay` looks at where it names none.

    Raises:
        Problems: everything that is wrong with it.
    """
    errors: list[MlframeError] = []
    triggers = {}
    for name, given in (node.get("triggers") or {}).items():
        if given is None:
            continue
        found, wrong = _trigger(str(name), given, f"{where}.triggers")
        errors += wrong
        if found is not None:
            triggers[str(name)] = found
            if isinstance(found, Decay) and metric is not None and given.get("figure") is None:
                triggers[str(name)] = replace(found, figure=metric)
    for key, words, default in (("combine", COMBINE, "any"), ("window", WINDOWS, "all"), ("how", HOW, "scratch")):
        word = node.get(key, default)
        if word not in words:
            errors.append(
                UnknownNameError.from_name(f"word for {where}.{key}", str(word), words, where=f"{where}.{key}")
            )
    cooldown, seconds, rows = 0.0, None, None
    try:
        cooldown = parse_duration(node.get("cooldown"), where=f"{where}.cooldown") or 0.0
    except ParameterError as error:
        errors.append(error)
    if node.get("window") == "sliding":
        try:
            seconds, rows = _length(node.get("sliding"), f"{where}.sliding")
        except ConfigError as error:
            errors.append(error)
    tune = node.get("tune_every")
    if tune is not None and (not isinstance(tune, int) or isinstance(tune, bool) or tune < 1):
        hint = "such as 5, or null for never"
        errors.append(ParameterError("Not a number of updates", value=tune, where=f"{where}.tune_every", hint=hint))
    if errors:
        raise Problems(errors)
    window = DataWindow(node.get("window", "all"), seconds, rows)
    return Policy(triggers, node.get("combine", "any"), cooldown, window, node.get("how", "scratch"), tune)


def _trigger(name: str, given: Any, where: str) -> tuple[Trigger | None, list[MlframeError]]:
    if name not in TRIGGERS:
        return None, [UnknownNameError.from_name("trigger", name, TRIGGERS, where=where)]
    where, kind = f"{where}.{name}", TRIGGERS[name]
    if not isinstance(given, Mapping):
        hint = f"give its parameters: {name}: {{{', '.join(f'{p.name}: {p.default}' for p in _parameters(kind))}}}"
        return None, [ParameterError("A trigger takes parameters by name", value=given, where=where, hint=hint)]
    errors: list[MlframeError] = []
    given = {key: value for key, value in given.items() if value is not None}
    types = get_type_hints(kind)
    known = [parameter.name for parameter in _parameters(kind)]
    for key, value in given.items():
        if key not in known:
            errors.append(ParameterError.unknown(name, str(key), known, where=f"{where}.{key}"))
            continue
        expected = {int: (int,), float: (int, float), str: (str, int, float)}.get(types[key], (list, tuple))
        if isinstance(value, bool) or not isinstance(value, expected):
            word = {int: "a whole number", float: "a number", str: "a text"}.get(types[key], "a list")
            errors.append(ParameterError.wrong_type(name, str(key), value, word, where=f"{where}.{key}"))
    if errors:
        return None, errors
    try:
        return kind(**given), []
    except ConfigError as error:
        return None, [error]


def _parameters(kind: type[Trigger]) -> list[inspect.Parameter]:
    return list(inspect.signature(kind).parameters.values())


def _length(value: Any, where: str) -> tuple[float | None, int | None]:
    """Return seconds or rows of a sliding window."""
    if value is None:
        raise ConfigError("window=sliding needs a length", where=where, hint="such as 90d, or 5000 for so many rows")
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            raise ParameterError("Not a number of rows", value=value, where=where, hint="such as 5000, or 90d")
        return None, value
    return parse_duration(value, where=where), None
