"""Components by config group and name: look-up, near matches, clashes, provenance, lazy import, signature binding."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from mlframe.errors import MlframeError, ParameterError, PluginError, StepError, UnknownNameError

__all__ = ["GROUPS", "PLURAL", "Component", "Registered", "Registry", "apart", "family_of", "import_target", "one_of"]

GROUPS: Mapping[str, str] = {
    "mlframe_sources": "data/source",
    "mlframe_validators": "validators",
    "mlframe_labelers": "labeler",
    "mlframe_splitters": "splitter",
    "mlframe_explorers": "explorer",
    "mlframe_featurizers": "featurizer",
    "mlframe_models": "model",
    "mlframe_ensemblers": "ensembler",
    "mlframe_evaluators": "evaluators",
    "mlframe_reporters": "reporters",
    "mlframe_deployers": "deployer",
    "mlframe_monitors": "monitors",
    "mlframe_notifiers": "notifiers",
    "mlframe_trackers": "trackers",
    "mlframe_steps": "step",
}
"""Registration hook to config group; `step` is no config group: a task file names steps."""

PLURAL = frozenset({"validators", "evaluators", "reporters", "trackers", "monitors", "notifiers"})
"""Groups that hold any number of entries, each under its own key."""

FAMILIES = ("classification", "regression")

SEED_PARAMETERS = ("random_state", "seed", "random_seed")
THREAD_PARAMETERS = ("n_jobs", "num_threads", "thread_count", "nthread", "threads")
DEVICE_PARAMETERS = ("device", "device_type", "task_type")
"""Parameters that say whether a GPU trains; a model's YAML fills one from `resources.gpu` with `${mlframe.device:…}`."""


@dataclass(frozen=True)
class Component:
    """A named implementation that a plugin offers.

    Args:
        name: lower snake case; equals its YAML file.
        target: "package.module:Attribute", or one for each of `classification` and `regression`. Imported when picked.
        summary: one line for `plugins`.
        adapter: "package.module:Class" of an `mlframe.contracts.Adapter` (models only).
        trusted: further types that the saved form may hold, "package.module.Class"; the targets are always trusted.
        parameters: names of parameters, for a target that takes `**kwargs`.
        check: "package.module:function", called as function(target_class, parameters) before any data is read; returns
            a list of sentences, one a mistake.
        holds: parameters that hold nodes of another group, with that group: one node, or several under keys of their own.
    """

    name: str
    target: str | Mapping[str, str]
    summary: str
    adapter: str | None = None
    trusted: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    check: str | None = None
    holds: Mapping[str, str] = field(default_factory=dict)

    def targets(self) -> tuple[str, ...]:
        """Return every target, once."""
        return (self.target,) if isinstance(self.target, str) else tuple(dict.fromkeys(self.target.values()))


@dataclass(frozen=True)
class Registered:
    """A component with its provenance.

    Args:
        component: what the plugin offers.
        group: config group.
        plugin: name of the plugin.
        distribution: name of the installed distribution, None for a project's own file.
        version: its version.
    """

    component: Component
    group: str
    plugin: str
    distribution: str | None
    version: str | None

    @property
    def origin(self) -> str:
        """Who offers it, for error texts."""
        return f"{self.distribution} {self.version}" if self.distribution else f"plugin {self.plugin!r}"

    def target(self, task: str | None = None) -> str:
        """Return the import address for a learning task.

        Raises:
            UnknownNameError: the component is not for that task.
        """
        target = self.component.target
        if isinstance(target, str):
            return target
        families = [family_of(task)] if task else list(target)
        if families[0] not in target:
            raise UnknownNameError(
                f"{self.group}={self.component.name} cannot do {families[0]}, only {', '.join(target)}",
                where=f"{self.group} (from {self.origin}), goal.task={task}",
                hint=f"pick another {self.group}, or another target column",
            )
        return target[families[0]]


