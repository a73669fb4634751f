"""Makes, lists and revokes API keys of the prediction server."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from mlframe.commands.shown import print_table, when

SUMMARY = "make, list and revoke API keys of the prediction server"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the three things that can be done."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="create|list|revoke")
    create = actions.add_parser("create", help="make a key; it is shown once")
    create.add_argument("name", help="who uses it, such as 'web shop'")
    create.add_argument(
        "--scope",
        action="append",
        default=[],
        help="what it is good for: predict, feedback or admin; repeat it for more than one",
    )
    actions.add_parser("list", help="list keys: id, name, scopes, when they were made and revoked")
    revoke = actions.add_parser("revoke", help="make a key useless; servers notice within seconds")
    revoke.add_argument("id", help="the key's id, or the key itself")


def run(arguments: argparse.Namespace) -> int:
    """Do one of the three; a new key is the only thing on standard output."""
    from mlframe.steps.register import who

    with arguments.door.open_store(create=arguments.action == "create") as store:
        if arguments.action == "create":
            key, record = store.create_key(arguments.name, arguments.scope, who=who())
            print(key)
            sys.stdout.flush()
            note = f"key {record['id']} for {record['name']!r} may {', '.join(record['scopes'])}; it is not shown again"
            print(f"{note}\nsend it as   Authorization: Bearer mlf_{record['id']}_…", file=sys.stderr)
        elif arguments.action == "revoke":
            record = store.revoke_key(arguments.id)
            print(f"key {record['id']} ({record['name']}) opens nothing since {when(record['revoked'])}")
        else:
            _list(store.api_keys())
    return 0


def _list(keys: list[dict[str, Any]]) -> None:
    if not keys:
        print("no keys here yet; 'mlframe keys create NAME --scope predict' makes one")
        return
    rows = [
        (k["id"], k["name"], ", ".join(k["scopes"]), when(k["created"]), k["who"], when(k["revoked"])) for k in keys
    ]
    print_table(("key", "name", "scopes", "created", "by", "revoked"), rows)
