"""The sweeper that Hydra is given: mlframe's own workers, or another launcher at Hydra's own speed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins as HydraPlugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

__all__ = ["MlframeSweeper", "install"]

NAME = "mlframe"
HOME = "hydra_plugins.mlframe"
"""The module that the class says it is from: Hydra takes sweepers of no other. There is no such package."""


@dataclass
class _Node:
    """Hydra's config node of the sweeper."""

    _target_: str = f"{HOME}.MlframeSweeper"


class MlframeSweeper(Sweeper):  # type: ignore[misc]
    """Hands a sweep to what the command line has prepared."""

    run: ClassVar[Callable[[Any], None] | None] = None
    """Runs the prepared sweep; given the launcher when it is not Hydra's plain one, else None."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep the launcher that the config picks."""
        launcher = HydraPlugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        self.launcher = None if type(launcher).__name__ == "BasicLauncher" else launcher

    def sweep(self, arguments: list[str]) -> None:
        """Run the sweep; the arguments are those that the command line has read before."""
        assert MlframeSweeper.run is not None
        MlframeSweeper.run(self.launcher)


MlframeSweeper.__module__ = HOME


def install() -> None:
    """Make Hydra know the sweeper, and find it where it looks; other Hydra applications do not see it."""
    parent, _, name = HOME.partition(".")
    try:
        package = importlib.import_module(parent)  # of other plugins of Hydra
    except ImportError:
        package = sys.modules.setdefault(parent, ModuleType(parent))
        package.__path__ = []  # Hydra looks for plugins of others below it
    sys.modules[HOME] = sys.modules[__name__]
    setattr(package, name, sys.modules[__name__])
    HydraPlugins.instance().register(MlframeSweeper)
    ConfigStore.instance().store(group="hydra/sweeper", name=NAME, node=_Node, provider=NAME)
