"""Runs a task: header, steps, summary, exit code. Not a command of its own: tasks and `rerun` use it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlframe.config.types import Composed
    from mlframe.door import Door


def run_task(door: Door, composed: Composed, group: str | None = None) -> int:
    """Run a composed task.

    Args:
        door: plugins and working directory.
        composed: the config.
        group: id of the sweep that the run closes.

    Returns:
        0, or 3 when the gate says no and gate.strict is set.
    """
    from mlframe.contracts.amounts import parse_size
    from mlframe.door import GATE
    from mlframe.runner.display import Display, summary_rows, summary_table
    from mlframe.runner.facts import run_facts
    from mlframe.runner.limits import collect_garbage
    from mlframe.runner.run import Runner

    collect_garbage()
    if group is not None:
        composed = composed.derive({"group": group}, composed.overrides)
    config, unresolved = composed.resolved, composed.recorded
    os.environ.setdefault("POLARS_MAX_THREADS", str(config["resources"]["threads"]))
    limit = parse_size(config["store"]["cache_size"], where="store.cache_size")
    display = Display()
    display.header(headline(composed, config))
    for name in composed.shadowed:
        display.header(f"  conf/{name}.yaml of this folder replaces the shipped one")
    for problem in door.plugins.problems:
        display.header(f"  warning: {problem}")
    with door.open_store(config, create=True) as store:
        facts = run_facts(door.folder, config["seed"], list(composed.overrides))
        facts["choices"] = {key: value for key, value in composed.choices.items() if value is not None}
        runner = Runner(door.plugins, config, unresolved, store, display, facts=facts)
        info, summary = runner.run()
        if limit is not None:
            store.evict(limit)
    display.console.print()
    display.console.print(summary_table(summary_rows(summary), f"run {info.id}"))
    refused = any(summary.get(part, {}).get("passed") is False for part in ("gate", "tests"))
    return GATE if refused and config["gate"]["strict"] else 0


def headline(composed: Composed, config: dict[str, Any]) -> str:
    """Return the run's first line: the task and the choices that its steps read."""
    from mlframe.commands.plan import READERS, picks_of

    steps = {name for name, options in config["task"]["steps"].items() if options is not None}
    picks = picks_of(composed, config)
    parts = [
        f"{key}={picks[key]}"
        for key in ("data", "model", "ensembler", "splitter", "experiment", "level")
        if picks.get(key) not in (None, "none") and (key not in READERS or steps & READERS[key])
    ]
    return f"{config['task']['name']}: {' '.join(parts)}"
