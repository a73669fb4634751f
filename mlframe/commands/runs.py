"""Lists runs."""

from __future__ import annotations

import argparse

from mlframe.commands.shown import figure_text, print_table, when
from mlframe.contracts import models_of

SUMMARY = "list runs, the latest first"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--limit", type=int, default=20, help="how many (default 20)")
    parser.add_argument("--name", help="only runs of this model name")
    parser.add_argument("--group", help="only the jobs of this multirun")
    parser.add_argument("--status", choices=["running", "finished", "failed", "interrupted"])


def run(arguments: argparse.Namespace) -> int:
    """Print a row a run."""
    with arguments.door.open_store() as store:
        found = store.runs(limit=arguments.limit, name=arguments.name, group=arguments.group, status=arguments.status)
    if not found:
        print("no runs here yet; 'python -m mlframe model=lgbm data=email' makes one")
        return 0
    rows = []
    for item in found:
        summary = item.get("summary") or {}
        metric = summary.get("metric")
        figure = figure_text(summary.get("figures"), metric)
        rows.append(
            (
                item["id"],
                item["task"],
                item["name"],
                ", ".join(models_of(item.get("config") or {})),
                item["status"],
                when(item["started"]),
                f"{metric} {figure}" if figure else "",
                summary.get("version"),
            )
        )
    print_table(("run", "task", "name", "model", "status", "started", "figure", "version"), rows)
    return 0
