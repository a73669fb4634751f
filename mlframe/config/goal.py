"""Checks the goal before any data is read: figures that someone measures, dates that are dates, money that adds up."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from mlframe.config.schema import entries
from mlframe.contracts import TASKS
from mlframe.errors import ConfigError, MlframeError, ParameterError, UnknownNameError
from mlframe.plugins import Plugins

if TYPE_CHECKING:
    from mlframe.contracts import Figure

__all__ = [
    "OUTCOMES",
    "WAYS",
    "check_figures",
    "check_goal",
    "check_ranges",
    "check_tests",
    "check_value",
    "declared_by",
]

OUTCOMES: Mapping[str, tuple[str, ...]] = {"binary": ("tp", "fp", "tn", "fn"), "regression": ("error",)}
"""Keys of `goal.value` for each learning task that has a value."""

WAYS = ("rising", "falling")
"""How a score may have to go while a column grows (`tests.direction`)."""


def check_goal(goal: Mapping[str, Any]) -> Iterator[MlframeError]:
    """Find values of the goal that mean nothing, whatever the data."""
    for key in ("deadline", "review"):
        if goal.get(key) is not None:
            try:
                date.fromisoformat(str(goal[key]))
            except ValueError:
                yield ParameterError(
                    f"goal.{key} is no date",
                    value=goal[key],
                    where=f"goal.{key}",
                    hint="write year, month and day: 2027-06-30",
                )
    baseline = goal.get("baseline")
    if baseline is not None and (isinstance(baseline, bool) or not isinstance(baseline, str | int | float)):
        yield ParameterError(
            "goal.baseline must be a number (the metric as it is today) or words",
            value=baseline,
            where="goal.baseline",
            hint="such as 0.85, or 'Customers with a monthly contract are called'",
        )
    for key in ("process_cost", "volume"):
        amount = goal.get(key)
        if amount is not None and not (amount > 0 and math.isfinite(amount)):
            yield ParameterError(
                f"goal.{key} must be above 0",
                value=amount,
                where=f"goal.{key}",
                hint="leave it out (null) while it is not known",
            )
    for name, wanted in (goal.get("targets") or {}).items():
        if not math.isfinite(wanted):
            yield ParameterError(
                f"goal.targets.{name} must be a finite number",
                value=wanted,
                where=f"goal.targets.{name}",
                hint=f"say what the holdout must reach, or leave it out: '~goal.targets.{name}'",
            )
    if goal.get("task") in (None, *TASKS):
        yield from check_value(goal, goal.get("task"))


def check_tests(config: Mapping[str, Any]) -> Iterator[MlframeError]:
    """Find expectations of the standard tests that mean nothing, whatever the model."""
    tests = config.get("tests") or {}
    for name, way in (tests.get("direction") or {}).items():
        if way not in WAYS:
            yield UnknownNameError.from_name("direction", str(way), WAYS, where=f"tests.direction.{name}")
    if not 0 < tests.get("agree", 1) <= 1:
        yield ParameterError(
            "tests.agree is a share of the examples",
            value=tests["agree"],
            where="tests.agree",
            hint="above 0, at most 1",
        )
    limits = {key: tests.get(key) for key in ("latency_ms", "size_mb")}
    limits |= {f"endpoint.{key}": limit for key, limit in (tests.get("endpoint") or {}).items()}
    for key, limit in limits.items():
        if limit is not None and not (limit > 0 and math.isfinite(limit)):
            yield ParameterError(
                f"tests.{key} must be above 0", value=limit, where=f"tests.{key}", hint="null for no limit"
            )
    if (tests.get("slices") or {}).get("targets") and not tests["slices"].get("columns"):
        yield ConfigError(
            "tests.slices has targets and no columns to make groups of",
            value=dict(tests["slices"]["targets"]),
            where="tests.slices.columns",
            hint="name columns, such as tests.slices.columns=[contract]",
        )


def check_value(goal: Mapping[str, Any], task: str | None) -> Iterator[MlframeError]:
    """Find outcomes that the task does not have; while the task is unknown, that no task has.

    Args:
        goal: the config's goal.
        task: the learning task, None while it is unknown.
    """
    value: Mapping[str, float] = goal.get("value") or {}
    if not value:
        return
    if task is not None and task not in OUTCOMES:
        yield ConfigError(
            f"goal.value speaks of outcomes, which a {task} task does not have",
            value=dict(value),
            where="goal.value",
            hint="leave it out: '~goal.value'; binary tasks take tp, fp, tn, fn, regression takes error",
        )
        return
    known = tuple(name for known, names in OUTCOMES.items() if task in (None, known) for name in names)
    kind = f"outcome of a {task} task" if task else "outcome"
    for name, amount in value.items():
        if name not in known:
            yield UnknownNameError.from_name(kind, str(name), known, where=f"goal.value.{name}")
        elif not math.isfinite(amount) or (name == "error" and amount < 0):
            yield ParameterError(
                f"goal.value.{name} must be {'0 or more' if name == 'error' else 'a finite amount'}",
                value=amount,
                where=f"goal.value.{name}",
                hint="the loss for one unit of absolute error" if name == "error" else None,
            )
    if task is None and "error" in value and len(value) > 1:
        yield ConfigError(
            "goal.value mixes outcomes of classes with the error of a number",
            value=dict(value),
            where="goal.value",
            hint="binary tasks take tp, fp, tn, fn, regression takes error",
        )


def check_figures(plugins: Plugins, config: Mapping[str, Any]) -> Iterator[MlframeError]:
    """Find figures of the goal that no evaluator of the run declares; while the task is unknown, for any task."""
    goal = config["goal"]
    named = {f"goal.targets.{name}": name for name in goal.get("targets") or {}}
    if goal.get("metric"):
        named["goal.metric"] = goal["metric"]
    if not named:
        return
    task = goal.get("task")
    declared = declared_by(plugins, config, task)
    kind = f"figure for {task}" if task else "figure"
    remedy = None if declared else "no picked evaluator gives any: evaluators=[classification,regression]"
    for key, name in named.items():
        if name not in declared:
            judge = None if key == "goal.metric" else _judge_of(plugins, config, name, task)
            also = f"evaluators={judge} measures it" if judge else remedy
            yield UnknownNameError.from_name(kind, name, declared, where=key, remedy=also)
    yield from check_ranges(goal, declared, goal.get("metric"))


def check_ranges(
    goal: Mapping[str, Any], declared: Mapping[str, Figure], metric: str | None
) -> Iterator[ParameterError]:
    """Find targets, and a baseline of the metric, that their figure can never be.

    Args:
        goal: the config's goal.
        declared: the known figures by name.
        metric: the figure that decides, None while it is not known.
    """
    wanted = {f"goal.targets.{name}": (name, value) for name, value in (goal.get("targets") or {}).items()}
    baseline = goal.get("baseline")
    if metric and isinstance(baseline, int | float):
        wanted["goal.baseline"] = (metric, baseline)
    for key, (name, value) in wanted.items():
        figure = declared.get(name)
        if figure is not None and not figure.holds(value):
            yield ParameterError(
                f"{name} can never be {value:g}",
                value=value,
                where=key,
                hint=f"{name} is {figure.range}, {figure.better} is better",
            )


def _judge_of(plugins: Plugins, config: Mapping[str, Any], figure: str, task: str | None) -> str | None:
    """Return the evaluators as a list that has the one too that declares a figure; None when there is none."""
    picked = [name for name, _ in entries(config.get("evaluators"))]
    for name in plugins.registry.names("evaluators"):
        if name in picked:
            continue
        try:
            declared = declared_by(plugins, {"evaluators": {name: {"name": name}}}, task)
        except MlframeError:  # a plugin's own, which cannot be made without parameters
            continue
        if figure in declared:
            return f"[{','.join([*picked, name])}]"
    return None


def declared_by(plugins: Plugins, config: Mapping[str, Any], task: str | None) -> dict[str, Figure]:
    """Return the figures that the config's evaluators declare for a task, None for any."""
    built = [plugins.registry.create("evaluators", entry) for _, entry in entries(config.get("evaluators"))]
    return {figure.name: figure for item in built for figure in item.declares() if task is None or task in figure.tasks}
