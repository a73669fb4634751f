"""Files for people, written at the end of a run."""

from __future__ import annotations

from mlframe import Component, hookimpl


@hookimpl
def mlframe_reporters() -> list[Component]:
    """Offer the built-in reporters."""
    return [
        Component(
            "html",
            "mlframe.reporters.html:HtmlReporter",
            "One self-contained page: verdict, figures with intervals, data, pictures, run details",
        )
    ]
