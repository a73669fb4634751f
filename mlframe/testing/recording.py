"""A tracker that keeps what it is told: the plugin behind the fixture `recording_tracker`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mlframe.contracts import Chart, RunInfo, Tracker
from mlframe.hookspecs import hookimpl
from mlframe.registry import Component

if TYPE_CHECKING:
    import polars as pl

__all__ = ["RecordingTracker", "mlframe_trackers"]


@hookimpl
def mlframe_trackers() -> list[Component]:
    """Offer the tracker `recording`."""
    return [Component("recording", f"{__name__}:RecordingTracker", "Keeps every call in memory, for tests")]


class RecordingTracker(Tracker):
    """Keeps every call, over all instances of the process, as (method, what it got)."""

    calls: ClassVar[list[tuple[str, Any]]] = []

    @classmethod
    def named(cls, method: str) -> list[Any]:
        """Return what the calls of one method got, in order."""
        return [value for name, value in cls.calls if name == method]

    def open(self, run: RunInfo) -> None:
        """Keep the run."""
        self.calls.append(("open", run))

    def figures(self, values: Mapping[str, float]) -> None:
        """Keep the figures."""
        self.calls.append(("figures", dict(values)))

    def chart(self, chart: Chart) -> None:
        """Keep the chart."""
        self.calls.append(("chart", chart))

    def table(self, name: str, frame: pl.DataFrame) -> None:
        """Keep the table with its name."""
        self.calls.append(("table", (name, frame)))

    def bundle(self, name: str, folder: Path) -> None:
        """Keep the bundle's name."""
        self.calls.append(("bundle", name))

    def close(self, status: str) -> None:
        """Keep the status."""
        self.calls.append(("close", status))
