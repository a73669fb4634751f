"""Shows what was in production when."""

from __future__ import annotations

import argparse

from mlframe.commands.shown import print_table, when

SUMMARY = "show every move of a model's aliases: when, who, why"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the positionals."""
    parser.add_argument("name", help="name of the model, such as email")


def run(arguments: argparse.Namespace) -> int:
    """Print the log, the oldest entry first."""
    with arguments.door.open_store() as store:
        found = store.history(arguments.name)
    if not found:
        print(f"no alias of {arguments.name!r} was ever moved; 'mlframe versions {arguments.name}' lists its versions")
        return 0
    rows = [(when(e["when"]), e["who"], e["action"], e["alias"], e["from"], e["to"], e["why"]) for e in found]
    print_table(("when", "who", "action", "alias", "from", "to", "why"), rows)
    return 0
