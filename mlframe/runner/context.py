"""What a step sees of its run."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mlframe.config.schema import entries, pick
from mlframe.contracts import RunInfo, Tracker
from mlframe.plugins import Plugins
from mlframe.runner.cache import MISS, StepCache
from mlframe.runner.keys import component_identity, digest

__all__ = ["Context"]

T = TypeVar("T")


@dataclass
class Context:
    """What a step sees of its run.

    Args:
        config: the resolved config, plain values.
        plugins: the loaded plugins.
        store: the open store.
        run: the run.
        trackers: the open trackers.
        cache: the step cache.
        say: shows one line about the step that runs.
        progress: shows how far a long step has come: done, total, text.
        keys: artifact name to cache key.
        summary: what the end of the run prints and `show` repeats; steps add to it.
        unresolved: the config as it is recorded.
        until: the step that the run ends at, None for the whole task; a job of a sweep ends at its score.
        checkpoint: told how well a candidate does while it is fitted: name of the place, value, whether higher is
            better; a sweep raises `Pruned` in it to end the job. None where nobody asks.
        elsewhere: answers `under`; see `mlframe.runner.elsewhere`.
        held: cache keys of the artifacts that the run itself holds.
    """

    config: Mapping[str, Any]
    plugins: Plugins
    store: Any
    run: RunInfo
    trackers: list[Tracker]
    cache: StepCache
    say: Callable[[str], None]
    progress: Callable[[int | None, int | None, str], None]
    keys: dict[str, str] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    unresolved: Mapping[str, Any] = field(default_factory=dict)
    until: str | None = None
    checkpoint: Callable[[str, float, bool], None] | None = None
    elsewhere: Any = None
    held: Mapping[str, str] = field(default_factory=dict)

    def component(self, group: str, *, task: str | None = None) -> Any:
        """Build the component that the config picks in a singular group."""
        return self.plugins.registry.create(group, pick(self.config, group.replace("/", ".")), task=task)

    def components(self, group: str) -> Iterator[tuple[str, Any]]:
        """Build the components of a plural group, in the order of the config."""
        for key, node in entries(self.config.get(group)):
            yield key, self.plugins.registry.create(group, node)

    def under(self, changes: Mapping[str, Any], *names: str, label: str = "") -> tuple[dict[str, Any], bool]:
        """Give artifacts as they would be under another config: of the step that runs, or of those before it.

        They are answered by the cache key, and kept under it, that a run with that config has for them.

        Args:
            changes: dotted config key to another plain value.
            *names: the artifacts.
            label: what to put before lines that the steps show meanwhile.

        Returns:
            Name to value, and whether nothing had to be run for them.
        """
        found: tuple[dict[str, Any], bool] = self.elsewhere(self, changes, names, label)
        return found

    def memo(self, name: str, kind: str, parts: Any, groups: Sequence[str], make: Callable[[], T]) -> tuple[T, bool]:
        """Answer a part of a step from the cache, or make it and keep it.

        Args:
            name: what it is, for people.
            kind: artifact kind.
            parts: everything that the value depends on, beside the code of the components in `groups`.
            groups: config groups whose components' code matters.
            make: makes the value.

        Returns:
            The value, and whether the cache had it.
        """
        codes = [component_identity(self.plugins, group, self.config) for group in groups]
        key = digest(["memo", name, parts, codes, platform.python_version()])
        value = self.cache.get(key)
        if value is not MISS:
            return value, True
        value = make()
        self.cache.put(key, step="memo", kind=kind, name=name, value=value)
        return value, False
