"""Builds the plugin manager: built-ins, installed plugins in name order, the project's own file; each on its own."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from mlframe import hookspecs
from mlframe.errors import MlframeError, PluginError, UnknownNameError
from mlframe.registry import GROUPS, Component, Registered, Registry

__all__ = ["BUILTIN", "ENTRY_POINTS", "PROJECT_FILE", "PluginRecord", "Plugins", "load_plugins"]

ENTRY_POINTS = "mlframe"
PROJECT_FILE = "mlframe_project.py"
BUILTIN = (
    "deployers",
    "ensemblers",
    "evaluators",
    "explorers",
    "featurizers",
    "labelers",
    "models",
    "monitors",
    "notifiers",
    "reporters",
    "sources",
    "splitters",
    "steps",
    "trackers",
    "validators",
)
"""Folders of mlframe that are plugins; each package's `__init__` holds the hook implementations."""


@dataclass
class PluginRecord:
    """A plugin, loaded or not.

    Args:
        name: name by which it is blocked.
        distribution: installed distribution, None for the project's own file.
        version: its version.
        status: `loaded`, `blocked` or `failed`.
        error: why it failed.
        hooks: hooks that it implements.
    """

    name: str
    distribution: str | None
    version: str | None
    status: str = "loaded"
    error: str | None = None
    hooks: list[str] = field(default_factory=list)


@dataclass
class Plugins:
    """The loaded plugins of one process.

    Args:
        manager: pluggy's manager; event hooks are called through it.
        registry: every component.
        records: every plugin that was found, by name.
        config_folders: plugin name to its `pkg://` folders, in name order.
        problems: what went wrong while loading; shown by the door, fatal only for clashes that a config touches.
    """

    manager: pluggy.PluginManager
    registry: Registry
    records: dict[str, PluginRecord]
    config_folders: dict[str, list[str]]
    problems: list[MlframeError]

    @property
    def hook(self) -> Any:
        """Pluggy's caller for events."""
        return self.manager.hook


def load_plugins(
    block: Collection[str] = (), only: Collection[str] | None = None, project: Path | None = None
) -> Plugins:
    """Load built-ins, then installed plugins, then the project's own file.

    Args:
        block: names of plugins that are not loaded.
        only: when given, the only installed plugins (and `project`) that are loaded; built-ins always are.
        project: folder that may hold `mlframe_project.py`; None looks for none.

    Returns:
        The plugins. One that fails is recorded, and everything else works.

    Raises:
        PluginError: two plugins offer one group and name.
        UnknownNameError: `block` or `only` name a plugin that is not there.
    """
    manager = pluggy.PluginManager("mlframe")
    manager.add_hookspecs(hookspecs)
    records: dict[str, PluginRecord] = {}
    loaded = Plugins(manager, Registry(), records, {}, [])
    version = importlib.import_module("mlframe").__version__
    for name in BUILTIN:
        _register(loaded, PluginRecord(name, "mlframe", version), lambda name=name: _builtin(name))

    entries = sorted(metadata.entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name)
    found = [entry.name for entry in entries]
    file = project / PROJECT_FILE if project else None
    known = {*found, "project"} if file and file.is_file() else set(found)
    for names, key in ((block, "plugins.block"), (only or (), "plugins.only")):
        for name in names:
            if name not in known:
                kind = "plugin that can be blocked" if name in BUILTIN else "plugin"
                raise UnknownNameError.from_name(kind, name, known, where=key)

    for entry in entries:
        record = PluginRecord(
            entry.name, entry.dist.name if entry.dist else None, entry.dist.version if entry.dist else None
        )
        twin = records.get(entry.name)
        if twin is not None:
            raise PluginError(
                f"Two installed plugins have the name {entry.name!r}",
                where=f"{twin.distribution} {twin.version} and {record.distribution} {record.version}",
                hint="uninstall one of them; an entry point in the group 'mlframe' needs a name of its own",
            )
        if entry.name in block or (only is not None and entry.name not in only):
            record.status = "blocked"
            records[entry.name] = record
            continue
        _register(loaded, record, entry.load)
    if file and file.is_file():
        record = PluginRecord("project", None, None)
        if "project" in block or (only is not None and "project" not in only):
            record.status = "blocked"
            records["project"] = record
        else:
            _register(loaded, record, lambda: _project_module(file))
    return loaded


def _builtin(name: str) -> ModuleType:
    return importlib.import_module(f"mlframe.{name}")


def _project_module(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("mlframe_project", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mlframe_project"] = module
    folder = str(file.parent)
    if folder not in sys.path:  # targets such as "mlframe_project:Schema" and helpers beside the file are importable
        sys.path.insert(0, folder)
    spec.loader.exec_module(module)
    return module


def _register(loaded: Plugins, record: PluginRecord, load: Any) -> None:
    """Load one plugin; a failure takes out this plugin only."""
    loaded.records[record.name] = record
    try:
        plugin = load()
        loaded.manager.register(plugin, name=record.name)
        _refuse_unknown_hooks(loaded.manager, plugin)
        record.hooks = sorted(caller.name for caller in loaded.manager.get_hookcallers(plugin) or [])
        offers = list(_offers(loaded.manager, record))
        folders = _folders(loaded.manager, record)
    except Exception as error:
        record.status, record.error = "failed", f"{type(error).__name__}: {error}"
        if loaded.manager.has_plugin(record.name):
            loaded.manager.unregister(name=record.name)
        source = f"{record.distribution} {record.version}" if record.distribution else PROJECT_FILE
        problem = PluginError(
            f"Plugin {record.name!r} ({source}) cannot be loaded: {record.error}",
            hint=f"mend or uninstall it, or leave it out with 'plugins.block=[{record.name}]'",
        )
        problem.__cause__ = error
        loaded.problems.append(problem)
        return
    for item in offers:
        loaded.registry.add(item)
    if folders:
        loaded.config_folders[record.name] = folders


def _refuse_unknown_hooks(manager: pluggy.PluginManager, plugin: Any) -> None:
    known = {name for name in vars(hookspecs) if name.startswith("mlframe_")}
    marked = [name for name in dir(plugin) if getattr(getattr(plugin, name, None), "mlframe_impl", None)]
    for name in marked:
        if name not in known:
            raise UnknownNameError.from_name("hook", name, known, where=getattr(plugin, "__name__", str(plugin)))


def _alone(manager: pluggy.PluginManager, hook: str, record: PluginRecord) -> Iterable[Any]:
    plugin = manager.get_plugin(record.name)
    others = [other for other in manager.get_plugins() if other is not plugin]
    answers: list[Any] = manager.subset_hook_caller(hook, others)()
    return answers


def _offers(manager: pluggy.PluginManager, record: PluginRecord) -> Iterable[Registered]:
    for hook, group in GROUPS.items():
        if hook not in record.hooks:
            continue
        for components in _alone(manager, hook, record):
            for component in components:
                if not isinstance(component, Component):
                    raise TypeError(f"{hook} must return a list of mlframe.Component, got {component!r}")
                yield Registered(component, group, record.name, record.distribution, record.version)


def _folders(manager: pluggy.PluginManager, record: PluginRecord) -> list[str]:
    if "mlframe_config" not in record.hooks:
        return []
    folders = [folder for answer in _alone(manager, "mlframe_config", record) for folder in answer]
    for folder in folders:
        if not str(folder).startswith("pkg://"):
            raise ValueError(f"mlframe_config must return addresses that begin with pkg://, got {folder!r}")
    return folders
