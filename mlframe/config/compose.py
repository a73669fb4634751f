"""Composes a run's config with Hydra; on a mistake, finds and names all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlframe.config.check import check_types, validate
from mlframe.config.schema import OPEN
from mlframe.config.search import PRIMARY, install
from mlframe.config.types import Composed
from mlframe.errors import ConfigError, MlframeError, ParameterError, Problems, UnknownNameError, near_matches
from mlframe.plugins import Plugins
from mlframe.registry import one_of

__all__ = ["compose", "job_config", "opened", "parse"]


def compose(plugins: Plugins, overrides: Sequence[str], folder: Path | None = None) -> Composed:
    """Compose one run's config from overrides.

    Args:
        plugins: the loaded plugins.
        overrides: overrides in Hydra's grammar, without sweeps.
        folder: the user's config folder, searched first.

    Raises:
        Problems: every mistake in the overrides and in the composed config.
    """
    install(plugins, folder)
    with initialize_config_module("mlframe.conf", version_base="1.3", job_name="mlframe"):
        lines = [opened(line) for line in overrides]
        try:
            config = hydra_compose(PRIMARY, overrides=lines, return_hydra_config=True)
        except MlframeError:
            raise
        except Exception as error:  # Hydra shows the first mistake only: look for all of them
            raise _diagnose(plugins, lines, error) from error
        return _composed(config, overrides)


def _composed(config: DictConfig, overrides: Sequence[str]) -> Composed:
    choices = dict(config.hydra.runtime.choices)
    choices = {key: value for key, value in choices.items() if not key.startswith("hydra/")}
    OmegaConf.set_readonly(config, False)
    OmegaConf.set_struct(config, False)
    del config["hydra"]
    if config.get("name") is None:
        config.name = choices.get("data")
    source = (config.get("data") or {}).get("source")
    if source is not None and "ingest" not in config.task.steps and OmegaConf.is_missing(source, "path"):
        source.path = str(
            config.input or ""
        )  # a task that scores a file reads `input`, whatever the model was trained on
    return Composed(config, choices, _shadowed(), tuple(overrides))


def job_config(config: DictConfig, choices: Mapping[str, Any], overrides: Sequence[str]) -> Composed:
    """Wrap a config that a sweeper composed for one job."""
    if config.get("name") is None:
        config.name = choices.get("data")
    return Composed(config, choices, (), tuple(overrides))


def opened(line: str) -> str:
    """Let open mappings take new keys without a plus sign."""
    key = line.partition("=")[0]
    return f"++{line}" if any(f"{key}.".startswith(f"{path}.") for path in OPEN) else line


def parse(overrides: Sequence[str]) -> tuple[list[Override], list[MlframeError]]:
    """Parse overrides one by one, so that every broken one is reported."""
    parser = OverridesParser.create()
    parsed: list[Override] = []
    errors: list[MlframeError] = []
    for line in overrides:
        try:
            parsed.append(parser.parse_override(line))
        except HydraException as error:
            reason = str(error).splitlines()[0]
            hint = "write key=value; quote values with spaces or commas: 'key=\"a, b\"'"
            errors.append(ConfigError(f"Not an override: {line!r}", where=f"command line: {reason}", hint=hint))
    return parsed, errors


def _diagnose(plugins: Plugins, lines: Sequence[str], first: Exception) -> Problems:
    """Check overrides one by one against what Hydra can find, and collect every mistake."""
    parsed, errors = parse(lines)
    repository = GlobalHydra.instance().config_loader().repository
    groups = _groups(repository)
    good: list[str] = []
    unknown: list[str] = []
    broken: list[MlframeError] = []
    values: list[Override] = []
    for override in parsed:
        key = override.key_or_group
        if override.is_sweep_override():
            hint = f"add --multirun to sweep, or quote the value: '{key}=\"…\"', or write a list: '{key}=[…]'"
            errors.append(ConfigError(f"A sweep over {key} needs --multirun", value=override.input_line, hint=hint))
        elif override.is_delete() or key.startswith("hydra"):
            values.append(override)
        elif repository.group_exists(key) and not key.startswith("hydra"):
            wrong = list(_wrong_options(repository, key, override))
            errors.extend(wrong)
            broken.extend(plugins.problems if wrong else ())  # one of these may have offered it
            meant = override.input_line if not wrong else _meant(repository, override)
            if meant:
                good.append(meant)
            else:
                unknown.append(key.replace("/", "."))
        else:
            values.append(override)
    try:
        config = hydra_compose(PRIMARY, overrides=good, return_hydra_config=True)
    except MlframeError as error:
        return Problems([*errors, error])
    except MissingConfigException as error:  # every choice of the command line is there: a file picks something else
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        options = repository.get_group_options(group, ObjectType.CONFIG) if group else []
        where = (
            f"the defaults of a config file, by way of {' '.join(good)}" if good else "the defaults of a config file"
        )
        return Problems(
            [
                *errors,
                UnknownNameError.from_name(one_of(group) or "config", name, options, where=where),
                *plugins.problems,
            ]
        )
    except Exception as error:
        return Problems([*errors, ConfigError(_flat(error), hint="'mlframe plugins' lists groups and options")])
    OmegaConf.set_struct(config, True)
    for override in values:
        if any(override.key_or_group.startswith(f"{group}.") for group in unknown):
            continue  # nobody knows which keys there are
        problem = _apply(config, override, groups)
        if problem is not None:
            errors.append(problem)
    composed = _composed(config, lines)
    # Without the data that was meant, most of a config has nothing to refer to: only its own values are checked.
    more = validate(plugins, composed) if composed.config.get("data") or not errors else check_types(composed)
    errors.extend(dict.fromkeys(broken))
    errors.extend(error for error in more if str(error) not in {str(known) for known in errors})
    if not errors:
        errors.append(
            ConfigError(
                f"The config cannot be composed: {_flat(first)}",
                hint="mend the override or file that it names; 'mlframe why KEY' says what sets a key",
            )
        )
    return Problems(errors)


def _wrong_options(repository: Any, group: str, override: Override) -> Iterator[MlframeError]:
    value = override.value()
    options = repository.get_group_options(group, ObjectType.CONFIG)
    for name in value if isinstance(value, list) else [value]:
        if name is None or repository.config_exists(f"{group}/{name}"):
            continue
        yield UnknownNameError.from_name(
            one_of(group), str(name), options, where=f"command line: {override.input_line}"
        )


def _meant(repository: Any, override: Override) -> str | None:
    """Return the choice that a mistyped one stands for, so that its keys can be checked too; None when unclear."""
    value, group = override.value(), override.key_or_group
    near = near_matches(str(value), repository.get_group_options(group, ObjectType.CONFIG), limit=1)
    if isinstance(value, list) or not near:
        return None
    prefix, package = "+" if override.is_add() else "", f"@{override.package}" if override.package else ""
    return f"{prefix}{group}{package}={near[0]}"


def _groups(repository: Any) -> list[str]:
    found: list[str] = []
    waiting = [""]
    while waiting:
        parent = waiting.pop()
        for name in repository.get_group_options(parent, ObjectType.GROUP):
            group = f"{parent}/{name}" if parent else name
            if not group.startswith("hydra") and group not in found:
                found.append(group)
                waiting.append(group)
    return found


def _apply(config: DictConfig, override: Override, groups: Sequence[str]) -> MlframeError | None:
    """Apply one value override to a config, or say why not."""
    key, line = override.key_or_group, str(override.input_line)
    where = f"command line: {line}"
    if not (override.is_add() or override.is_force_add()):
        parent, _, last = key.rpartition(".")
        node: Any = config
        for depth, part in enumerate(key.split(".")):
            keys = [str(name) for name in node] if OmegaConf.is_dict(node) else []
            if part not in keys:
                path = ".".join(key.split(".")[:depth])
                known = keys if path else [name for name in (*keys, *groups) if name != "hydra"]
                near = near_matches(part, known)
                if OmegaConf.is_dict(node):
                    inner = [
                        f"{name}.{part}"
                        for name in keys
                        if OmegaConf.is_dict(node._get_node(name)) and part in node[name]
                    ]
                    near = [*inner, *near] if path else near
                below = f" in {path}" if path else ""
                hints = [f"did you mean {(path + '.' if path else '') + near[0]}?"] if near else []
                hints.append(f"the keys{below} are: {', '.join(sorted(set(known)))}")
                if not (near or override.is_delete()):
                    hints.append(f"to add a new key write +{line}")
                return UnknownNameError(f"There is no key {key!r}", where=where, hint="; ".join(hints))
            node = node._get_node(part)
            if part != last or parent:
                node = node if node is None or not OmegaConf.is_interpolation(node) else node._dereference_node()
    try:
        if override.is_delete():
            return None
        OmegaConf.update(config, key, override.value(), merge=True, force_add=True)
    except OmegaConfBaseException as error:
        return ParameterError(
            f"{key} cannot take this value: {_flat(error)}",
            value=override.value(),
            where=where,
            hint=f"'mlframe why {key}' shows what it holds now",
        )
    return None


def _flat(error: BaseException) -> str:
    cause = error.__cause__ or error
    return " ".join(str(cause).split())[:400]


def _shadowed() -> list[str]:
    """Return shipped files that the user's own folder replaces."""
    sources = GlobalHydra.instance().config_loader().get_sources()
    own = next((source for source in sources if source.provider == "project"), None)
    shipped = next(source for source in sources if source.provider == "mlframe")
    if own is None or (own.root.exists() and own.root.samefile(shipped.root)):  # in a checkout of mlframe they are one
        return []
    return [path for path in _files(own, "") if shipped.is_config(path)]


def _files(source: Any, group: str) -> Iterator[str]:
    for name in source.list(group, ObjectType.CONFIG):
        yield f"{group}/{name}" if group else name
    for name in source.list(group, ObjectType.GROUP):
        yield from _files(source, f"{group}/{name}" if group else name)
