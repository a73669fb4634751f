"""Cache keys: what a step's outcome depends on, from config values to the source of helpers and library versions."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mlframe.config.schema import entries, pick
from mlframe.plugins import Plugins
from mlframe.registry import GROUPS, PLURAL
from mlframe.runner.order import PlannedStep
from mlframe.store.requirements import version_of

__all__ = ["code_identity", "code_of_step", "component_identity", "digest", "step_key"]


def digest(value: Any) -> str:
    """Return a short text that changes with any part of a plain value."""
    text = json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def step_key(
    plugins: Plugins, planned: PlannedStep, config: Mapping[str, Any], inputs: Mapping[str, str | None], extra: Any
) -> str:
    """Return the key of a step: same key, same outcome.

    Args:
        plugins: the loaded plugins.
        planned: the step.
        config: the resolved config.
        inputs: artifact name to key.
        extra: what `Step.key` gave.
    """
    code, components = code_of_step(plugins, planned, config)
    return digest(
        [
            planned.name,
            dict(planned.options),
            planned.item.version,
            code,
            {key: pick(config, key) for key in planned.step.reads},
            components,
            dict(inputs),
            platform.python_version(),
            extra,
        ]
    )


def code_of_step(plugins: Plugins, planned: PlannedStep, config: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    """Return the code of a step, and that of each group of components that it reads."""
    groups = [key.replace(".", "/") for key in planned.step.reads if key.replace(".", "/") in GROUPS.values()]
    own = [code_identity(target) for target in planned.item.component.targets()]
    return own, [component_identity(plugins, group, config) for group in groups]


def component_identity(plugins: Plugins, group: str, config: Mapping[str, Any]) -> Any:
    """Return plugin, version and code of the components that a config picks in a group."""
    node = pick(config, group.replace("/", "."))
    if not isinstance(node, Mapping):
        return None
    nodes: Sequence[Mapping[str, Any]] = [entry for _, entry in entries(node)] if group in PLURAL else [node]
    found = []
    for entry in nodes:
        item = plugins.registry.get(group, str(entry.get("name")))
        addresses = [*item.component.targets(), *([item.component.adapter] if item.component.adapter else [])]
        found.append([item.distribution, item.version, [code_identity(address) for address in addresses]])
    return found


@cache
def code_identity(address: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the digest of a target's source with the helpers it imports, and the libraries behind them.

    Helpers are followed inside mlframe, inside a package that is worked on (not installed from a wheel), and inside a
    project's own folder; of any other package the version says enough.

    Returns:
        Source digest, and (package, version) pairs.
    """
    start = address.partition(":")[0]
    package = start.partition(".")[0]
    seen: dict[str, bytes] = {}
    libraries: set[str] = {package}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        found = _module(name)
        if found is None:
            continue
        file, source = found
        if package != "mlframe" and "site-packages" in Path(file).parts and name != start:
            continue
        seen[name] = source
        for other in _imports(name):
            root = other.partition(".")[0]
            if root == package or (root != "mlframe" and _beside(file, root)):
                waiting.append(other)
            else:
                libraries.add(root)
    whole = hashlib.sha256()
    for name in sorted(seen):
        whole.update(name.encode() + b"\0" + seen[name] + b"\0")
    versions = ((name, version_of(name)) for name in sorted(libraries))
    return whole.hexdigest(), tuple((name, version) for name, version in versions if version)


@cache
def _module(name: str) -> tuple[str, bytes] | None:
    """Return file and source of a module that is Python source."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    return spec.origin, Path(spec.origin).read_bytes()


def _beside(file: str, root: str) -> bool:
    """Whether a package or module lies beside a project's own file."""
    folder = Path(file).parent
    return "site-packages" not in folder.parts and ((folder / f"{root}.py").is_file() or (folder / root).is_dir())


@cache
def _imports(module: str) -> tuple[str, ...]:
    """Return the full names that a module imports."""
    found = _module(module)
    assert found is not None
    file, source = found
    names: list[str] = []
    for node in _statements(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".") if Path(file).name == "__init__.py" else module.split(".")[:-1]
                parents = parents[: len(parents) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(names)


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Give every statement; an import is one, so expressions, nine tenths of a tree, are left alone."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, block, None)
            if isinstance(inner, list):  # of a conditional expression or a lambda it is an expression
                waiting.extend(inner)
