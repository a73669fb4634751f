"""Shows what was decided about a model, and why."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from mlframe.commands.shown import print_table, when
from mlframe.errors import UnknownNameError

SUMMARY = "show what was decided about a model by itself, and the evidence of one decision"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the positionals and flags."""
    parser.add_argument("name", nargs="?", help="name of the model, such as email; all when left out")
    parser.add_argument("number", nargs="?", type=int, help="show one decision with its evidence")
    parser.add_argument("--kind", action="append", default=[], help="only of this kind, such as promote or roll_back")
    parser.add_argument("--limit", type=int, default=20, help="how many, the latest first (default 20)")
    parser.add_argument("--json", action="store_true", help="as JSON, with everything that was kept")


def run(arguments: argparse.Namespace) -> int:
    """Print a row a decision, or one whole."""
    with arguments.door.open_store() as store:
        if arguments.name is not None and arguments.name.isdigit() and arguments.number is None:
            arguments.name, arguments.number = None, int(arguments.name)
        if arguments.number is not None:
            found = [_one(store, arguments.name, arguments.number)]
        else:
            found = store.decisions.many(arguments.name, kinds=arguments.kind, limit=max(1, arguments.limit))
            if not found and arguments.name is not None:
                store.versions(arguments.name)  # a name that nothing has is a mistake
    if arguments.json:
        plain = [{**row, "when": row["when"].isoformat()} for row in found]
        print(json.dumps(plain[0] if arguments.number is not None else plain, indent=1, ensure_ascii=False))
    elif arguments.number is not None:
        _show(found[0])
    elif not found:
        print("nothing was decided yet; 'mlframe operate' and 'mlframe update' decide")
    else:
        rows = [
            (row["id"], when(row["when"]), row["name"], row["kind"], row["record"].get("text", "")) for row in found
        ]
        print_table(("number", "when", "model", "kind", "what and why"), rows)
    return 0


def _one(store: Any, name: str | None, number: int) -> dict[str, Any]:
    every = store.decisions.many(name, limit=1_000_000)
    for row in every:
        if row["id"] == number:
            return dict(row)
    known = [str(row["id"]) for row in every[:20]]
    raise UnknownNameError.from_name("decision", str(number), known, where="decisions", remedy="see 'decisions'")


def _show(row: Mapping[str, Any]) -> None:
    record = row["record"]
    print(f"decision {row['id']}, {when(row['when'])}, {row['name']}: {row['kind']}")
    print(f"  {record.get('text', '')}")
    for fired in record.get("fired") or []:
        print(f"  because {fired['trigger']}: {fired['text']}")
    for check in record.get("checks") or []:
        mark = {True: "yes", False: "no", None: "not compared"}[check["passed"]]
        print(f"  {check['name']}: {mark}: {check['evidence']}")
    print_table(("evidence", "value"), list(_rest(record)))


def _rest(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in record.items():
        if prefix == "" and key in ("text", "fired", "checks", "key"):
            continue
        if isinstance(value, Mapping):
            yield from _rest(value, f"{prefix}{key}.")
        elif value not in (None, [], ""):
            yield f"{prefix}{key}", f"{value:.6g}" if isinstance(value, float) else value
