"""The text of --help: made from folders and plugins, without Hydra."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import mlframe
from mlframe.door import COMMANDS

if TYPE_CHECKING:
    from mlframe.plugins import Plugins

USAGE = """mlframe {version}: from a table to a model that earns its keep, described by one config.

  python -m mlframe model=lgbm data=email        train: goal, data, model, gate, registry, report
  python -m mlframe -m model=lgbm,linear data=email
                                                  one job for each choice, one table at the end
  python -m mlframe predict data=email input=FILE output=FILE
                                                  score a file with the champion

Five words: data (where rows come from), goal (what counts as good), model (what learns), run (one execution, always
recorded), champion (the version that serves).

Tasks (take key=value):
{tasks}

Commands (take names and flags; 'mlframe COMMAND --help' tells them):
{commands}

Config groups, picked as group=option ('mlframe plugins' tells where each comes from):
{groups}

Any value can be set: model.learning_rate=0.1, seed=7, 'trackers=[]'. 'mlframe plan ...' checks everything and trains
nothing; 'mlframe why KEY' says which file or override set a value. Files in ./conf come first.
"""


def text(plugins: Plugins) -> str:
    """Return the help text."""
    lines = [
        USAGE.format(
            version=mlframe.__version__,
            tasks="\n".join(f"  {name:<11} {_head(name, plugins)}" for name in tasks(Path.cwd(), plugins)),
            commands="\n".join(f"  {name:<11} {_summary(name)}" for name in COMMANDS),
            groups="\n".join(_wrap(f"{group} =", names) for group, names in sorted(groups(plugins).items())),
        )
    ]
    for problem in plugins.problems:
        lines.append(f"warning: {problem}")
    return "\n".join(lines)


def conf_folders(folder: Path, plugins: Plugins) -> list[Path]:
    """Return every folder of config files, in search order."""
    from importlib.resources import files

    packages = [address.removeprefix("pkg://") for found in plugins.config_folders.values() for address in found]
    shipped = [Path(str(files("mlframe.conf")))]
    return [folder / "conf", *shipped, *(Path(str(files(package.replace("/", ".")))) for package in packages)]


def tasks(folder: Path, plugins: Plugins) -> list[str]:
    """Return the names of all tasks."""
    return sorted({file.stem for conf in conf_folders(folder, plugins) for file in (conf / "task").glob("*.yaml")})


def groups(plugins: Plugins) -> dict[str, list[str]]:
    """Return config group to option names, from files and from components."""
    found: dict[str, set[str]] = {}
    for conf in conf_folders(Path.cwd(), plugins):
        for file in conf.rglob("*.yaml"):
            group = file.parent.relative_to(conf).as_posix()
            if group not in (".", "task") and not group.startswith("hydra"):
                found.setdefault(group, set()).add(file.stem)
    for item in plugins.registry:
        if item.group != "step":
            found.setdefault(item.group, set()).add(item.component.name)
    return {group: sorted(names) for group, names in found.items()}


def _summary(command: str) -> str:
    """Return a command's summary without importing it."""
    source = (Path(__file__).parent / f"{command.replace('-', '_')}.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "SUMMARY":
            return str(ast.literal_eval(node.value))
    return ""


def _head(task: str, plugins: Plugins) -> str:
    for conf in conf_folders(Path.cwd(), plugins):
        file = conf / "task" / f"{task}.yaml"
        if file.is_file():
            first = file.read_text(encoding="utf-8").splitlines()[:1]
            return first[0].lstrip("# ").rstrip(".") if first and first[0].startswith("#") else ""
    return ""


def _wrap(head: str, names: list[str]) -> str:
    import textwrap

    return textwrap.fill(
        f"  {head:<14} {' '.join(names)}",
        width=118,
        subsequent_indent=" " * 17,
        break_long_words=False,
        break_on_hyphens=False,
    )
