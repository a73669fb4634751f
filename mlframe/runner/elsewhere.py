"""Artifacts of a run's steps as they would be under another config, by the keys that a run with that config has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mlframe.contracts import Step
from mlframe.errors import MlframeError, StepError, UnknownNameError
from mlframe.runner.cache import MISS, Lazy, StepCache
from mlframe.runner.keys import digest, step_key
from mlframe.runner.order import PlannedStep

if TYPE_CHECKING:
    from mlframe.runner.context import Context

__all__ = ["Elsewhere", "changed", "touches"]


@dataclass
class Elsewhere:
    """Answers `Context.under` for one run.

    A step that reads nothing of what changes, and whose inputs stay the same, keeps its key; any other gets the key that
    it would have in a run of its own, so the two share the step cache.

    Args:
        steps: the run's steps up to the one that runs, in order.
        artifacts: what the run holds at present: name to value or `Lazy`.
    """

    steps: Sequence[PlannedStep]
    cache: StepCache
    artifacts: Mapping[str, Any] = field(default_factory=dict)
    _made: dict[str, Any] = field(default_factory=dict)

    def __call__(
        self, context: Context, changes: Mapping[str, Any], names: Sequence[str], label: str
    ) -> tuple[dict[str, Any], bool]:
        """Return artifacts under another config, and whether nothing had to be run for them."""
        say = context.say
        inner = replace(
            context,
            config=changed(context.config, changes),
            keys={},
            say=(lambda text: say(f"{label}: {text}")) if label else say,
        )
        for planned in self.steps:
            inner.keys.update(self._keys(context, inner, planned, changes))
        ran: list[str] = []
        try:
            return {name: self._value(inner, name, ran) for name in names}, not ran
        except MlframeError as error:
            if label:
                error.add_note(f"in: {label}")
            raise
        except Exception as error:
            if not label:
                raise
            raise StepError(
                f"{label}: the step {ran[-1] if ran else self.steps[-1].name} failed: {type(error).__name__}: {error}",
                where=label,
                hint="what is done is kept; the full traceback is in the run's error.log",
            ) from error

    def _keys(
        self, context: Context, inner: Context, planned: PlannedStep, changes: Mapping[str, Any]
    ) -> dict[str, str]:
        step = planned.step
        inputs = {a: inner.keys.get(a) for a in (*step.needs, *step.needs_if_present)}
        same = all(context.keys.get(name) == key for name, key in inputs.items())
        if same and not any(touches(read, key) for read in step.reads for key in changes):
            return {a: context.keys[a] for a in step.gives if a in context.keys}
        key = step_key(context.plugins, planned, inner.config, inputs, step.key(inner))
        return {a: digest([key, a]) for a in step.gives}

    def _value(self, inner: Context, name: str, ran: list[str]) -> Any:
        planned = next((item for item in self.steps if name in item.step.gives), None)
        if planned is None:
            raise UnknownNameError.from_name("artifact", name, [a for item in self.steps for a in item.step.gives])
        key = inner.keys[name]
        if key in self._made:
            return self._made[key]
        held = self.artifacts.get(name)
        if held is not None and inner.held.get(name) == key:
            return held.load() if isinstance(held, Lazy) else held
        value = self.cache.get(key) if planned.step.cached else MISS
        return self._run(inner, planned, ran)[name] if value is MISS else value

    def _run(self, inner: Context, planned: PlannedStep, ran: list[str]) -> Mapping[str, Any]:
        step: Step = planned.step
        ran.append(planned.name)
        optional = [a for a in step.needs_if_present if a in inner.keys]
        inputs = {a: self._value(inner, a, ran) for a in (*step.needs, *optional)}
        given = step.run(inner, **{**dict.fromkeys(step.needs_if_present), **inputs})
        for name, value in given.items():
            if self.cache.mode != "read":  # the cache will not answer: later steps of this run may ask again
                self._made[inner.keys[name]] = value
        self.cache.put_given(planned.name, step, inner.keys, given)
        return given


def touches(read: str, key: str) -> bool:
    """Whether a config key that is read lies at, above or below one that changes."""
    return read == key or read.startswith(f"{key}.") or key.startswith(f"{read}.")


def changed(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config with other values at dotted keys; what does not change is shared, not copied."""
    whole = dict(config)
    for key, value in changes.items():
        node = whole
        *parents, last = key.split(".")
        for parent in parents:
            node[parent] = dict(node.get(parent) or {})
            node = node[parent]
        node[last] = value
    return whole
