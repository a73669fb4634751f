"""Works out what a multirun is about to do: axes, recipe and sampler, all mistakes found before the first job."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mlframe.contracts import DEFAULT_METRICS
from mlframe.errors import ConfigError, MlframeError, Problems, UnknownNameError
from mlframe.registry import PLURAL
from mlframe.sweep.engine import Budget, Recipe
from mlframe.sweep.samplers import BayesSampler, GridSampler, RandomSampler, Sampler
from mlframe.sweep.space import Axis, Space, axes_of, axis_of_override, spell

if TYPE_CHECKING:
    from mlframe.config.types import Composed
    from mlframe.door import Door

__all__ = ["Question", "SweepPlan", "mistakes", "plan_sweep"]


@dataclass(frozen=True)
class SweepPlan:
    """A multirun, checked.

    Args:
        first: the config of the first choice of every axis.
        space: what is varied.
        fixed: group to option that is picked for every job.
        recipe: how values become jobs.
        settings: the config's `sweep`.
    """

    first: Composed
    space: Space
    fixed: Mapping[str, Any]
    recipe: Recipe
    settings: Mapping[str, Any]

    def sampler(self) -> Sampler:
        """Build the sampler."""
        kind = self.settings["name"]
        if kind in ("list", "grid"):
            return GridSampler(self.space, self.fixed)
        return (RandomSampler if kind == "random" else BayesSampler)(
            self.space, self.fixed, self.first.resolved["seed"]
        )

    def structure(self) -> list[str]:
        """Return the structure of the job that has the first choice of every axis."""
        values: dict[str, Any] = {}
        for axis in self.space.active(values, self.fixed):
            values[axis.key] = axis.choices[0] if axis.choices else axis.low
        return self.recipe.job(0, 0, 0, values).structure

    def budget(self) -> Budget:
        """Return when to stop."""
        from mlframe.contracts.amounts import parse_duration

        node = self.settings
        seconds = parse_duration(node["timeout"], where="sweep.timeout")
        return Budget(node["trials"], seconds, node["fail_fast"], node["prune"] == "median", node["prune_after"])


@dataclass(frozen=True)
class Question:
    """A config whose components are to be checked: that of some overrides, or one that is derived from it.

    Args:
        lines: overrides.
        key: dotted key that is set in the config of the overrides; None checks that config itself.
        value: its value.
        where: where the value came from.
    """

    lines: tuple[str, ...]
    key: str | None = None
    value: Any = None
    where: str | None = None


Answering = Callable[["SweepPlan", Sequence[Question]], list[MlframeError]]


def mistakes(door: Door, questions: Sequence[Question]) -> list[MlframeError]:
    """Check components, which imports them and their libraries; each config is composed once.

    Returns:
        Every mistake.
    """
    from mlframe.config.check import validate

    bases: dict[tuple[str, ...], Composed | None] = {}
    found: list[MlframeError] = []
    for question in questions:
        if question.lines not in bases:
            bases[question.lines] = None
            try:
                bases[question.lines] = door.compose(question.lines)
            except Problems as problems:
                found.extend(problems.errors)
        base = bases[question.lines]
        if base is not None and question.key is not None:
            line = f"{question.key}={spell(question.value)}"
            tried = base.derive({question.key: question.value}, [line])
            errors = validate(door.plugins, tried, changed=[question.key])
            found.extend(error.at(f"{question.where}, {line}") for error in errors)
    return found


@dataclass
class _Checked:
    """Configs by their picks, every mistake found on the way, and what only the components' libraries can tell."""

    door: Door
    errors: dict[str, MlframeError] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)

    def add(self, errors: Sequence[MlframeError]) -> None:
        """Keep mistakes, each once."""
        self.errors.update({str(error): error for error in errors})

    def compose(self, lines: Sequence[str]) -> Composed | None:
        """Compose and check all but the components, or keep the mistakes."""
        self.questions.append(Question(tuple(lines)))
        try:
            return self.door.compose(lines, components=False)
        except Problems as problems:
            self.add(problems.errors)
        except MlframeError as error:
            self.questions.pop()
            self.add([error])
        return None

    def refuse(self) -> None:
        """Tell every mistake, those of the components too, if there is any.

        Raises:
            Problems: there is.
        """
        if self.errors:
            self.add(mistakes(self.door, self.questions))
            raise Problems(list(self.errors.values()))


