"""What every conformance suite shares: the component under test, its config node, and the rules of registration."""

# ruff: noqa: D102 (a test's name is its documentation)

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from mlframe.errors import ParameterError
from mlframe.registry import Registered, Registry, signature_node
from mlframe.testing.checks import SNAKE, config_files, heavy_among, loaded_modules, missing_parameters, read_node

if TYPE_CHECKING:
    from pathlib import Path

    from mlframe.plugins import Plugins

__all__ = ["Suite"]

SEED = 7


class Suite:
    """Base of the suites; subclass the one of your hook, and override `component`."""

    group: ClassVar[str]
    """Config group of the hook."""

    @pytest.fixture
    def component(self) -> str | Mapping[str, Any]:
        """Return the registered name, or a mapping of `name` and the parameters that the tests need."""
        raise NotImplementedError(f"{type(self).__name__} must override the fixture 'component'")

    @pytest.fixture
    def item(self, registry: Registry, component: str | Mapping[str, Any]) -> Registered:
        """Give the component's registration."""
        name = component if isinstance(component, str) else component["name"]
        return registry.get(self.group, name, where=f"{type(self).__name__}.component")

    @pytest.fixture
    def node(self, plugins: Plugins, item: Registered, component: str | Mapping[str, Any]) -> dict[str, Any]:
        """Give the config node: the YAML file's values or the constructor's defaults, then those of `component`."""
        return build_node(plugins, item, {} if isinstance(component, str) else component)

    def test_registration_follows_the_rules(self, item: Registered) -> None:
        assert SNAKE.match(item.component.name), "a registered name is lower snake case"
        assert item.component.summary.strip(), "the summary is what `mlframe plugins` shows"
        assert "\n" not in item.component.summary
        assert all(target.count(":") == 1 for target in item.component.targets()), "targets are 'package.module:Name'"

    def test_parameters_bind_to_the_constructor(
        self, registry: Registry, item: Registered, node: dict[str, Any]
    ) -> None:
        assert registry.bind(self.group, node, where=self.group) == []

    def test_unknown_parameter_is_refused(self, registry: Registry, item: Registered, node: dict[str, Any]) -> None:
        errors = registry.bind(self.group, {**node, "no_such_parameter": 1}, where=self.group)
        assert [type(error) for error in errors] == [ParameterError], "declare names with Component(parameters=…)"

    def test_config_file_spells_out_every_parameter(self, plugins: Plugins, item: Registered) -> None:
        for file in config_files(plugins, item):
            node = read_node(file, self.group)
            assert node.get("name") == item.component.name == file.stem
            assert missing_parameters(item, node) == [], f"{file} leaves these out"

    def test_discovery_imports_no_library(self, item: Registered, project_folder: Path | None) -> None:
        only = None if item.distribution == "mlframe" else [item.plugin]
        project = f"pathlib.Path({str(project_folder)!r})" if project_folder else None
        code = f"import pathlib\nfrom mlframe.plugins import load_plugins\nload_plugins(only={only}, project={project})"
        assert heavy_among(loaded_modules(code)) == [], (
            "name targets as text; import the library in the target's module"
        )


def build_node(plugins: Plugins, item: Registered, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a component's resolved config node.

    Args:
        plugins: the loaded plugins; their YAML files are read where there is one.
        item: the component.
        parameters: values that replace the stated ones; `${seed}` and `${resources.threads}` are filled in.
    """
    from dataclasses import asdict

    from omegaconf import OmegaConf

    from mlframe.config.schema import Goal, Monitoring, Resources

    files = config_files(plugins, item)
    base = read_node(files[0], item.group) if files else signature_node(item)
    around = {
        "seed": SEED,
        "goal": asdict(Goal()),
        "monitor": asdict(Monitoring()),
        "resources": {**asdict(Resources()), "threads": 1},
        "data": {"schema": None, "columns": {}},
    }
    root = OmegaConf.create({**around, "node": OmegaConf.merge(OmegaConf.create(base), dict(parameters))})
    node = root["node"]
    missing = sorted(str(name) for name in OmegaConf.missing_keys(node))
    assert not missing, f"return a mapping from the fixture 'component' that gives {', '.join(missing)}"
    resolved = OmegaConf.to_container(node, resolve=True)
    assert isinstance(resolved, dict)
    return {str(name): value for name, value in resolved.items()}
