"""Goes back to the champion before."""

from __future__ import annotations

import argparse

SUMMARY = "go back to the champion before; the whole bundle comes back"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the positionals and flags."""
    parser.add_argument("name", help="name of the model, such as email")
    parser.add_argument("--alias", default="champion", help="the alias to move (default champion)")
    parser.add_argument("--expect", metavar="VERSION", help="go back only if it points at this version now")
    parser.add_argument("--why", default="rolled back by hand", help="the reason, kept in the log")


def run(arguments: argparse.Namespace) -> int:
    """Move the alias back, unless somebody else has moved it meanwhile."""
    from mlframe.commands.promote import expected
    from mlframe.steps.register import who

    with arguments.door.open_store() as store:
        seen = expected(store, arguments.name, arguments)
        entry = store.rollback(arguments.name, alias=arguments.alias, who=who(), why=arguments.why, expected=seen)
    print(f"{arguments.name}@{arguments.alias} is {entry['to']} again (it was {entry['from']})")
    return 0
