"""Ways to tell people what a monitor has seen and what was decided."""

from __future__ import annotations

from mlframe import Component, hookimpl


@hookimpl
def mlframe_notifiers() -> list[Component]:
    """Offer the built-in notifiers."""
    return [
        Component("log", "mlframe.notifiers.log:LogNotifier", "Lines in Python's log, or JSON lines in a file"),
    ]