@dataclass
class Registry:
    """Every component of every loaded plugin."""

    _items: dict[tuple[str, str], Registered] = field(default_factory=dict)

    def add(self, item: Registered) -> None:
        """Add a component.

        Raises:
            PluginError: another plugin has that group and name.
        """
        key = (item.group, item.component.name)
        other = self._items.get(key)
        if other is not None:
            raise PluginError(
                f"Two plugins offer {item.group}={item.component.name}",
                where=f"{other.plugin!r} ({other.origin}) and {item.plugin!r} ({item.origin})",
                hint=f"block one on the command line: 'plugins.block=[{item.plugin}]'",
            )
        self._items[key] = item

    def __iter__(self) -> Iterator[Registered]:
        return iter(self._items[key] for key in sorted(self._items))

    def names(self, group: str) -> list[str]:
        """Return the names in a group, sorted."""
        return sorted(name for owner, name in self._items if owner == group)

    def get(self, group: str, name: str, *, where: str | None = None) -> Registered:
        """Look a component up.

        Raises:
            UnknownNameError: there is none; near matches are shown.
        """
        item = self._items.get((group, name))
        if item is None:
            raise UnknownNameError.from_name(
                one_of(group),
                name,
                self.names(group),
                where=where,
                remedy="'mlframe plugins' lists all with their plugins",
            )
        return item

    def trusted_types(self) -> set[str]:
        """Return the types that a saved estimator or featurizer may hold beside skops' own defaults."""
        types: set[str] = set()
        for item in self:
            types.update(item.component.trusted)
            types.update(target.replace(":", ".") for target in item.component.targets())
        return types

    def bind(self, group: str, node: Mapping[str, Any], *, where: str, task: str | None = None) -> list[MlframeError]:
        """Check a config node against the component's constructor; imports the target, builds nothing.

        Returns:
            Every mistake found; an empty list when the node fits.
        """
        try:
            item = self.get(group, str(node.get("name")), where=f"{where}.name")
            target = import_target(item.target(task), item)
            parameters = arguments(item, node, task)
        except MlframeError as error:
            return [error]
        allowed = parameter_names(item, target)
        known = allowed.union(*(parameter_names(item, import_target(t, item)) for t in item.component.targets()))
        label = f"{group}={item.component.name}"
        errors: list[MlframeError] = []
        for name in (name for name in parameters if name not in known):
            errors.append(ParameterError.unknown(label, name, known, where=_place(item, node, name, where, task)))
        # While the task is unknown, the values for every task must be right.
        for one in [task] if task or isinstance(item.component.target, str) else list(item.component.target):
            taker = import_target(item.target(one), item)
            for name, value in arguments(item, node, one).items():
                expected = _mismatch(taker, name, value) if name in parameter_names(item, taker) else None
                if expected:
                    place = _place(item, node, name, where, one)
                    wrong = ParameterError.wrong_type(label, name, value, expected, where=place)
                    errors.extend([wrong] if str(wrong) not in map(str, errors) else [])
        missing = [
            name
            for name, parameter in _signature(target).items()
            if parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            and parameters.get(name) is None
        ]
        errors.extend(
            ParameterError(f"{label} needs {name}", where=where, hint=f"set {where}.{name}=…") for name in missing
        )
        if item.component.check and not errors:
            check = import_target(item.component.check, item)
            kept = {name: value for name, value in parameters.items() if name in allowed}
            show = f"'mlframe plugins show {group}/{item.component.name}' says what each parameter takes"
            errors.extend(ParameterError(text, where=where, hint=show) for text in check(target, kept))
        for name, held in item.component.holds.items():
            for place, inner in held_nodes(parameters.get(name), f"{where}.{name}"):
                errors.extend(self._bind_held(held, inner, place, task))
        return errors

    def _bind_held(self, group: str, node: Any, where: str, task: str | None) -> list[MlframeError]:
        """Check a node that a component's parameter holds, and the nodes of other groups inside it."""
        if not isinstance(node, Mapping) or not node.get("name"):
            hint = (
                f"pick one, such as +{group}@{where}={self.names(group)[0]}; available: {', '.join(self.names(group))}"
            )
            return [ParameterError(f"{where} names no {group}", value=node, where=where, hint=hint)]
        own, others = apart(node)
        errors = self.bind(group, own, where=where, task=task)
        for other, inner in others.items():
            errors.extend(self.bind(other, inner, where=f"{where}.{other}", task=task))
        return errors

    def create(self, group: str, node: Mapping[str, Any], *, task: str | None = None) -> Any:
        """Build a component from its config node; only values unlike the constructor's default are passed."""
        item = self.get(group, str(node["name"]))
        target = import_target(item.target(task), item)
        allowed = parameter_names(item, target)
        defaults = {name: parameter.default for name, parameter in _signature(target).items()}
        passed = {
            name: value
            for name, value in arguments(item, node, task).items()
            if name in allowed and not (name in defaults and _same(defaults[name], value))
        }
        try:
            return target(**passed)
        except MlframeError:
            raise
        except Exception as error:
            raise StepError(
                f"{group}={item.component.name} could not be built: {error}", where=f"{group} (from {item.origin})"
            ) from error

    def adapter(self, group: str, name: str) -> Any:
        """Build a component's adapter, None when it has none."""
        item = self.get(group, name)
        return import_target(item.component.adapter, item)() if item.component.adapter else None


def apart(node: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Mapping[str, Any]]]:
    """Return a node without the nodes of other groups that it holds under their groups' names, and those."""
    groups = set(GROUPS.values())
    others = {key: inner for key, inner in node.items() if key in groups and isinstance(inner, Mapping)}
    return {key: value for key, value in node.items() if key not in others}, others


def held_nodes(value: Any, where: str) -> list[tuple[str, Any]]:
    """Return the nodes that a parameter holds, each with its config key; entries set to null are off."""
    if value is None:
        return []
    if not isinstance(value, Mapping) or "name" in value:
        return [(where, value)]
    return [(f"{where}.{key}", node) for key, node in value.items() if node is not None]


def one_of(group: str) -> str:
    """Return what one option of a config group is called: `monitor` of `monitors`."""
    return group.removesuffix("s") if group in PLURAL else group


def family_of(task: str) -> str:
    """Return `classification` or `regression` for a learning task."""
    return "regression" if task == "regression" else "classification"


