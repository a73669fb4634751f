"""Ways to put a version to work."""

from __future__ import annotations

from mlframe import Component, hookimpl


@hookimpl
def mlframe_deployers() -> list[Component]:
    """Offer the built-in deployers."""
    return [
        Component(
            "http",
            "mlframe.deployers.http:HttpDeployer",
            "A prediction server: several processes behind one port, hot switch of versions, log of predictions",
        )
    ]
