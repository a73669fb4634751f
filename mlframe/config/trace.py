"""Says for every value of a config which file, default or override set it, and what it replaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from mlframe.config.compose import compose, opened, parse
from mlframe.config.search import PRIMARY, install
from mlframe.plugins import Plugins

__all__ = ["trace"]


def trace(plugins: Plugins, overrides: Sequence[str], folder: Path | None = None) -> dict[str, list[tuple[str, Any]]]:
    """Say for every value which file or override set it, oldest first.

    Returns:
        Dotted key to a list of (origin, value); the last entry is the one in force.
    """
    compose(plugins, overrides, folder)  # refuses mistakes with their own texts
    install(plugins, folder)
    history: dict[str, list[tuple[str, Any]]] = {}
    with initialize_config_module("mlframe.conf", version_base="1.3", job_name="mlframe"):
        loader = GlobalHydra.instance().config_loader()
        lines = [opened(line) for line in overrides]
        parsed, _ = parse(lines)
        defaults = loader.compute_defaults_list(PRIMARY, lines, run_mode=RunMode.RUN)
        for default in defaults.defaults:
            path = default.config_path
            if path is None or path.startswith("hydra"):
                continue
            loaded = loader.repository.load_config(path)
            if loaded is None:
                continue
            raw = OmegaConf.to_container(loaded.config, resolve=False)
            package = (default.package or "").replace("_global_", "").strip(".")
            if isinstance(raw, dict):
                raw.pop("defaults", None)
                origin = (
                    f"{path}.yaml ({loaded.provider})" if loaded.provider != "components" else f"{path} (signature)"
                )
                for key, value in _flatten(raw, package):
                    history.setdefault(key, []).append((origin, value))
        for override in parsed:
            if override.key_or_group in defaults.overrides.known_choices or override.is_delete():
                continue
            for key, value in _flatten(override.value(), override.key_or_group):
                history.setdefault(key, []).append((f"command line: {override.input_line}", value))
    history.pop("hydra", None)
    return {key: value for key, value in history.items() if not key.startswith("hydra.")}


def _flatten(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flatten(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value
