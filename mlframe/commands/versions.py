"""Lists registered versions."""

from __future__ import annotations

import argparse

from mlframe.commands.shown import figure_text, print_table, when

SUMMARY = "list registered versions and their aliases"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the positionals."""
    parser.add_argument("name", nargs="?", help="only versions of this model")


def run(arguments: argparse.Namespace) -> int:
    """Print a row a version."""
    with arguments.door.open_store() as store:
        found = store.versions(arguments.name)
    if not found:
        print("no versions here yet; a training run registers one")
        return 0
    marks = {True: "yes", False: "no", None: ""}
    rows = [
        (
            v["reference"],
            ", ".join(v["aliases"]),
            when(v["created"]),
            v["run_id"],
            f"{v['facts'].get('metric')} {figure_text(v['figures'], v['facts'].get('metric'))}",
            marks[v["facts"].get("passed")],
        )
        for v in found
    ]
    print_table(("version", "aliases", "created", "run", "figure", "gate"), rows)
    return 0
