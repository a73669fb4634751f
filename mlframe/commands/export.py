"""Writes a version into a folder, for another store."""

from __future__ import annotations

import argparse
from pathlib import Path

from mlframe.commands.shown import size_text

SUMMARY = "write a version into a folder, for another store"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the positionals."""
    parser.add_argument("version", help="such as email/7 or email@champion")
    parser.add_argument("dir", metavar="DIR", help="folder that is new or empty")


def run(arguments: argparse.Namespace) -> int:
    """Check every digest, then write."""
    from mlframe.steps.register import who
    from mlframe.store.transfer import export_version

    folder = Path(arguments.dir)
    with arguments.door.open_store() as store:
        version = export_version(store, arguments.version, folder.absolute(), who())
    files = version["files"]
    size = size_text(sum(item["size"] for item in files.values()))
    print(f"{version['reference']} is in {folder}: {len(files)} files, {size}")
    print(f"in another store: python -m mlframe import {folder} store.root=…")
    return 0
