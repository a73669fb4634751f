"""A composed config and where it came from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mlframe.config.schema import from_environment, plain, recorded

__all__ = ["Composed"]


@dataclass(frozen=True)
class Composed:
    """A composed config.

    Args:
        config: the config without the `hydra` node; `oc.env` is left unresolved in it.
        choices: config group to the option picked.
        shadowed: `group/name` of shipped files that a file of the user's own folder replaces.
        overrides: the overrides as typed.
    """

    config: DictConfig
    choices: Mapping[str, Any]
    shadowed: Sequence[str]
    overrides: Sequence[str]

    # Each form is made once: in a sweep of short jobs they are most of what mlframe adds to Hydra.

    @cached_property
    def raw(self) -> dict[str, Any]:
        """Plain values with interpolations as they are written; not to be changed."""
        return dict(plain(self.config, resolve=False))

    @cached_property
    def resolved(self) -> dict[str, Any]:
        """Plain values with everything resolved; not to be changed.

        Raises:
            ConfigError: a value is missing, or an interpolation leads nowhere.
        """
        return dict(plain(self.config))

    @cached_property
    def recorded(self) -> dict[str, Any]:
        """Plain values with everything resolved but environment variables: what runs and bundles keep."""
        return dict(recorded(self.config)) if from_environment(self.raw) else self.resolved

    def derive(self, values: Mapping[str, Any], overrides: Sequence[str]) -> Composed:
        """Return the config with other values at keys that it has; what refers to them follows.

        Composing anew takes a hundred times as long, and gives the same.

        Args:
            values: dotted key to value.
            overrides: the overrides of the new config, as typed.
        """
        if values.get("name", self.raw.get("name")) is None:  # as composing does
            values = {**values, "name": self.choices.get("data")}
        raw = _with(self.raw, values)
        derived = _Derived(self, raw, overrides)
        following = _following(raw, values)
        if following is not None:
            derived.__dict__["resolved"] = _with(self.resolved, {**values, **following})
        return derived


class _Derived(Composed):
    """A config that was derived: its DictConfig is made only if somebody asks for it."""

    def __init__(self, base: Composed, raw: dict[str, Any], overrides: Sequence[str]) -> None:
        fields = {"choices": base.choices, "shadowed": base.shadowed, "overrides": tuple(overrides), "raw": raw}
        self.__dict__.update(fields)

    @cached_property
    def config(self) -> DictConfig:
        """The config without the `hydra` node."""
        return OmegaConf.create(self.raw)


def _following(raw: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what refers to changed keys and to nothing else, with its new value; None where only resolving all can tell."""
    if any(next(_texts(value, only=mark), None) for value in values.values() for mark in ("${", "???")):
        return None
    moved, following = dict(values), dict[str, Any]()
    waiting = list(_texts(raw, only="${"))
    while True:
        found = {path: moved[text[2:-1]] for path, text in waiting if text[2:-1] in moved}
        if any(isinstance(value, Mapping) for value in found.values()):  # what is referred to is merged, not replaced
            return None
        waiting = [(path, text) for path, text in waiting if path not in found]
        following |= found
        if not found:
            return None if any(_refers(text, key) for _, text in waiting for key in moved) else following
        moved |= found


def _with(node: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config with other values at dotted keys; what does not change is shared, not copied."""
    whole: Any = dict(node)
    for key, value in values.items():
        whole = _set(whole, key.split("."), value)
    return dict(whole)


def _set(node: Any, keys: Sequence[str], value: Any) -> Any:
    """Return a copy of a node with a value in it; a mapping is merged into the one that is there, as an override's is."""
    if not keys:
        return _merged(node, value)
    first, *rest = keys
    if isinstance(node, list):
        place = int(first)
        return [*node[:place], _set(node[place], rest, value) if rest else value, *node[place + 1 :]]
    return {**(node or {}), first: _set((node or {}).get(first), rest, value)}


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return {**old, **{name: _merged(old.get(name), part) for name, part in new.items()}}
    return new


def _texts(node: Any, path: str = "", *, only: str) -> Iterator[tuple[str, str]]:
    """Give every text that holds the mark `only`, with its dotted key."""
    if isinstance(node, str) and only in node:
        yield path, node
    elif isinstance(node, Mapping | list):
        for name, inner in node.items() if isinstance(node, Mapping) else enumerate(node):
            yield from _texts(inner, f"{path}.{name}" if path else str(name), only=only)


def _refers(text: str, key: str) -> bool:
    """Whether an interpolation may lead to a key, to what is below it or to what holds it; unclear ones may."""
    for found in re.findall(r"\$\{([^}]*)", text):
        name = found.strip()
        unclear = name.startswith(".") or any(mark in name for mark in ":[$")  # relative, a resolver's, or nested
        if (unclear and not name.startswith("mlframe.")) or name == key:
            return True
        if name.startswith(f"{key}.") or key.startswith(f"{name}."):
            return True
    return False
