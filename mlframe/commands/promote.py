"""Makes a version the champion."""

from __future__ import annotations

import argparse
from typing import Any

from mlframe.commands.shown import figure_text
from mlframe.errors import UserError

SUMMARY = "make a version the champion (or point another alias at it)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the positionals and flags."""
    parser.add_argument("version", help="such as email/7")
    parser.add_argument("--alias", default="champion", help="the alias to move (default champion)")
    parser.add_argument("--why", default="promoted by hand", help="the reason, kept in the log")
    parser.add_argument(
        "--expect", metavar="VERSION", help="move it only if it points at this version now; 'none': at nothing"
    )
    parser.add_argument("--force", action="store_true", help="promote although the gate said no")


def run(arguments: argparse.Namespace) -> int:
    """Move the alias, with the version's figures as evidence, unless somebody else has moved it meanwhile."""
    from mlframe.steps.register import who

    with arguments.door.open_store() as store:
        version = store.version(arguments.version)
        seen = expected(store, version["name"], arguments)
        if version["facts"].get("passed") is False and arguments.alias == "champion" and not arguments.force:
            raise UserError(
                f"The gate said no to {version['reference']}",
                where=f"run {version['run_id']}",
                hint=f"'mlframe show {version['run_id']}' tells why; --force promotes it all the same, and the log says so",
            )
        evidence = {"figures": version["figures"], "gate": version["facts"].get("passed"), "forced": arguments.force}
        entry = store.promote(
            version["reference"],
            alias=arguments.alias,
            who=who(),
            why=arguments.why,
            evidence=evidence,
            expected=seen,
        )
    before = f" (it was {entry['from']})" if entry["from"] else ""
    figure = figure_text(version["figures"], version["facts"].get("metric"))
    print(
        f"{version['name']}@{arguments.alias} is {version['reference']} now{before}  {version['facts'].get('metric')} {figure}"
    )
    return 0


def expected(store: Any, name: str, arguments: argparse.Namespace) -> str | None:
    """Return what the alias must point at for the move to go ahead: what the user says, or what it points at now."""
    if arguments.expect is None:
        found = store.holder(name, arguments.alias)
        return None if found is None else str(found)
    return None if arguments.expect == "none" else str(store.version(arguments.expect)["reference"])