def import_target(address: str, item: Registered) -> Any:
    """Import "package.module:Attribute".

    Raises:
        PluginError: the module or attribute cannot be imported; the text names plugin, version and cause.
    """
    module, _, attribute = address.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise PluginError(
            f"{item.group}={item.component.name} cannot be imported: {error}",
            value=address,
            where=f"plugin {item.plugin!r} ({item.origin})",
            hint="install the library it needs, or pick another; 'mlframe doctor' checks every plugin",
        ) from error


def arguments(item: Registered, node: Mapping[str, Any], task: str | None) -> dict[str, Any]:
    """Return a node's parameters: the flat ones, then those of the task's family where targets differ."""
    flat = {key: value for key, value in node.items() if key != "name"}
    if isinstance(item.component.target, str):
        return flat
    blocks = {family: dict(flat.pop(family, None) or {}) for family in FAMILIES}
    family = family_of(task) if task else next(iter(item.component.target))
    return {**flat, **blocks[family]}


def _place(item: Registered, node: Mapping[str, Any], name: str, where: str, task: str | None) -> str:
    """Return the config key of a parameter: flat, or in the block of the task's family."""
    if isinstance(item.component.target, str):
        return f"{where}.{name}"
    family = family_of(task) if task else next(iter(item.component.target))
    return f"{where}.{family}.{name}" if name in (node.get(family) or {}) else f"{where}.{name}"


def parameter_names(item: Registered, target: Any) -> set[str]:
    """Return the names that a target takes."""
    names = {
        name
        for name, parameter in _signature(target).items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    return names | set(item.component.parameters)


def signature_node(item: Registered) -> dict[str, Any]:
    """Build the config node of a component without a YAML file from its constructors' signatures.

    Parameters that every target has with one default stand flat, the others under the families; seed and thread
    parameters refer to `seed` and `resources.threads`.
    """
    target = item.component.target
    if isinstance(target, str):
        return {"name": item.component.name, **_defaults(import_target(target, item))}
    found = {family: _defaults(import_target(address, item)) for family, address in target.items()}
    first, *others = found.values()
    shared = {k: v for k, v in first.items() if all(k in other and _same(other[k], v) for other in others)}
    blocks = {family: {k: v for k, v in node.items() if k not in shared} for family, node in found.items()}
    return {"name": item.component.name, **shared, **{family: block for family, block in blocks.items() if block}}


def _defaults(target: Any) -> dict[str, Any]:
    node: dict[str, Any] = {}
    for name, parameter in _signature(target).items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            continue
        if name in SEED_PARAMETERS:
            node[name] = "${seed}"
        elif name in THREAD_PARAMETERS:
            node[name] = "${resources.threads}"
        elif parameter.default is parameter.empty:
            node[name] = "???"
        elif _plain(parameter.default):
            node[name] = parameter.default
    return node


def _plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_plain(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _plain(item) for key, item in value.items())
    return value is None or isinstance(value, str | bool | int | float)


@cache
def _signature(target: Any) -> Mapping[str, inspect.Parameter]:
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):
        return {}
    return {name: parameter for name, parameter in parameters.items() if name != "self"}


def _same(default: Any, value: Any) -> bool:
    return type(default) is type(value) and bool(default == value)


def _mismatch(target: Any, name: str, value: Any) -> str | None:
    """Return what the parameter wants when a value's type cannot be right, else None.

    An annotation decides; without one, a number or truth value as default refuses a text.
    """
    parameter = _signature(target).get(name)
    if parameter is None or value is None:
        return None
    if parameter.annotation is not parameter.empty:
        try:
            hints = _hints(target)
        except NameError:  # an annotation that only a type checker can read
            return None
        hint = hints.get(name)
        return None if hint is None or _fits(value, hint) else _words(hint)
    default = parameter.default
    if isinstance(value, str) and isinstance(default, bool | int | float):
        return "bool" if isinstance(default, bool) else type(default).__name__
    return None


@cache
def _hints(target: Any) -> dict[str, Any]:
    return typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)


def _fits(value: Any, hint: Any) -> bool:
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, arg) for arg in args)
    if origin is Literal:
        return value in args
    if hint is None or hint is type(None):
        return value is None
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    kind = origin or hint
    if not inspect.isclass(kind):
        return True
    if issubclass(kind, Mapping):
        return isinstance(value, Mapping)
    if issubclass(kind, tuple | list) or kind.__name__ in ("Sequence", "Iterable", "Collection"):
        return isinstance(value, list | tuple)
    if kind in (str, bool):
        return isinstance(value, kind)
    return True


def _words(hint: Any) -> str:
    if get_origin(hint) in (Union, UnionType):
        return " or ".join("null" if arg is type(None) else _words(arg) for arg in get_args(hint))
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(repr(arg) for arg in get_args(hint))
    return getattr(get_origin(hint) or hint, "__name__", str(hint))


def near_groups(group: str, groups: Iterable[str]) -> list[str]:
    """Return the config groups that a person may have meant."""
    from mlframe.errors import near_matches

    return near_matches(group, groups)
