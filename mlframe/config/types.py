"""A composed config and where it came from."""

from __future__ import annotations

import copy
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
        raw = copy.deepcopy(self.raw)
        for key, value in values.items():
            _put(raw, key, value)
        derived = _Derived(self, raw, overrides)
        others = [(path, text) for path, text in self._references if path not in values]
        follow = {path: text[2:-1] for path, text in others if text[2:-1] in values}
        others = [(path, text) for path, text in others if path not in follow]
        if not any(_refers(text, key) for _, text in others for key in values) and not list(_texts(values, only="${")):
            resolved = copy.deepcopy(self.resolved)
            for key, value in {**values, **{path: values[key] for path, key in follow.items()}}.items():
                _put(resolved, key, value)
            derived.__dict__["resolved"] = resolved
        return derived

    @cached_property
    def _references(self) -> list[tuple[str, str]]:
        """Every text of the config that refers to other keys, with the key that holds it."""
        return list(_texts(self.raw, only="${"))


class _Derived(Composed):
    """A config that was derived: its DictConfig is made only if somebody asks for it."""

    def __init__(self, base: Composed, raw: dict[str, Any], overrides: Sequence[str]) -> None:
        fields = {"choices": base.choices, "shadowed": base.shadowed, "overrides": tuple(overrides), "raw": raw}
        self.__dict__.update(fields)

    @cached_property
    def config(self) -> DictConfig:
        """The config without the `hydra` node."""
        return OmegaConf.create(self.raw)


def _put(node: dict[str, Any], key: str, value: Any) -> None:
    inner: Any = node
    *parents, last = key.split(".")
    for parent in parents:
        inner = inner[int(parent)] if isinstance(inner, list) else inner.setdefault(parent, {})
    inner[int(last) if isinstance(inner, list) else last] = value


def _texts(node: Any, path: str = "", *, only: str) -> Iterator[tuple[str, str]]:
    """Give every text that holds the mark `only`, with its dotted key."""
    if isinstance(node, str) and only in node:
        yield path, node
    elif isinstance(node, Mapping | list):
        for name, inner in node.items() if isinstance(node, Mapping) else enumerate(node):
            yield from _texts(inner, f"{path}.{name}" if path else str(name), only=only)


def _refers(text: str, key: str) -> bool:
    """Whether an interpolation may lead to a key, to what is below it or to what holds it; relative ones may."""
    for found in re.findall(r"\$\{([^}]*)", text):
        name = found.strip()
        inside = name.startswith(".") or ":" in name
        if (inside and not name.startswith("mlframe.")) or name == key:
            return True
        if name.startswith(f"{key}.") or key.startswith(f"{name}."):
            return True
    return False
