"""Steps: the verbs of the lifecycle."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

__all__ = ["Step"]


class Step(ABC):
    """One verb of the lifecycle (hook `mlframe_steps`).

    `needs` and `gives` alone decide the order of a task's steps. The keyword arguments of the constructor are the
    step's options in the task file.
    """

    summary: ClassVar[str]
    """One line for `plan` and the progress display."""
    reads: ClassVar[tuple[str, ...]] = ()
    """Config keys (dotted) whose values the outcome depends on; they are part of the step's cache key."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Artifacts that must be there."""
    needs_if_present: ClassVar[tuple[str, ...]] = ()
    """Artifacts that are used when some step of the task gives them; absent ones arrive as None."""
    gives: ClassVar[Mapping[str, str]] = {}
    """Artifact name to kind: table, frame, arrays, pipeline, json, files, or `value` (kept in memory, never cached)."""
    cached: ClassVar[bool] = True
    """False for steps with effects outside their artifacts; they run every time."""

    def key(self, context: Any) -> Any:
        """Return what else the outcome depends on (plain JSON values), such as a source's fingerprint."""
        return None

    @abstractmethod
    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Do the step.

        Args:
            context: the run: config, components, store, progress; see `mlframe.runner.Context`.
            **inputs: the artifacts named in `needs` and `needs_if_present`.

        Returns:
            Exactly the artifacts named in `gives`.
        """

    def summarize(self, **given: Any) -> Mapping[str, Any]:
        """Return what the run's summary says of this step's artifacts; also asked when the cache gave them.

        Mappings are merged into those of earlier steps.
        """
        return {}
