"""Records of runs that are kept elsewhere."""

from __future__ import annotations

from mlframe import Component, hookimpl


@hookimpl
def mlframe_trackers() -> list[Component]:
    """Offer the built-in trackers."""
    return [
        Component(
            "wandb",
            "mlframe.trackers.wandb:WandbTracker",
            "Weights & Biases: online when a login is present, offline otherwise, never a failure of the run",
        )
    ]
