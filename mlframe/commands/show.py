"""Shows one run or version: what was asked for, what came out, where the files are."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlframe.commands.shown import print_table, when

SUMMARY = "show one run (steps, figures, gate, code, config) or version (figures, gate, aliases, files, needs)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the positionals and flags."""
    parser.add_argument("run", help="id of a run, its beginning, or a version: email/7, email@champion")
    parser.add_argument("--config", action="store_true", help="print the whole config")
    parser.add_argument("--diff", action="store_true", help="print the uncommitted changes that the run was made with")


def run(arguments: argparse.Namespace) -> int:
    """Print the run or the version."""
    from mlframe.commands.versioned import is_version, know
    from mlframe.runner.display import summary_rows

    with arguments.door.open_store() as store:
        if is_version(arguments.run):
            known = know(store, arguments.run)
            if not (arguments.config or arguments.diff):
                known.print()
                return 0
            arguments.run = known.version["run_id"]
            if known.run is None and arguments.config:
                return _print_config(known.documents["config"])
        item = store.run(arguments.run)
        steps = store.steps(item["id"])
        folder = Path(store.run_folder(item["id"]))
    facts, summary = item.get("facts") or {}, item.get("summary") or {}
    code = facts.get("code") or {}
    if arguments.diff:
        print(code.get("diff") or "no uncommitted changes were recorded")
        return 0
    if arguments.config:
        return _print_config(item["config"])
    machine = facts.get("machine") or {}
    commit = (
        f"{code['commit'][:12]}{' with uncommitted changes' if code.get('dirty') else ''}"
        if code
        else "no git checkout"
    )
    rows = [
        ("status", item["status"]),
        ("started", when(item["started"])),
        ("command", "python -m mlframe " + shlex.join(facts.get("command") or [])),
        ("code", commit),
        ("seed", facts.get("seed")),
        ("machine", f"{machine.get('system')}, {machine.get('cpus')} processors, Python {machine.get('python')}"),
        ("files", folder),
        *summary_rows(summary),
    ]
    if summary.get("error"):
        rows.append(("error", summary["error"]))
    print_table(("", ""), rows, title=f"run {item['id']}  {item['task']} {item['name'] or ''}")
    print_table(
        ("step", "status", "took", "peak memory"),
        [
            (
                s["step"],
                s["status"],
                "cached" if s["cached"] else f"{s['seconds']:.2f} s",
                f"{(s['peak_memory'] or 0) / (1 << 20):,.0f} MB",
            )
            for s in steps
        ],
    )
    return 0


def _print_config(config: Mapping[str, Any]) -> int:
    from omegaconf import OmegaConf

    print(OmegaConf.to_yaml(OmegaConf.create(dict(config))))
    return 0
