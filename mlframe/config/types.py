"""A composed config and where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

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
