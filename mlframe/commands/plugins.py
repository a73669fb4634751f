"""Lists plugins and components, or shows one component whole."""

from __future__ import annotations

import argparse
from typing import Any

from mlframe.errors import UserError

SUMMARY = "list plugins, components, hooks, versions and options; 'plugins show model/lgbm' shows one"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the positionals."""
    parser.add_argument("action", nargs="?", choices=["list", "show"], default="list")
    parser.add_argument("component", nargs="?", help="for show: group/name, such as model/lgbm or data/source/csv")


def run(arguments: argparse.Namespace) -> int:
    """List or show."""
    door = arguments.door
    if arguments.action == "show":
        if not arguments.component or "/" not in arguments.component:
            raise UserError(
                "plugins show needs GROUP/NAME", value=arguments.component, hint="such as: plugins show model/lgbm"
            )
        group, _, name = arguments.component.rpartition("/")
        return show(door, group, name)
    return listing(door)


def listing(door: Any) -> int:
    """Print plugins, then components by group with the options that their YAML states."""
    from mlframe.commands.shown import print_table

    plugins = door.plugins
    print_table(
        ("plugin", "distribution", "version", "status", "hooks"),
        [
            (
                r.name,
                r.distribution or "(this folder)",
                r.version or "",
                r.status,
                r.error or ", ".join(h.removeprefix("mlframe_") for h in r.hooks),
            )
            for r in plugins.records.values()
        ],
        title="plugins",
    )
    rows = []
    for item in plugins.registry:
        options = stated_options(door, item.group, item.component.name)
        shown = ", ".join(options) if options is not None else "(no YAML: 'plugins show' reads the signature)"
        rows.append(
            (
                f"{item.group}/{item.component.name}",
                item.origin,
                item.component.summary,
                shown if item.group != "step" else "",
            )
        )
    print_table(("component", "from", "what", "options"), rows, title="components")
    for problem in plugins.problems:
        print(f"warning: {problem}\n")
    return 0


def stated_options(door: Any, group: str, name: str) -> list[str] | None:
    """Return the keys of a component's YAML file, None when it has none."""
    values = shipped_values(door, group, name)
    return None if values is None else [key for key in values if key not in ("name", "defaults")]


def show(door: Any, group: str, name: str) -> int:
    """Print a component's parameters with types, defaults and what its YAML sets; imports it."""
    import inspect

    from mlframe.commands.shown import print_table
    from mlframe.registry import import_target, parameter_names, signature_node

    item = door.plugins.registry.get(group, name, where="command line")
    plugin = f" (plugin {item.plugin!r})" if item.distribution else ""
    print(f"{group}/{name}: {item.component.summary}\nfrom {item.origin}{plugin}")
    found = shipped_values(door, group, name)
    shipped = found or {}
    targets = item.component.target
    for family, address in ({"": targets} if isinstance(targets, str) else dict(targets)).items():
        target = import_target(address, item)
        parameters = inspect.signature(target).parameters
        rows = []
        for key in sorted(parameter_names(item, target)):
            parameter = parameters.get(key)
            default = "" if parameter is None or parameter.default is parameter.empty else repr(parameter.default)
            kind = "" if parameter is None or parameter.annotation is parameter.empty else _type(parameter.annotation)
            kind = kind or (
                type(parameter.default).__name__ if parameter is not None and default not in ("", "None") else ""
            )
            value = shipped.get(family, {}).get(key, shipped.get(key, ""))
            rows.append((key, kind, default, value))
        print_table(
            ("parameter", "type", "default", "in the YAML"),
            rows,
            title=f"{address}{f' for {family}' if family else ''}",
        )
    if item.component.adapter:
        adapter = import_target(item.component.adapter, item)
        able = [
            m
            for m in ("fit", "stops", "rounds", "with_rounds", "save", "load", "gain", "contributions")
            if hasattr(adapter, m)
        ]
        print(f"adapter {item.component.adapter}: {', '.join(able)}{', categories' if adapter.categories else ''}")
    if found is None:
        print(f"no YAML file; picked, it becomes: {signature_node(item)}")
    return 0


def shipped_values(door: Any, group: str, name: str) -> dict[str, Any] | None:
    """Return what a component's YAML sets, None when it has none."""
    import yaml

    from mlframe.commands.help import conf_folders
    from mlframe.registry import PLURAL

    for conf in conf_folders(door.folder, door.plugins):
        file = conf / group / f"{name}.yaml"
        if file.is_file():
            node = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
            return dict(node.get(name) or node) if group in PLURAL else dict(node)
    return None


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
