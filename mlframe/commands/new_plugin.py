"""Write a plugin that passes its own tests: `mlframe new-plugin NAME --hook model`."""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from mlframe.errors import ConfigError, PluginError, UnknownNameError
from mlframe.plugins import load_plugins
from mlframe.registry import GROUPS, PLURAL

__all__ = ["SUMMARY", "add_arguments", "kinds", "run", "write_plugin"]

SUMMARY = "Write a new plugin that passes its own tests"

NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*\Z")
SUFFIX = ".tmpl"


def kinds() -> dict[str, str]:
    """Return what a scaffold can be for: singular of the hook's name to the hook, such as model: mlframe_models."""
    return {hook.removeprefix("mlframe_").removesuffix("s"): hook for hook in GROUPS}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", metavar="NAME", help="what the plugin is about, in lower case: my-thing")
    parser.add_argument("--hook", default="model", metavar="KIND", help=f"one of {', '.join(kinds())} (default: model)")
    parser.add_argument("--folder", type=Path, default=Path(), help="where mlframe-NAME/ is made (default: here)")


def run(arguments: argparse.Namespace) -> int:
    """Write the plugin and say what to do next."""
    folder = write_plugin(arguments.name, arguments.hook, arguments.folder)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        print(f"  {path}")
    print(f"\nNext:\n  pip install -e {folder}\n  pytest {folder}\n  mlframe plugins")
    return 0


def write_plugin(name: str, kind: str = "model", parent: Path = Path()) -> Path:
    """Write a distribution `mlframe-<name>` that offers one component.

    Args:
        name: what the plugin is about; lower case, words parted by `-` or `_`.
        kind: what it offers, one of `kinds()`.
        parent: folder in which `mlframe-<name>/` is made.

    Returns:
        The new folder.

    Raises:
        ConfigError: the name cannot be one.
        UnknownNameError: there is no such kind.
        PluginError: the folder exists, or another plugin offers that name.
    """
    hooks = kinds()
    if kind not in hooks:
        raise UnknownNameError.from_name("kind of plugin", kind, hooks, where="--hook")
    if not NAME.match(name) or re.match(r"mlframe[-_]", name):
        hint = "use lower-case words parted by - or _, without the prefix mlframe, such as my-thing"
        raise ConfigError("A plugin cannot have this name", value=name, where="NAME", hint=hint)
    component, group = name.replace("-", "_"), GROUPS[hooks[kind]]
    registry = load_plugins().registry
    if component in registry.names(group):
        owner = registry.get(group, component).origin
        raise PluginError(f"{group}={component} is offered by {owner} already", where="NAME", hint="pick another name")
    folder = parent / f"mlframe-{component.replace('_', '-')}"
    if folder.exists():
        raise PluginError(f"{folder} exists; nothing was written", where="NAME", hint="remove it, or pick another name")
    words = {
        "name": component,
        "distribution": folder.name,
        "package": f"mlframe_{component}",
        "Class": "".join(word.capitalize() for word in component.split("_")),
        "hook": hooks[kind],
        "kind": kind,
        "Suite": f"{kind.capitalize()}Suite",
        "group": group,
        "pick": _pick(group, component),
    }
    parent.mkdir(parents=True, exist_ok=True)
    # Written beside its place and renamed, so that a failure leaves nothing half-made.
    with tempfile.TemporaryDirectory(dir=parent, prefix=".new-plugin-") as scratch:
        made = Path(scratch) / folder.name
        root = resources.files("mlframe.commands") / "scaffold"
        for part in ("common", "config", kind) if group != "step" else ("common", kind):  # steps have no config group
            _render(root / part, made, words)
        shutil.move(made, folder)
    return folder


def _pick(group: str, name: str) -> str:
    """Return the override that picks a component on the command line."""
    if group == "step":
        return f"+task.steps.{name}={{}}"
    return f"{group}=[{name}]" if group in PLURAL else f"{group}={name}"


def _render(source: Traversable, target: Path, words: dict[str, str]) -> None:
    """Write a folder of templates; `__word__` in a path and `$word` in a text stand for the words."""
    for item in source.iterdir():
        path = target / re.sub(r"__([a-z]+)__", lambda match: words.get(match[1], match[0]), item.name)
        if item.is_dir():
            _render(item, path, words)
        elif path.suffix == SUFFIX:
            target.mkdir(parents=True, exist_ok=True)
            text = Template(item.read_text(encoding="utf-8")).substitute(words)
            path.with_suffix("").write_text(text, encoding="utf-8")
