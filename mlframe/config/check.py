"""Checks a composed config whole: types, words, names and every picked component's parameters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlframe.config.fit import BUILT, check_built, check_folds, check_last_parts
from mlframe.config.goal import check_figures, check_goal, check_tests
from mlframe.config.members import check_model_is_read
from mlframe.config.monitor import check_maturity, check_span, check_window
from mlframe.config.schema import CHOICES, Config, entries, pick, plain
from mlframe.config.search import options as group_options
from mlframe.config.simulate import check_simulate
from mlframe.config.types import Composed
from mlframe.config.update import check_update
from mlframe.contracts.amounts import parse_duration, parse_size
from mlframe.errors import ConfigError, MlframeError, ParameterError, UnknownNameError, near_matches
from mlframe.plugins import Plugins
from mlframe.registry import DEVICE_PARAMETERS, GROUPS, PLURAL, import_target

__all__ = ["check_types", "validate"]

LEAST = {
    "resources.threads": 1,
    "resources.step_seconds": 0,
    "explain": 1,
    "resources.price_per_hour": 0,
    "fit.stop_rounds": 1,
    "tests.slices.least": 1,
    "sweep.trials": 1,
    "sweep.repeats": 1,
    "sweep.workers": 1,
    "sweep.prune_after": 1,
    "sweep.ensemble_size": 2,
}
"""Numbers that must be so much at least, and above 0."""


def validate(
    plugins: Plugins, composed: Composed, changed: Collection[str] | None = None, *, components: bool = True
) -> list[MlframeError]:
    """Check a composed config: types, words, names, and the parameters of every component that the task uses.

    Args:
        plugins: the loaded plugins.
        composed: the config.
        changed: dotted keys whose values differ from those of a config that was checked before; None checks all.
        components: whether to look at components too, which imports them and their libraries.

    Returns:
        Every mistake.
    """
    errors = check_types(composed, changed)
    raw = composed.raw
    steps = pick(raw, "task.steps") or {}
    if steps.get("ingest") is not None and not pick(raw, "data.source"):
        hint = f"pick data=…: {', '.join(group_options('data'))}; data=csv data.source.path=FILE reads your own"
        return [*errors, ConfigError("No data is picked", where="data", hint=hint)]
    if steps.get("scope") is not None and not raw.get("data"):
        hint = f"the goal comes with the data; pick data=…: {', '.join(group_options('data'))}, or a file of your own"
        return [*errors, ConfigError("No data is picked", where="data", hint=hint)]
    if steps.get("monitor") is not None and not raw.get("data"):
        hint = f"pick the data that the model learned from; the goal comes with it: {', '.join(group_options('data'))}"
        return [*errors, ConfigError("No data is picked", where="data", hint=hint)]
    if (steps.get("operate") is not None or steps.get("update") is not None) and not pick(raw, "data.source"):
        hint = f"updates learn from it; pick data=…: {', '.join(group_options('data'))}, or your own, as for train"
        return [*errors, ConfigError("No data is picked", where="data", hint=hint)]
    if steps.get("predict") is not None and not raw.get("data"):
        hint = (
            f"pick the data that the model learned from; its schema checks the rows: {', '.join(group_options('data'))}"
        )
        return [*errors, ConfigError("No data is picked", where="data", hint=hint)]
    try:
        config = plain(_mended(composed.config, errors)) if errors else composed.resolved
    except ConfigError as error:
        return [*errors, error]
    errors.extend(_check_roots(config, composed))
    for key, words in CHOICES.items():
        value = pick(config, key)
        if value is not None and value not in words:
            errors.append(
                UnknownNameError.from_name(f"word for {key}", str(value), words, where=_origin(composed, key))
            )
    used = _used(plugins, steps) if components else []
    if components:
        errors.extend(_check_components(plugins, config, used, changed))
        if "ensembler" in used:
            errors.extend(check_model_is_read(config, composed.overrides))
            errors.extend(check_last_parts(config["fit"], config["goal"].get("task")))
    errors.extend(_check_limits(config))
    if components:
        errors.extend(_check_gpu(config, used))
    if changed is None or any(name.startswith("update.") for name in changed):
        errors.extend(check_update(plugins, config, components=components))
    if steps.get("simulate") is not None and components:
        errors.extend(check_simulate(plugins, config))
    if components and not errors:
        touched = [group for group in BUILT if changed is None or any(name.startswith(f"{group}.") for name in changed)]
        errors.extend(check_built(plugins, config, [group for group in touched if group in used]))
        if not errors and "ensembler" in used:
            errors.extend(check_folds(plugins, config))
    figures = changed is None or any(name.startswith(("goal.", "evaluators.", "tests.")) for name in changed)
    if figures:
        errors.extend(check_goal(config["goal"]))
        errors.extend(check_tests(config))
    if components and not errors and figures and "evaluators" in used:
        errors.extend(check_figures(plugins, config))
    return [_from_command_line(composed, error) for error in errors]


def _check_components(
    plugins: Plugins, config: Mapping[str, Any], used: Collection[str], changed: Collection[str] | None
) -> Iterator[MlframeError]:
    """Bind the parameters of every component that the task uses; with `changed`, of those that have such a key."""
    task = config["goal"].get("task")
    for group in used:
        key = group.replace("/", ".")
        if changed is not None and not any(name.startswith(f"{key}.") for name in changed):
            continue
        node = pick(config, key)
        if group in PLURAL:
            for name, entry in entries(node):
                yield from _bind(plugins, group, entry, f"{key}.{name}", None)
        elif node is not None:
            yield from _bind(plugins, group, node, key, task if group in ("model", "ensembler") else None)
    for name, options in (config.get("task") or {}).get("steps", {}).items():
        if options is not None and changed is None:
            yield from _bind(plugins, "step", {"name": name, **options}, f"task.steps.{name}", None)


def _bind(plugins: Plugins, group: str, node: Any, where: str, task: str | None) -> list[MlframeError]:
    if not isinstance(node, Mapping) or not node.get("name"):
        hint = f"pick one with {group}=…; available: {', '.join(plugins.registry.names(group))}"
        return [ConfigError(f"{where} names no component", value=node, where=where, hint=hint)]
    errors = plugins.registry.bind(group, node, where=where, task=task)
    # A registered name that a broken plugin would have offered is that plugin's failure.
    if errors and plugins.problems and isinstance(errors[0], UnknownNameError):
        errors.extend(plugins.problems)
    return errors


def _used(plugins: Plugins, steps: Mapping[str, Any]) -> list[str]:
    """Return the component groups that the steps read; trackers are the runner's own."""
    names = [name for name, options in steps.items() if options is not None and name in plugins.registry.names("step")]
    items = [plugins.registry.get("step", name) for name in names]
    reads = {key.replace(".", "/") for item in items for key in import_target(item.target(), item).reads}
    parents = {group: {group, group.partition("/")[0]} for group in GROUPS.values() if group != "step"}
    return sorted(group for group, names in parents.items() if group == "trackers" or names & reads)


