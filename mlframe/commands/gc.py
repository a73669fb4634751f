"""Says what the store keeps that nothing needs, and removes it when asked to."""

from __future__ import annotations

import argparse

from mlframe.commands.shown import print_table, size_text

SUMMARY = "list versions and files that nothing needs; --delete removes them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--keep", type=int, default=10, help="newest versions of each model that stay (default 10)")
    parser.add_argument("--runs", type=int, metavar="DAYS", help="folders of runs older than this, too")
    parser.add_argument("--dry-run", action="store_true", help="remove nothing; this is what happens without flags")
    parser.add_argument("--delete", action="store_true", help="remove what is listed")


def run(arguments: argparse.Namespace) -> int:
    """Print what goes and what stays, each with its reason."""
    delete = arguments.delete and not arguments.dry_run
    with arguments.door.open_store() as store:
        found = store.garbage(keep=arguments.keep, run_days=arguments.runs, delete=delete)
    if found.kept:
        print_table(("version", "why"), [(item.reference, item.why) for item in found.kept], title="stay")
    rows = [(reference, size_text(size)) for reference, size in sorted(found.versions.items(), key=_by_number)]
    rows += [(f"folder of run {folder.name}", size_text(size)) for folder, size in sorted(found.runs.items())]
    if found.orphans:
        rows.append((f"{len(found.orphans)} files that nothing refers to", size_text(sum(found.orphans.values()))))
    if "://" in arguments.door.store_place()[0]:
        print("prediction logs of other machines are not seen from here: run this where the server writes them\n")
    if not rows:
        print("nothing to remove")
        return 0
    print_table(("", "frees"), rows, title="removed" if delete else "would go")
    if delete:
        print(f"{size_text(found.freed)} freed; numbers of removed versions are not given again")
    else:
        print(f"{size_text(found.freed)} would be freed; nothing was removed: --delete does it")
    return 0


def _by_number(item: tuple[str, int]) -> tuple[str, int]:
    name, _, number = item[0].partition("/")
    return name, int(number)
