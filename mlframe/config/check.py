"""Checks a composed config whole: types, words, names and every picked component's parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlframe.config.schema import CHOICES, Config, entries, pick, plain
from mlframe.config.search import options as group_options
from mlframe.config.types import Composed
from mlframe.errors import ConfigError, MlframeError, ParameterError, UnknownNameError
from mlframe.plugins import Plugins
from mlframe.registry import GROUPS, PLURAL

__all__ = ["check_types", "validate"]


def validate(plugins: Plugins, composed: Composed, groups: Iterable[str] | None = None) -> list[MlframeError]:
    """Check a composed config: types, words, names, and every picked component's parameters.

    Args:
        plugins: the loaded plugins.
        composed: the config.
        groups: the component groups that the task reads; None checks all.

    Returns:
        Every mistake.
    """
    errors = check_types(composed.config)
    steps = composed.config.task.get("steps") or {} if composed.config.get("task") else {}
    if steps.get("ingest") is not None and not (composed.config.get("data") or {}).get("source"):
        hint = f"pick data=…: {', '.join(group_options('data'))}; data=csv data.source.path=FILE reads your own"
        return [*errors, ConfigError("No data is picked", where="data", hint=hint)]
    try:
        config = plain(_mended(composed.config, errors))
    except ConfigError as error:
        return [*errors, error]
    for key, words in CHOICES.items():
        value = pick(config, key)
        if value is not None and value not in words:
            errors.append(
                UnknownNameError.from_name(f"word for {key}", str(value), words, where=_origin(composed, key))
            )
    task = config["goal"].get("task")
    for group in sorted(set(GROUPS.values()) - {"step"}) if groups is None else groups:
        key = group.replace("/", ".")
        node = pick(config, key)
        if group in PLURAL:
            for name, entry in entries(node):
                where = f"{key}.{name}"
                errors.extend(_bind(plugins, group, entry, where, None))
        elif node is None:
            continue
        else:
            errors.extend(_bind(plugins, group, node, key, task if group == "model" else None))
    for name, options in (config.get("task") or {}).get("steps", {}).items():
        if options is not None:
            errors.extend(_bind(plugins, "step", {"name": name, **options}, f"task.steps.{name}", None))
    return errors


def _bind(plugins: Plugins, group: str, node: Any, where: str, task: str | None) -> list[MlframeError]:
    if not isinstance(node, Mapping) or not node.get("name"):
        hint = f"pick one with {group}=…; available: {', '.join(plugins.registry.names(group))}"
        return [ConfigError(f"{where} names no component", value=node, where=where, hint=hint)]
    errors = plugins.registry.bind(group, node, where=where, task=task)
    # A registered name that a broken plugin would have offered is that plugin's failure.
    if errors and plugins.problems and isinstance(errors[0], UnknownNameError):
        errors.extend(plugins.problems)
    return errors


def _mended(config: DictConfig, errors: Iterable[MlframeError]) -> DictConfig:
    """Return the config with core values that were refused set to their defaults, so that each is reported once."""
    schema = OmegaConf.structured(Config)
    copy = config.copy()
    for error in errors:
        if error.where and OmegaConf.select(copy, error.where) is not None:
            OmegaConf.update(copy, error.where, OmegaConf.select(schema, error.where))
    return copy


def check_types(config: DictConfig) -> list[MlframeError]:
    """Check the values of the keys that the core reads."""
    errors: list[MlframeError] = []
    schema = OmegaConf.structured(Config)
    for key, value in _leaves(plain(config, resolve=False), schema):
        if isinstance(value, str) and "${" in value:
            try:
                value = OmegaConf.select(config, key, throw_on_missing=False)
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
                        f"{key} cannot take this value: {str(error).splitlines()[0]}", value=value, where=key
                    )
                )
    return errors


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
        if line.lstrip("+~").partition("=")[0] == key:
            return f"command line: {line}"
    return key
