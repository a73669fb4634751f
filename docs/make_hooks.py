"""Write docs/hooks.md from the docstrings of mlframe/hookspecs.py: `python docs/make_hooks.py`."""

from __future__ import annotations

import inspect
from pathlib import Path

from mlframe import hookspecs
from mlframe.registry import GROUPS

TARGET = Path(__file__).with_name("hooks.md")

HEAD = """\
# Hooks

Written by `python docs/make_hooks.py` from the docstrings of `mlframe/hookspecs.py`; change those. What a component must
do is in `mlframe/contracts`, how a plugin is made in [writing-plugins.md](writing-plugins.md).
"""


def hooks() -> list[str]:
    """Return the names of all hooks, in the order of the module."""
    return [name for name in vars(hookspecs) if name.startswith("mlframe_")]


def page() -> str:
    """Return the page."""
    parts = [HEAD, inspect.cleandoc(hookspecs.__doc__ or ""), "", "| hook | kind | config group |", "|---|---|---|"]
    for name in hooks():
        kind = "registration" if name in GROUPS else "config folders" if name == "mlframe_config" else "event"
        group = GROUPS.get(name)
        shown = "-" if group is None else "(a task lists steps)" if group == "step" else f"`{group}`"
        parts.append(f"| [`{name}`](#{name}) | {kind} | {shown} |")
    for name in hooks():
        function = getattr(hookspecs, name)
        parts += ["", f"## {name}", "", "```python", f"def {name}{_signature(function)}", "```", ""]
        parts += _prose(inspect.getdoc(function) or "")
    return "\n".join(parts) + "\n"


def _signature(function: object) -> str:
    return str(inspect.signature(function)).replace("'", "")  # type: ignore[arg-type]


def _prose(text: str) -> list[str]:
    """Turn the sections of a docstring into Markdown: arguments become a list."""
    lines = []
    section = None
    for line in text.splitlines():
        if line in ("Args:", "Returns:", "Raises:"):
            section = line
            lines += [f"**{line}**", ""]
        elif line.startswith("    ") and section is not None:
            bare = line.strip()
            if section == "Returns:":
                lines.append(bare)
            elif line.startswith("        "):
                lines[-1] += f" {bare}"
            else:
                name, _, rest = bare.partition(": ")
                lines.append(f"- `{name}`: {rest}")
        else:
            lines.append(line)
    return lines


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
