"""Where config files come from: guarded folders, and components that have no file; Hydra sees them as config sources."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

import yaml
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins as HydraPlugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf
from omegaconf._utils import get_yaml_loader

from mlframe.errors import ConfigError
from mlframe.plugins import Plugins
from mlframe.registry import PLURAL, signature_node

__all__ = ["PRIMARY", "FolderSource", "install", "load_file"]

PRIMARY = "mlframe_root"
"""Name of the primary config; no folder but mlframe's own may hold it."""

FORBIDDEN = ("_target_", "_args_")


@dataclass
class _Active:
    """What the config sources of this process serve; Hydra builds them itself and hands them nothing."""

    plugins: Plugins | None = None
    folder: Path | None = None


_active = _Active()


def install(plugins: Plugins, folder: Path | None) -> None:
    """Make Hydra search the user's folder, mlframe's own, the plugins' in name order, then bare components.

    Args:
        plugins: the loaded plugins.
        folder: the user's `conf/`, None or absent for none.
    """
    _active.plugins, _active.folder = plugins, folder
    registered = HydraPlugins.instance()
    for plugin in (FolderSource, ComponentSource, _SearchPath):
        registered.register(plugin)


def options(group: str) -> list[str]:
    """Return the names that files and components offer in a group, for error texts."""
    sources = [FolderSource(provider, address) for provider, address in _folders()]
    found = {name for source in sources if source.is_group(group) for name in source.list(group, ObjectType.CONFIG)}
    assert _active.plugins is not None
    return sorted(found.union(_active.plugins.registry.names(group)))


def load_file(name: str) -> tuple[Any, str] | None:
    """Return a config file's plain values and where it lies, the user's own first; None when there is none.

    Args:
        name: group and option, such as `sweep/space/lgbm`.
    """
    for provider, address in _folders():
        source = FolderSource(provider, address)
        if source.is_config(name):
            found = source.load_config(name)
            where = f"{name}.yaml ({provider})"
            return OmegaConf.to_container(found.config, resolve=False), where
    return None


class _SearchPath(SearchPathPlugin):  # type: ignore[misc]
    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        if _active.plugins is None:  # another Hydra application in this process
            return
        search_path.prepend("mlframe", f"{FolderSource.scheme()}://pkg:mlframe.conf", "main")
        for provider, address in _folders():
            if provider == "project":
                search_path.prepend(provider, address, "mlframe")
            elif provider != "mlframe":
                search_path.append(provider, address)
        search_path.append("components", f"{ComponentSource.scheme()}://registry")


def _folders() -> Iterator[tuple[str, str]]:
    """Give provider and address of every folder of config files, in search order."""
    scheme = FolderSource.scheme()
    assert _active.plugins is not None
    if _active.folder is not None and _active.folder.is_dir():
        yield "project", f"{scheme}://{_active.folder}"
    yield "mlframe", f"{scheme}://pkg:mlframe.conf"
    for name, folders in _active.plugins.config_folders.items():
        for address in folders:
            yield f"plugin {name}", f"{scheme}://pkg:{address.removeprefix('pkg://')}"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads YAML with the C parser, three times as fast; which scalars are numbers stays OmegaConf's choice."""

    yaml_implicit_resolvers = get_yaml_loader().yaml_implicit_resolvers

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[Any] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value if isinstance(key.value, str) else id(key))
        return super().construct_mapping(node, deep)


