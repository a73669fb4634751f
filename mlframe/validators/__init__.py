"""Built-in validators."""

from __future__ import annotations

from mlframe.hookspecs import hookimpl
from mlframe.registry import Component


@hookimpl
def mlframe_validators() -> list[Component]:
    """Offer the built-in validators."""
    return [
        Component(
            "pandera", "mlframe.validators.pandera:SchemaValidator", "Pandera schema, written in YAML under data.schema"
        )
    ]
