"""Puts a task's steps in order: each after those that give what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlframe.contracts import Step
from mlframe.errors import ConfigError, MlframeError, Problems
from mlframe.plugins import Plugins
from mlframe.registry import Registered, import_target

__all__ = ["LIFECYCLE", "PlannedStep", "order", "plan_steps"]

LIFECYCLE = (
    "scope",
    "ingest",
    "verify",
    "label",
    "split",
    "explore",
    "assess",
    "advise",
    "fit",
    "score",
    "refit",
    "evaluate",
    "gate",
    "register",
    "report",
    "load",
    "predict",
    "deploy",
    "monitor",
    "update",
    "simulate",
)
"""Order of steps that do not need each other."""


@dataclass
class PlannedStep:
    """A step in its place.

    Args:
        name: registered name.
        step: the step.
        item: its provenance.
        options: options from the task file.
    """

    name: str
    step: Step
    item: Registered
    options: Mapping[str, Any]


def plan_steps(plugins: Plugins, task: Mapping[str, Any], until: str | None = None) -> list[PlannedStep]:
    """Build a task's steps and put them in order.

    Args:
        plugins: the loaded plugins.
        task: the config's `task` node.
        until: keep only what this step needs; None keeps all.

    Raises:
        Problems: a need that nobody gives, two givers of one artifact, a circle.
    """
    planned = []
    for name, options in (task.get("steps") or {}).items():
        if options is None:
            continue
        item = plugins.registry.get("step", name, where=f"task.steps.{name}")
        step = plugins.registry.create("step", {"name": name, **options})
        planned.append(PlannedStep(name, step, item, options))
    ordered = order(planned, lambda: known_steps(plugins))  # imports every step, for the text of an error
    return ordered if until is None else list(_up_to(ordered, until))


def known_steps(plugins: Plugins) -> dict[str, list[str]]:
    """Return artifact name to the registered steps that give it, for error texts."""
    givers: dict[str, list[str]] = {}
    for name in plugins.registry.names("step"):
        item = plugins.registry.get("step", name)
        for artifact in import_target(item.target(), item).gives:
            givers.setdefault(artifact, []).append(name)
    return givers


def order(
    planned: Sequence[PlannedStep], givers: Callable[[], Mapping[str, Sequence[str]]] | None = None
) -> list[PlannedStep]:
    """Order steps so that each follows those that give what it needs; ties by the lifecycle's order, then by name."""
    given: dict[str, str] = {}
    errors: list[MlframeError] = []
    for item in planned:
        for artifact in item.step.gives:
            if artifact in given:
                hint = f"leave one out: ~task.steps.{given[artifact]} or ~task.steps.{item.name}"
                errors.append(
                    ConfigError(
                        f"Two steps give {artifact!r}: {given[artifact]} and {item.name}", where="task.steps", hint=hint
                    )
                )
            given[artifact] = item.name
    for item in planned:
        for artifact in item.step.needs:
            if artifact not in given:
                steps = givers().get(artifact, ()) if givers else ()
                remedy = (
                    f"add a step that gives it: {', '.join(f'+task.steps.{s}={{}}' for s in steps)}" if steps else None
                )
                errors.append(
                    ConfigError(
                        f"The step {item.name} needs {artifact!r}, which no step of the task gives",
                        where="task.steps",
                        hint=remedy,
                    )
                )
    if errors:
        raise Problems(errors)

    def rank(item: PlannedStep) -> tuple[int, str]:
        known = LIFECYCLE.index(item.name) if item.name in LIFECYCLE else len(LIFECYCLE)
        return known, item.name

    waiting = sorted(planned, key=rank)
    done: set[str] = set()
    ordered: list[PlannedStep] = []
    while waiting:
        for item in waiting:
            wanted = [*item.step.needs, *(a for a in item.step.needs_if_present if a in given)]
            if all(artifact in done for artifact in wanted):
                break
        else:
            names = ", ".join(item.name for item in waiting)
            raise ConfigError(
                f"The steps {names} wait for each other",
                where="task.steps",
                hint="each needs what another gives: leave one of them out",
            )
        waiting.remove(item)
        ordered.append(item)
        done.update(item.step.gives)
    return ordered


def _up_to(ordered: Sequence[PlannedStep], until: str) -> Iterator[PlannedStep]:
    """Keep a step and what it needs, directly or not."""
    names = {item.name for item in ordered}
    if until not in names:
        yield from ordered
        return
    wanted: set[str] = set()
    for item in reversed(ordered):
        if item.name == until or wanted & set(item.step.gives):
            wanted.update(item.step.needs)
            wanted.add(f"step {item.name}")
    yield from (item for item in ordered if f"step {item.name}" in wanted)
