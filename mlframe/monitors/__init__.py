"""Watchers of a model at work."""

from __future__ import annotations

from mlframe import Component, hookimpl


@hookimpl
def mlframe_monitors() -> list[Component]:
    """Offer the built-in monitors."""
    return [
        Component(
            "drift",
            "mlframe.monitors.drift:DriftMonitor",
            "Columns and predictions that have moved since training, ranked by what that does to predictions",
        ),
    ]
