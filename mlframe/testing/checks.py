"""Checks that several suites and the guard tests share."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from mlframe.registry import FAMILIES, PLURAL, Registered, import_target, parameter_names

if TYPE_CHECKING:
    from mlframe.contracts import Chart
    from mlframe.plugins import Plugins

__all__ = ["HEAVY", "SNAKE", "check_charts", "config_files", "loaded_modules", "missing_parameters", "read_node"]

HEAVY = (
    "catboost",
    "lightgbm",
    "matplotlib",
    "pandas",
    "pandera",
    "river",
    "sklearn",
    "wandb",
    "xgboost",
)
"""Libraries that no discovery may import."""

SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")
"""Lower snake case."""


@cache
def loaded_modules(code: str, folder: Path | None = None) -> frozenset[str]:
    """Run code in a fresh Python and return the names of the modules that it left loaded.

    Raises:
        AssertionError: the code failed; its standard error is the text.
    """
    tail = "\nimport json, sys\nsys.stderr.flush()\nprint('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return frozenset(json.loads(done.stdout.splitlines()[-1]))


def config_files(plugins: Plugins, item: Registered) -> list[Path]:
    """Return the YAML files that state a component's parameters: in mlframe's conf or in its plugin's own folders."""
    addresses = (
        ["pkg://mlframe.conf"] if item.distribution == "mlframe" else plugins.config_folders.get(item.plugin, [])
    )
    files = []
    for address in addresses:
        spec = importlib.util.find_spec(address.removeprefix("pkg://"))
        assert spec is not None, f"{address} is no package: it needs an __init__.py"
        for root in spec.submodule_search_locations or []:
            file = Path(root, item.group, f"{item.component.name}.yaml")
            if file.is_file():
                files.append(file)
    return files


def read_node(file: Path, group: str) -> dict[str, Any]:
    """Return the component's node of a group file, with interpolations as text; a plural group's key is taken off."""
    from omegaconf import OmegaConf

    node = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    assert isinstance(node, dict), f"{file} holds no mapping"
    if group in PLURAL:
        assert list(node) == [file.stem], f"{file}: all of it must stand under the key '{file.stem}'"
        node = node[file.stem]
    node.pop("defaults", None)
    return {str(key): value for key, value in node.items()}


def missing_parameters(item: Registered, node: Mapping[str, Any]) -> list[str]:
    """Return the constructor parameters that a component's node does not spell out."""
    stated = {name for name in node if name not in FAMILIES}
    target = item.component.target
    if isinstance(target, str):
        return sorted(parameter_names(item, import_target(target, item)) - stated)
    gone = []
    for family, address in target.items():
        own = stated | set(node.get(family) or {})
        gone += [f"{family}.{name}" for name in sorted(parameter_names(item, import_target(address, item)) - own)]
    return gone


def check_charts(charts: Sequence[Chart]) -> None:
    """Check that pictures are self-contained, inert, and told in words.

    Raises:
        AssertionError: a picture is not.
    """
    names = [chart.name for chart in charts]
    assert len(set(names)) == len(names), f"chart names must be unique: {names}"
    for chart in charts:
        assert SNAKE.match(chart.name), f"chart name {chart.name!r} is not lower snake case"
        assert chart.title.strip(), f"chart {chart.name} has no title"
        assert len(chart.alt.split()) > 2, f"chart {chart.name} has no words for those who cannot see it"
        root = ElementTree.fromstring(chart.svg)
        assert _local(root.tag) == "svg", f"chart {chart.name} is no SVG"
        for element in root.iter():
            assert _local(str(element.tag)) not in ("script", "foreignObject"), f"chart {chart.name} holds a script"
            for key, value in element.attrib.items():
                if _local(key) in ("href", "src"):
                    assert value.startswith(("#", "data:")), f"chart {chart.name} needs {value} from elsewhere"


def heavy_among(modules: Iterable[str]) -> list[str]:
    """Return the heavy libraries among loaded modules."""
    return sorted({name.partition(".")[0] for name in modules} & set(HEAVY))


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