class FolderSource(ConfigSource):  # type: ignore[misc]
    """A folder of YAML files in which nothing can name code or change Hydra itself."""

    _parsed: ClassVar[dict[str, tuple[tuple[int, int], Any, dict[str, str | None]]]] = {}

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider=provider, path=path)
        package = self.path.removeprefix("pkg:")
        self.own = package == "mlframe.conf"
        if package != self.path:
            self.root = Path(str(resources.files(package.replace("/", "."))))
        else:
            self.root = Path(self.path)

    @staticmethod
    def scheme() -> str:
        """Return the scheme of the address."""
        return "mlframe"

    def available(self) -> bool:
        """Whether the folder is there."""
        return self.root.is_dir()

    def _file(self, config_path: str) -> str:
        return os.path.join(self.root, self._normalize_file_name(config_path))

    def _hidden(self, config_path: str) -> bool:
        first = config_path.split("/", 1)[0].removesuffix(".yaml")
        return first == "hydra" or (first == PRIMARY and not self.own)

    def is_group(self, config_path: str) -> bool:
        """Whether there is such a folder."""
        return not self._hidden(config_path) and os.path.isdir(os.path.join(self.root, config_path))

    def is_config(self, config_path: str) -> bool:
        """Whether there is such a file."""
        return not self._hidden(config_path) and os.path.isfile(self._file(config_path))

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the names of files and folders in a folder."""
        found: list[str] = []
        for file in os.listdir(os.path.join(self.root, config_path)):
            if file.endswith(".yaml") or "." not in file:
                inner = f"{config_path}/{file}" if config_path else file
                self._list_add_result(found, inner, file, results_filter)
        return sorted(set(found))

    def load_config(self, config_path: str) -> ConfigResult:
        """Read and check one file.

        Raises:
            ConfigError: the file is no YAML, or tries to name code or to change Hydra.
        """
        file = self._file(config_path)
        try:
            stat = os.stat(file)
        except OSError as error:
            raise ConfigLoadError(f"Config not found: {file}") from error
        stamp = (stat.st_mtime_ns, stat.st_size)
        cached = self._parsed.get(file)
        if cached is None or cached[0] != stamp:
            text = _read(file)
            raw = _parse(text, file)
            header = self._get_header_dict(text[:512])
            if not self.own:
                _refuse_code(raw, header, file)
            cached = self._parsed[file] = (stamp, OmegaConf.create(raw), header)
        _, config, header = cached
        return ConfigResult(
            provider=self.provider,
            path=f"{self.scheme()}://{self.path}",
            config=copy.deepcopy(config),  # Hydra changes it; a copy takes half as long as making it anew
            header=dict(header),
        )


class ComponentSource(ConfigSource):  # type: ignore[misc]
    """Lists every registered component as an option of its group; the node of one without a file is its signature."""

    @staticmethod
    def scheme() -> str:
        """Return the scheme of the address."""
        return "component"

    def available(self) -> bool:
        """Whether plugins are loaded."""
        return _active.plugins is not None

    def _names(self, group: str) -> list[str]:
        assert _active.plugins is not None
        return [] if group == "step" else _active.plugins.registry.names(group)

    def _groups(self) -> Iterator[str]:
        assert _active.plugins is not None
        return iter({item.group for item in _active.plugins.registry if item.group != "step"})

    def is_group(self, config_path: str) -> bool:
        """Whether any component belongs to that group."""
        return any(group == config_path or group.startswith(f"{config_path}/") for group in self._groups())

    def is_config(self, config_path: str) -> bool:
        """Whether there is such a component."""
        group, _, name = config_path.removesuffix(".yaml").rpartition("/")
        return name in self._names(group)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the names of the group's components."""
        return self._names(config_path) if results_filter != ObjectType.GROUP else []

    def load_config(self, config_path: str) -> ConfigResult:
        """Build a node from the component's constructor; this imports its library."""
        assert _active.plugins is not None
        group, _, name = config_path.removesuffix(".yaml").rpartition("/")
        node = signature_node(_active.plugins.registry.get(group, name))
        config = OmegaConf.create({name: node} if group in PLURAL else node)
        return ConfigResult(
            provider=self.provider, path="component://registry", config=config, header={"package": None}
        )


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"The config file is not UTF-8: {error}", where=file, hint="save it as UTF-8") from error


def _parse(text: str, file: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader) or {}  # a SafeLoader: it builds plain values only
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(
            f"The config file is no valid YAML: {problem}",
            where=f"{file}{line}",
            hint="mend that line: keys and values are 'key: value', inner keys two spaces further in",
        ) from error


def _refuse_code(raw: Any, header: dict[str, str | None], file: str) -> None:
    """Refuse keys through which a data file could run code."""
    remedy = "a config picks registered names; code belongs in a plugin or in mlframe_project.py"
    package = header.get("package") or ""
    if re.match(r"hydra(\.|$)", package):
        raise ConfigError("A config file may not change Hydra", value=f"@package {package}", where=file, hint=remedy)
    if isinstance(raw, dict):
        for entry in raw.get("defaults") or ():
            for key in entry if isinstance(entry, dict) else (str(entry),):
                if re.search(r"(^|[\s/@])hydra(/|\.|$)", str(key)):
                    hint = "give Hydra's own settings on the command line"
                    raise ConfigError("A config file may not change Hydra", value=key, where=file, hint=hint)
    for path, key in _keys(raw, ()):
        if key in FORBIDDEN or (key == "hydra" and not path) or key.startswith("hydra.") or key == "hydra/launcher":
            where = f"{file}, key {'.'.join((*path, key))}"
            raise ConfigError(f"A config file may not hold the key {key!r}", where=where, hint=remedy)


def _keys(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield path, str(key)
            yield from _keys(value, (*path, str(key)))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _keys(value, (*path, str(index)))
