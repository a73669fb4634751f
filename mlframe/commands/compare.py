"""Compares two runs side by side."""

from __future__ import annotations

import argparse
from typing import Any

from mlframe.commands.shown import flatten, print_table
from mlframe.runner.display import interval_text

SUMMARY = "compare two runs: config, data, code, environment, metrics side by side"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the positionals."""
    parser.add_argument("first", help="id of a run, or its beginning")
    parser.add_argument("second", help="id of the other")
    parser.add_argument("--all", action="store_true", help="show equal values too")


def run(arguments: argparse.Namespace) -> int:
    """Print what differs."""
    with arguments.door.open_store() as store:
        a, b = store.run(arguments.first), store.run(arguments.second)
        keys = [{step["step"]: step["key"] for step in store.steps(item["id"])} for item in (a, b)]
    columns = ("", a["id"], b["id"])
    for title, left, right in sections(a, b, keys):
        names = sorted({*left, *right})
        rows = [(n, left.get(n, "-"), right.get(n, "-")) for n in names if arguments.all or left.get(n) != right.get(n)]
        if rows:
            print_table(columns, rows, title=title)
        else:
            print(f"{title}: equal\n")
    return 0


def sections(
    a: dict[str, Any], b: dict[str, Any], keys: list[dict[str, Any]]
) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Return title, left values and right values of each part."""
    found = []
    for item, key in ((a, keys[0]), (b, keys[1])):
        facts = item.get("facts") or {}
        code = facts.get("code") or {}
        figures = (item.get("summary") or {}).get("figures") or {}
        metrics = {
            f"{part} {name}": interval_text(value) for part, named in figures.items() for name, value in named.items()
        }
        data = {"rows (key)": (key.get("ingest") or "")[:16], "split (key)": (key.get("split") or "")[:16]}
        commit = {"commit": code.get("commit"), "uncommitted lines": len((code.get("diff") or "").splitlines())}
        environment = {
            **(facts.get("packages") or {}),
            **{f"machine {k}": v for k, v in (facts.get("machine") or {}).items()},
        }
        found.append((flatten(item["config"]), data, commit, environment, metrics))
    titles = ("config", "data", "code", "environment", "metrics")
    return [(title, found[0][index], found[1][index]) for index, title in enumerate(titles)]
