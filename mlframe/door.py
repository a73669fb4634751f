"""What the command line hands to tasks and commands: overrides, plugins, config and store; names and exit codes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe.errors import Problems

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
    "leaderboard",
    "measures",
    "new-plugin",
    "doctor",
)
"""Commands: they take positionals and flags; each is a module of `mlframe.commands`."""

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

    def open_store(self, config: Any = None, *, create: bool = False) -> Any:
        """Open the workspace that a config, the overrides or the environment name.

        Args:
            config: a resolved config; None reads `store.root=` and `store.url=` from the overrides.
            create: make it when it is not there.
        """
        from mlframe.store.store import Store

        given = dict(line.lstrip("+").split("=", 1) for line in self.overrides if "=" in line)
        node = (config or {}).get("store") or {}
        root = (
            node.get("root")
            or given.get("store.root")
            or os.environ.get("MLFRAME_HOME")
            or str(self.folder / ".mlframe")
        )
        url = node.get("url") or given.get("store.url")
        store = Store.open(root, url, create=create)
        store.register_codec("pipeline", lambda value, to: value.save(to), self._load_pipeline)
        store.register_codec("featurized", _save_featurized, self._load_featurized, bulky=True)
        return store

    # Who only looks into the tables, as the ledger of a sweep, needs neither polars nor scikit-learn.

    def _load_pipeline(self, folder: Path) -> Any:
        from mlframe.pipeline import Pipeline

        return Pipeline.load(folder, self.plugins.registry)

    def _load_featurized(self, folder: Path) -> Any:
        from mlframe.steps.codecs import load_featurized

        return load_featurized(folder, self.plugins.registry)


def _save_featurized(value: Any, folder: Path) -> None:
    from mlframe.steps.codecs import save_featurized

    save_featurized(value, folder)
