"""A composed config and where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from omegaconf import DictConfig

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