def plan_sweep(door: Door, answer: Answering | None = None) -> SweepPlan:
    """Read the axes, compose each choice once, and check every end of every axis.

    Args:
        door: plugins and overrides.
        answer: checks the components: a worker, which has to import their libraries anyway; None does it here.

    Raises:
        Problems: every mistake of every choice.
    """
    from mlframe.config.compose import parse
    from mlframe.config.schema import available_cpus

    words = [word for word in door.overrides if not word.startswith(("hydra.", "hydra/", "+hydra"))]
    parsed, errors = parse(words)
    template: list[str | Axis] = []
    for word, override in zip(words, parsed, strict=False):
        try:
            template.append(axis_of_override(override) if override.is_sweep_override() else word)
        except MlframeError as error:
            errors.append(error)
    if errors:
        raise Problems(errors)
    typed = [part for part in template if isinstance(part, Axis)]
    checked = _Checked(door)
    # Intervals have no first choice of their own: their lower end stands for them.
    lines = [part if isinstance(part, str) else _line(part) for part in template]
    first = checked.compose(lines)
    groups = [axis for axis in typed if _picks(axis, first)]
    bases: dict[str, Composed] = {}
    if first is not None:
        bases[str(first.choices.get("model"))] = first
    for axis in groups:
        found = [first]
        for choice in axis.choices[1:]:
            lines = [part if isinstance(part, str) else _line(part, {axis.key: choice}) for part in template]
            composed = checked.compose(lines)
            if composed is not None and axis.key == "model":
                bases[choice] = composed
            found.append(composed)
        _refuse_mixed(checked, axis, found)
    for axis in typed:
        if first is not None and axis not in groups and _known(first, axis.key):
            list(_fitting(checked, first, [axis]))
            _refuse_mixed(checked, axis, [first.derive({axis.key: choice}, ()) for choice in axis.choices])
    checked.refuse()
    assert first is not None
    settings = first.resolved["sweep"]
    space = Space((*typed, *_space(checked, first, bases, typed, words, settings)))
    checked.refuse()
    _refuse_empty(space, settings)
    if settings["repeats"] > 1:
        if any(axis.key == "seed" for axis in space):
            raise ConfigError("seed is swept, and sweep.repeats sets it too", where="sweep.repeats",
                              hint="leave one of them out")  # fmt: skip
        template = [part for part in template if not (isinstance(part, str) and part.startswith("seed="))]
    structural = frozenset(axis.key for axis in typed if _picks(axis, first) or not _known(first, axis.key))
    fixed = {key: option for key, option in first.choices.items() if key not in {axis.key for axis in groups}}
    # What only the search reads is no part of a job: the same candidate typed alone has the same config.
    template = [part for part in template if not (isinstance(part, str) and part.startswith(("sweep=", "sweep.")))]
    if settings["workers"] > 1 and not any(word.lstrip("+").startswith("resources.threads=") for word in words):
        # Workers that all want every processor wait for each other; the jobs' threads are part of their config.
        template.append(f"resources.threads={max(1, available_cpus() // settings['workers'])}")
    seed = first.resolved["seed"]
    held = {"splitter.seed": seed} if _known(first, "splitter.seed") else {}
    recipe = Recipe(template, structural, seed, settings["repeats"], held)
    plan = SweepPlan(first, space, fixed, recipe, settings)
    checked.add(mistakes(door, checked.questions) if answer is None else answer(plan, checked.questions))
    if checked.errors:
        raise Problems(list(checked.errors.values()))
    return plan


