"""Built-in labelers."""

from __future__ import annotations

from mlframe.hookspecs import hookimpl
from mlframe.registry import Component


@hookimpl
def mlframe_labelers() -> list[Component]:
    """Offer the built-in labelers."""
    return [Component("column", "mlframe.labelers.column:ColumnLabeler", "The column with the role target")]
