"""Watchers of a model at work."""

from __future__ import annotations

from mlframe import Component, hookimpl


@hookimpl
def mlframe_monitors() -> list[Component]:
    """Offer the built-in monitors."""
    return []