def _check_roots(config: Mapping[str, Any], composed: Composed) -> Iterator[MlframeError]:
    """Find root keys that are a slip of the pen away from one that is read; others are a project's own variables."""
    groups = {group.split("/")[0] for group in (*GROUPS.values(), *composed.choices)} - {"step"}
    known = {*groups, *(field.name for field in fields(Config))}
    for key in set(config) - known:
        near = [name for name in near_matches(key, known, cutoff=0.75) if abs(len(name) - len(key)) < 2]
        if near:
            hint = f"did you mean {near[0]!r}? 'mlframe why {key}' says where it is set; a key of your own needs another name"
            yield UnknownNameError(f"Nothing reads the key {key!r}", where=key, hint=hint)


def _check_limits(config: Mapping[str, Any]) -> Iterator[MlframeError]:
    """Find sizes that are none, and limits under which nothing can run."""
    for key in ("resources.memory", "store.cache_size", "sweep.job_memory"):
        try:
            parse_size(pick(config, key), where=key)
        except ParameterError as error:
            yield error
    for key in ("sweep.timeout", "sweep.job_timeout"):
        try:
            parse_duration(pick(config, key), where=key)
        except ParameterError as error:
            yield error
    for check in (check_window, check_span, check_maturity):
        try:
            check(config["monitor"])
        except MlframeError as error:
            yield error
    for key, least in LEAST.items():
        value = pick(config, key)
        if value is not None and (value < least or value == 0):
            yield ParameterError(
                f"{key} must be {f'{least} or more' if least > 1 else 'above 0'}",
                value=value,
                where=key,
                hint="leave it out for its default",
            )
    yield from _check_threshold(config)
    share = config["fit"]["stop_share"]
    if not 0 < share < 1:
        yield ParameterError(
            "fit.stop_share must lie between 0 and 1",
            value=share,
            where="fit.stop_share",
            hint="0.15 means 15 % of a fold's train rows",
        )


def _check_gpu(config: Mapping[str, Any], used: Collection[str]) -> Iterator[MlframeError]:
    """Find a GPU that is asked for and that no picked model can use."""
    gpu = config["resources"].get("gpu")
    if gpu is None or gpu is False:
        return
    if gpu is not True and (not isinstance(gpu, int) or gpu < 0):
        hint = "null for none, true for any, or the number of one, from 0"
        yield ParameterError("resources.gpu names no GPU", value=gpu, where="resources.gpu", hint=hint)
        return
    members = [member for member in (pick(config, "ensembler.members") or {}).values() if isinstance(member, Mapping)]
    models = members or [node for node in (config.get("model"),) if isinstance(node, Mapping)]
    if {"model", "ensembler"} & set(used) and not any(name in node for node in models for name in DEVICE_PARAMETERS):
        named = ", ".join(sorted({str(node.get("name")) for node in models}))
        hint = "leave resources.gpu out, or pick a model that can: lgbm, or xgboost and catboost of their plugins"
        yield ConfigError(f"No GPU can be used by {named}", value=gpu, where="resources.gpu", hint=hint)


