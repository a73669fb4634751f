"""Looks after the store itself."""

from __future__ import annotations

import argparse

SUMMARY = "bring a store of an older mlframe up to date, after a backup"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the one thing that can be done."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="upgrade")
    upgrade = actions.add_parser("upgrade", help="change the tables as this mlframe needs them; keeps a backup")
    upgrade.add_argument("--saved", action="store_true", help="make no backup: there is one already")


def run(arguments: argparse.Namespace) -> int:
    """Upgrade, and say what was done."""
    from mlframe.store.store import Store

    root, url = arguments.door.store_place()
    done = Store.upgrade(root, url, saved=arguments.saved)
    if done.before == done.after:
        print(f"nothing to do: the store's schema is version {done.after}, as this mlframe needs it")
        return 0
    print(f"the store's schema is version {done.after} now (it was {done.before})")
    if done.backup is not None:
        print(f"backup: {done.backup}")
    return 0
