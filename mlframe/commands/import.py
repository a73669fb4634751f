"""Takes a version over that another store has exported, or a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path

from mlframe.commands.shown import figure_text

SUMMARY = "take over a version that 'export' wrote, or a bundle; it gets the next number"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the positionals and flags."""
    parser.add_argument("dir", metavar="DIR", help="folder that 'mlframe export' has written, or a bundle")
    parser.add_argument("--name", help="name of the model here (default: the one that it had)")
    parser.add_argument("--number", type=int, help="its number here, above all others (default: the next one)")


def run(arguments: argparse.Namespace) -> int:
    """Check digests, environment and types, score the examples, and only then register."""
    from mlframe.pipeline.opening import open_pipeline
    from mlframe.steps.register import who
    from mlframe.store.transfer import import_parcel, open_parcel

    door = arguments.door
    parcel = open_parcel(Path(arguments.dir))
    opened = open_pipeline(parcel.bundle, door.plugins.registry, where=arguments.dir)
    for warning in opened.warnings:
        print(f"warning: {warning}")
    proof = opened.check_examples()
    with door.open_store(create=True) as store:
        reference = import_parcel(store, parcel, arguments.name or parcel.record["name"], who(), arguments.number)
    record = parcel.record
    figure = figure_text(record["figures"], record["facts"].get("metric"))
    print(f"{reference}  (it was {record['reference']} of {record['from']}, run {record['run_id']})")
    print(f"checked: {len(parcel.manifest['files'])} digests; {proof}")
    if figure:
        print(f"{record['facts']['metric']} {figure}")
    print(f"to promote it: python -m mlframe promote {reference}")
    return 0
