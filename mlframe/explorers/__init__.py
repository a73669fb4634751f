"""First looks at the data, before a model is made."""

from __future__ import annotations

from mlframe import Component, hookimpl


@hookimpl
def mlframe_explorers() -> list[Component]:
    """Offer the built-in explorers."""
    return [
        Component(
            "profile",
            "mlframe.explorers.profile:ProfileExplorer",
            "Missing and distinct values, distributions, associations with the target, suspicious columns",
        )
    ]
