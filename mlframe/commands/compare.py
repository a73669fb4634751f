"""Compares two runs or versions side by side, and on the same rows where that is possible."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from mlframe.commands.shown import flatten, print_table, save_page, when
from mlframe.commands.versioned import Known, is_version, know
from mlframe.runner.display import interval_text

SUMMARY = "compare two runs or versions: config, data, code, environment, metrics side by side"

Sides = list[tuple[str, dict[str, Any], dict[str, Any]]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the positionals and flags."""
    parser.add_argument("first", help="id of a run, its beginning, or a version: email/3, email@champion")
    parser.add_argument("second", help="the other")
    parser.add_argument("--all", action="store_true", help="show equal values too")
    parser.add_argument("--html", metavar="FILE", help="write the comparison as a page, too")


def run(arguments: argparse.Namespace) -> int:
    """Print what differs."""
    from mlframe.commands.pairing import pair

    with arguments.door.open_store() as store:
        sides = [_resolve(store, reference) for reference in (arguments.first, arguments.second)]
        (a, known_a), (b, known_b) = sides
        keys = [{step["step"]: step["key"] for step in store.steps(item["id"])} for item in (a, b)]
        paired = pair(store, a, b, keys[0], keys[1])
    columns = [item["id"] if known is None else known.reference for item, known in sides]
    parts = sections(a, b, keys)
    if known_a is not None and known_b is not None:
        parts.insert(0, ("bundle", known_a.inside(), known_b.inside()))
    for title, left, right in parts:
        rows = _rows(left, right, all_=arguments.all)
        if rows:
            print_table(("", *columns), rows, title=title)
        else:
            print(f"{title}: equal\n")
    for line in paired.lines(*columns):
        print(line)
    if arguments.html:
        save_page(_page(columns, (a, b), parts, paired.lines(*columns), all_=arguments.all), arguments.html)
    return 0


def _resolve(store: Any, reference: str) -> tuple[dict[str, Any], Known | None]:
    """Return the run of a side, and the version where one is named; its run may be in another store."""
    if is_version(reference):
        known = know(store, reference)
        return known.as_run(), known
    return store.run(reference), None


def _rows(left: Mapping[str, Any], right: Mapping[str, Any], *, all_: bool) -> list[tuple[str, Any, Any]]:
    names = sorted({*left, *right})
    return [(n, left.get(n, "-"), right.get(n, "-")) for n in names if all_ or left.get(n) != right.get(n)]


def _page(
    columns: Sequence[str],
    items: tuple[dict[str, Any], dict[str, Any]],
    parts: Sides,
    paired: Sequence[str],
    *,
    all_: bool,
) -> Any:
    """Return the comparison as a document: metrics first, then what made them differ."""
    from mlframe.charts.document import Document, Points, Section, Table

    by_title = {title: (left, right) for title, left, right in parts}

    def runs() -> Any:
        facts = ("id", "task", "name", "status", "started")
        rows = [[fact, *(when(i[fact]) if fact == "started" else i[fact] for i in items)] for fact in facts]
        yield Table(("", *columns), rows)

    def metrics() -> Any:
        yield Points([("", line) for line in paired])
        yield from differing("metrics", True)

    def differing(title: str, everything: bool) -> Any:
        rows = _rows(*by_title[title], all_=everything)
        equal = len({*by_title[title][0], *by_title[title][1]}) - len(rows)
        yield Table(("", *columns), [[str(cell) for cell in row] for row in rows]) if rows else "Equal."
        if rows and equal:
            yield f"{equal} more {'value is' if equal == 1 else 'values are'} equal."

    def section(title: str) -> Section:
        return Section(title, title.capitalize(), lambda: differing(title, all_))

    return Document(
        f"{columns[0]} and {columns[1]}",
        "mlframe comparison of two runs",
        [
            Section("metrics", "Metrics", metrics),
            Section("runs", "Runs", runs),
            *(section(title) for title in ("bundle", "config", "data", "code", "environment") if title in by_title),
        ],
    )


def sections(a: dict[str, Any], b: dict[str, Any], keys: list[dict[str, Any]]) -> Sides:
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
