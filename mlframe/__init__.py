"""mlframe: from a table to a model that earns its keep in production, described by one config.

The names below are what plugin authors import; everything else is in the modules.
"""

from __future__ import annotations

from mlframe.errors import DataError, MlframeError, UserError
from mlframe.hookspecs import hookimpl
from mlframe.registry import Component

__all__ = ["Component", "DataError", "MlframeError", "UserError", "hookimpl"]
__version__ = "0.1.0"
