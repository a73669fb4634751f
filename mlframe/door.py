"""What the command line hands to tasks and commands: overrides, plugins, config and store; names and exit codes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe.errors import ConfigError, Problems

if TYPE_CHECKING:
    from mlframe.config.types import Composed
    from mlframe.plugins import Plugins

__all__ = ["COMMANDS", "FAILED", "GATE", "INTERRUPTED", "USER", "Door"]

COMMANDS = (
    "plan",
    "why",
    "plugins",
    "runs",
    "show",
    "compare",
    "rerun",
    "versions",
    "promote",
    "rollback",
    "history",
    "decisions",
    "export",
    "import",
    "gc",
    "store",
    "leaderboard",
    "measures",
    "keys",
    "predictions",
    "test",
    "ci",
    "alarms",
    "ui",
    "new-plugin",
    "doctor",
)
"""Commands: they take positionals and flags; each is a module of `mlframe.commands`."""

LEVELS = {"level=0": "level=manual", "level=1": "level=pipeline", "level=2": "level=cicd"}
"""Levels of automation are files with names; a number on the command line means one."""

INTERRUPTED = 130
FAILED = 1
USER = 2
GATE = 3


@dataclass
class Door:
    """What the command line gives to a task or a command.

    Args:
        overrides: the overrides, in Hydra's grammar.
        block: plugins that are not loaded.
        only: the only installed plugins that are loaded; None for all.
        folder: the working directory.
    """

    overrides: list[str]
    block: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    folder: Path = field(default_factory=Path.cwd)
    _plugins: Plugins | None = None

    def __post_init__(self) -> None:
        """Spell levels as names."""
        self.overrides = [LEVELS.get(word, word) for word in self.overrides]

    @property
    def plugins(self) -> Plugins:
        """The plugins, loaded when first asked for."""
        if self._plugins is None:
            from mlframe.plugins import load_plugins

            self._plugins = load_plugins(self.block, self.only, self.folder)
        return self._plugins

    @property
    def conf(self) -> Path:
        """The user's config folder; it need not exist."""
        return self.folder / "conf"

    def compose(self, overrides: Sequence[str] | None = None, *, components: bool = True) -> Composed:
        """Compose and check the config.

        Args:
            overrides: those of the command line unless given.
            components: whether to check the components too, which imports their libraries.

        Raises:
            Problems: every mistake in it.
        """
        from mlframe.config.check import validate
        from mlframe.config.compose import compose

        composed = compose(self.plugins, self.overrides if overrides is None else overrides, self.conf)
        errors = validate(self.plugins, composed, components=components)
        if errors:
            raise Problems(errors)
        return composed

    def store_place(self, config: Any = None) -> tuple[str, str | None]:
        """Return the root and the address of the tables that a config, the overrides or the environment name."""
        given = dict(line.lstrip("+").split("=", 1) for line in self.overrides if "=" in line)
        node = (config or {}).get("store") or {}
        root, url = (_resolved(node.get(key) or given.get(f"store.{key}")) for key in ("root", "url"))
        if root is None:  # both come from one place: a folder of one's own has nothing to do with the team's tables
            root = os.environ.get("MLFRAME_HOME") or str(self.folder / ".mlframe")
            url = url or os.environ.get("MLFRAME_STORE_URL")
        return root, url

    def open_store(self, config: Any = None, *, create: bool = False) -> Any:
        """Open the workspace that a config, the overrides or the environment name.

        Args:
            config: a resolved config; None reads `store.root=` and `store.url=` from the overrides.
            create: make it when it is not there.
        """
        from mlframe.store.store import Store

        store = Store.open(*self.store_place(config), create=create)
        registry = self.plugins.registry

        def load_pipeline(place: Path) -> Any:
            from mlframe.pipeline import (
                Pipeline,  # imported when first used: a command that reads a table needs no numpy
            )

            return Pipeline.load(place, registry)

        def save_featurized(value: Any, to: Path) -> None:
            from mlframe.steps import codecs

            codecs.save_featurized(value, to)

        def load_featurized(place: Path) -> Any:
            from mlframe.steps import codecs

            return codecs.load_featurized(place, registry)

        store.register_codec("pipeline", lambda value, to: value.save(to), load_pipeline, final=True)
        store.register_codec("featurized", save_featurized, load_featurized, bulky=True)
        return store


def _resolved(value: str | None) -> str | None:
    """Return an override's value as composing would: the environment's part filled in, null as None."""
    if not value or value == "null":
        return None
    if "${" not in value:
        return value
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        return str(OmegaConf.create({"value": value})["value"])
    except OmegaConfBaseException as error:
        raise ConfigError(
            "The store's address cannot be resolved", value=value, where="command line", hint=str(error).splitlines()[0]
        ) from error