def _space(
    checked: _Checked,
    first: Composed,
    bases: Mapping[str, Composed],
    typed: Sequence[Axis],
    words: Sequence[str],
    settings: Mapping[str, Any],
) -> Iterator[Axis]:
    """Give the axes of the picked models' search spaces and of `sweep.space`; what is typed is not varied twice."""
    from mlframe.config.search import load_file

    own = _axes(checked, settings["space"], "sweep.space", None, first)
    taken = {axis.key for axis in (*typed, *own)} | {word.lstrip("+").partition("=")[0] for word in words}
    models = next((axis.choices for axis in typed if axis.key == "model"), (first.choices.get("model"),))
    if settings["name"] == "list":
        models = ()
    for model in models:
        base = bases[str(model)]
        found = load_file(f"sweep/space/{model}")
        node, where = found or ({}, "")
        axes = [axis for axis in _axes(checked, node, where, ("model", str(model)), base) if axis.key not in taken]
        yield from _fitting(checked, base, axes)
        for axis in own:  # a key of this model only
            if axis.key.startswith("model.") and _known(base, axis.key):
                yield from _fitting(checked, base, [replace(axis, owner=("model", str(model)))])
    some = [bases[str(model)] for model in models]
    for axis in own:
        if not (axis.key.startswith("model.") and any(_known(base, axis.key) for base in some)):
            yield from _fitting(checked, first, [axis])


def _axes(checked: _Checked, node: Any, where: str, owner: tuple[str, str] | None, base: Composed) -> list[Axis]:
    try:
        return axes_of(node, where=where, owner=owner, task=base.resolved["goal"].get("task"))
    except Problems as problems:
        checked.add(problems.errors)
    return []


def _fitting(checked: _Checked, base: Composed, axes: Sequence[Axis]) -> Iterator[Axis]:
    """Give axes whose keys exist; keep what is wrong with the others, and ask whether a component takes the values."""
    from mlframe.config.schema import pick

    for axis in axes:
        if not _known(base, axis.key):
            parent, _, _ = axis.key.rpartition(".")
            names = [f"{parent}.{name}" for name in pick(base.raw, parent) or {}] if parent else list(base.raw)
            checked.add([UnknownNameError.from_name("key", axis.key, names, where=axis.where)])
            continue
        values = axis.choices or (axis.low, axis.high)
        checked.questions.extend(Question(tuple(base.overrides), axis.key, value, axis.where) for value in values)
        yield axis


def _refuse_mixed(checked: _Checked, axis: Axis, configs: Sequence[Composed | None]) -> None:
    """Keep a mistake when the choices of an axis are scored by different figures, as far as that is known before."""
    told: dict[str, str] = {}
    for choice, composed in zip(axis.choices, configs, strict=True):
        goal = composed.raw["goal"] if composed is not None else {}
        figure = goal.get("metric") or DEFAULT_METRICS.get(str(goal.get("task")))
        if figure:
            told.setdefault(str(figure), f"{axis.key}={spell(choice)} by {figure}")
    if len(told) > 1:
        checked.add(
            [
                ConfigError(
                    f"The jobs would be scored by different figures, which no leaderboard can rank: {', '.join(told)}",
                    value="; ".join(told.values()),
                    where=axis.where,
                    hint="sweep them apart, or name one figure that all of them have: goal.metric=…",
                )
            ]
        )


def _refuse_empty(space: Space, settings: Mapping[str, Any]) -> None:
    if settings["name"] != "list" and not space.axes:
        hint = "sweep a key (model=lgbm,linear or model.C=interval(0.1,10)), or give sweep.space"
        raise ConfigError("There is nothing to search: the picked model has no search space", where="sweep", hint=hint)
    if settings["name"] == "list" and any(not axis.choices for axis in space):
        axis = next(axis for axis in space if not axis.choices)
        raise ConfigError(f"{axis.key} is a range, and sweep=list takes lists", where=axis.where,
                          hint="search it with sweep=random or sweep=bayes, or list its values")  # fmt: skip


def _line(axis: Axis, values: Mapping[str, Any] | None = None) -> str:
    value = (values or {}).get(axis.key, axis.choices[0] if axis.choices else axis.low)
    return f"{axis.key}={spell(value)}"


def _picks(axis: Axis, first: Composed | None) -> bool:
    """Whether an axis picks options of a group, other than setting a value."""
    key = axis.key.lstrip("+")
    # Hydra has no choice for a plural group of which it picks none.
    return "/" in key or "@" in key or key in PLURAL or (key in first.choices if first else "." not in key)


def _known(composed: Composed, key: str) -> bool:
    """Whether a config has a key, so that its value can be replaced."""
    node: Any = composed.raw
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return False
        node = node[part]
    return True