def _check_threshold(config: Mapping[str, Any]) -> Iterator[MlframeError]:
    """Find a threshold that is neither a word nor a probability, and one by a value that nobody stated."""
    value, words = config["fit"]["threshold"], ("none", "f1", "value")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 < value < 1:
            yield ParameterError(
                "fit.threshold must lie between 0 and 1",
                value=value,
                where="fit.threshold",
                hint="such as 0.3; or f1, value, none",
            )
    elif value not in words:
        remedy = "or give a number between 0 and 1"
        yield UnknownNameError.from_name(
            "word for fit.threshold", str(value), words, where="fit.threshold", remedy=remedy
        )
    elif value == "value" and not config["goal"].get("value"):
        hint = "say what outcomes are worth: goal.value.tp=100 goal.value.fp=-10"
        yield ConfigError("fit.threshold=value needs goal.value", where="fit.threshold", hint=hint)


def _from_command_line(composed: Composed, error: MlframeError) -> MlframeError:
    """Say which override set a refused value, when one did."""
    origin = _origin(composed, error.where) if error.where else None
    return error if origin in (None, error.where) else error.at(str(origin))


def _mended(config: DictConfig, errors: Iterable[MlframeError]) -> DictConfig:
    """Return the config with core values that were refused set to their defaults, so that each is reported once."""
    schema = OmegaConf.structured(Config)
    copy = config.copy()
    for error in errors:
        if error.where and OmegaConf.select(copy, error.where) is not None:
            default = plain(OmegaConf.create({"value": OmegaConf.select(schema, error.where)}))["value"]
            OmegaConf.update(copy, error.where, default, merge=False)
    return copy


def check_types(composed: Composed, changed: Collection[str] | None = None) -> list[MlframeError]:
    """Check the values of the keys that the core reads; with `changed`, only of those keys."""
    errors: list[MlframeError] = []
    roots = {field.name for field in fields(Config)}
    if changed is not None and not any(name.partition(".")[0] in roots for name in changed):
        return errors
    schema = OmegaConf.structured(Config)
    for key, value in _leaves(composed.raw, schema):
        if changed is not None and not any(name == key or name.startswith(f"{key}.") for name in changed):
            continue
        if isinstance(value, str) and "${" in value:
            try:
                value = OmegaConf.select(composed.config, key, throw_on_missing=False)
            except OmegaConfBaseException:
                continue  # reported by plain()
        try:
            OmegaConf.update(schema, key, value, force_add=False)
        except (OmegaConfBaseException, AttributeError) as error:
            if "not in" in str(error) and "struct" not in str(error):
                known = [str(name) for name in OmegaConf.select(schema, key.rpartition(".")[0])]
                errors.append(UnknownNameError.from_name("key", key, known, where=key))
            else:
                errors.append(
                    ParameterError(
                        f"{key} cannot take this value: {str(error).splitlines()[0]}",
                        value=value,
                        where=key,
                        hint=_remedy(key),
                    )
                )
    return errors


def _remedy(key: str) -> str | None:
    """Say what a key of the core takes."""
    node: Any = Config
    for part in key.split("."):
        node = get_type_hints(node).get(part) if is_dataclass(node) else None
    words = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text"}
    if get_origin(node) is dict:
        example = "{tp: 80, fp: -10}" if part == "value" else "{roc_auc: 0.9}"
        return f"give names with numbers, such as {example}"
    if get_origin(node) is list:
        return "give a list, such as [one, two]"
    kinds = [kind for kind in get_args(node) or (node,) if kind is not type(None)]
    names = [words[kind.__name__] for kind in kinds if getattr(kind, "__name__", "") in words]
    return f"give it {' or '.join(names)}" if names else None


def _leaves(node: Mapping[str, Any], schema: DictConfig, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give the keys of a config that the schema knows, down to values."""
    for key in map(str, schema):
        if key not in node:
            continue
        value, part = node[key], OmegaConf.select(schema, key)
        if isinstance(part, DictConfig) and OmegaConf.get_type(part) is not dict:
            if not isinstance(value, Mapping):
                yield f"{prefix}{key}", value
                continue
            for name, inner in value.items():
                yield f"{prefix}{key}.{name}", inner
        else:
            yield f"{prefix}{key}", value


def _origin(composed: Composed, key: str) -> str:
    for line in composed.overrides:
        name = line.lstrip("+~").partition("=")[0]
        if name == key or name.startswith(f"{key}."):
            return f"command line: {line}"
    return key
