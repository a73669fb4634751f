"""mlframe: from a table to a model that earns its keep in production, described by one config.

The names below are what plugin authors import; everything else is in the modules.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from mlframe.errors import DataError, MlframeError, UserError
from mlframe.hookspecs import hookimpl
from mlframe.registry import Component

if TYPE_CHECKING:
    from mlframe.loading import LoadedModel

__all__ = ["Component", "DataError", "MlframeError", "UserError", "hookimpl", "load"]
__version__ = "0.1.0"


def load(name: str, *, store: str | Path | None = None) -> LoadedModel:
    """Load a model that predicts frames: `mlframe.load("email").predict(frame)`.

    Args:
        name: an installed model (`email`), a version of a store (`email/7`, `email@champion`) or a store's champion (`email`).
        store: folder or fsspec address of the store; None takes an installed model of the name, then the store of
            `MLFRAME_HOME`, then `.mlframe` in the working directory.

    Raises:
        UserError: there is no such model; its bundle was changed; a plugin that it needs is not installed.
    """
    # By name, because components import this module, and must not reach the store through it.
    model: LoadedModel = import_module("mlframe.loading").load(name, store=store)
    return model
