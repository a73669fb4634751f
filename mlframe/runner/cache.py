"""The step cache: artifacts by key, in memory for the jobs of one process, in the store for everyone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlframe.contracts import Step
from mlframe.errors import StepError

__all__ = ["MISS", "Lazy", "StepCache"]

MISS: Any = object()
"""What `StepCache.get` gives for a key that it cannot answer."""


@dataclass
class StepCache:
    """Artifacts by key: in memory for the jobs of one process, in the store for everyone.

    Args:
        store: the open store.
        mode: `none`, `read` or `refresh`.
        keep: how many values stay in memory; 0 in a single run, where the run holds them itself.
    """

    store: Any
    mode: str = "read"
    keep: int = 0
    _memory: OrderedDict[str, Any] = field(default_factory=OrderedDict)
    _found: set[str] = field(default_factory=set)

    def has(self, key: str) -> bool:
        """Whether a key can be answered."""
        if self.mode != "read":
            return False
        if key in self._memory or key in self._found:
            return True
        there = self.store.artifact(key) is not None
        if there and self.keep:  # jobs of one process ask for the same keys again, and each look reads the files
            self._found.add(key)
        return there

    def get(self, key: str) -> Any:
        """Return the value, or `MISS`; a damaged entry is a miss."""
        if self.mode != "read":
            return MISS
        if key in self._memory:
            self._memory.move_to_end(key)
            return self._memory[key]
        entry = self.store.artifact(key)
        if entry is None:
            self._found.discard(key)
            return MISS
        value = self.store.load_artifact(entry)
        return MISS if value is None else self._remember(key, value)

    def put(self, key: str, *, step: str, kind: str, name: str, value: Any) -> None:
        """Keep a value."""
        self._put(step, [(key, kind, name, value)])

    def put_given(self, name: str, step: Step, keys: Mapping[str, str], given: Mapping[str, Any]) -> None:
        """Keep what a step gave, in one piece, but what is of the kind `value` or of a step that is not cached."""
        kinds = step.gives if step.cached else {}
        self._put(name, [(keys[a], kind, a, given[a]) for a, kind in kinds.items() if kind != "value"])

    def _put(self, step: str, values: Sequence[tuple[str, str, str, Any]]) -> None:
        if self.mode != "none" and values:
            self.store.save_artifacts(step, values)
        for key, _, _, value in values:
            self._remember(key, value)

    def _remember(self, key: str, value: Any) -> Any:
        if self.keep:
            self._memory[key] = value
            while len(self._memory) > self.keep:
                self._memory.popitem(last=False)
        return value


@dataclass(frozen=True)
class Lazy:
    """An artifact that the cache answers when a step asks for it."""

    cache: StepCache
    key: str
    name: str

    def load(self) -> Any:
        """Return the value.

        Raises:
            StepError: the entry was damaged since it was found.
        """
        value = self.cache.get(self.key)
        if value is MISS:
            raise StepError(
                f"The cached artifact {self.name!r} is damaged",
                where="step cache",
                hint="run the same command again: the damaged entry is gone and will be made anew",
            )
        return value
