"""Lists what monitors say is wrong, shows one alarm whole, and lets a person say that it is known."""

from __future__ import annotations

import argparse
from typing import Any

from mlframe.commands.shown import print_table, when
from mlframe.errors import UnknownNameError, UserError

SUMMARY = "list alarms of monitors, show one whole, acknowledge one"

ACTIONS = ("acknowledge", "show")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the positionals and flags."""
    parser.add_argument(
        "what", nargs="*", metavar="NAME | show N | acknowledge N", help="a model, or what to do with alarm N"
    )
    parser.add_argument("--all", action="store_true", help="those that are over, too")
    parser.add_argument("--why", metavar="TEXT", help="why it is known already; acknowledge needs it")


def run(arguments: argparse.Namespace) -> int:
    """Do what the words ask for; without an action, list."""
    words = list(arguments.what)
    action = words.pop(0) if words and words[0] in ACTIONS else "list"
    if action == "list":
        if arguments.why is not None:
            raise UserError("--why belongs to acknowledge", where="--why", hint="alarms acknowledge 3 --why TEXT")
        return _list(arguments, words)
    if len(words) != 1 or not words[0].isdigit():
        hint = f"such as alarms {action} 3; 'alarms' lists the numbers"
        raise UserError(
            f"'alarms {action}' needs the number of one alarm", value=" ".join(words), where="alarms", hint=hint
        )
    number = int(words[0])
    return _show(arguments, number) if action == "show" else _acknowledge(arguments, number)


def _list(arguments: argparse.Namespace, words: list[str]) -> int:
    if len(words) > 1:
        raise UserError("One model at a time", value=" ".join(words), where="alarms", hint="name one, or none for all")
    name = words[0] if words else None
    with arguments.door.open_store() as store:
        found = store.alarms.many(name, source=None, status=() if arguments.all else ("open", "acknowledged"))
        if name is not None and not found:
            store.versions(name)  # a name that nothing has is a mistake
    if not found:
        print(f"no alarm{'' if arguments.all else ' now'}" + (f" of {name}" if name else ""))
        return 0
    rows = [
        (
            a["id"],
            a["name"],
            a["severity"],
            a["status"],
            when(a["first"]),
            when(a["last"]),
            a["source"],
            a["record"].get("text") or a["key"],
        )
        for a in found
    ]
    print_table(("number", "model", "severity", "status", "since", "last seen", "rows of", "what"), rows)
    return 0


def _show(arguments: argparse.Namespace, number: int) -> int:
    from mlframe.operating.shown import alarm_lines

    with arguments.door.open_store() as store:
        every = store.alarms.many(source=None, limit=100_000)
    alarm = next((one for one in every if one["id"] == number), None)
    if alarm is None:
        known = [str(one["id"]) for one in every]
        raise UnknownNameError.from_name("alarm", str(number), known[:20], where="alarms", remedy="see 'alarms --all'")
    told: dict[str, Any] = alarm["record"].get("told") or {}
    rows = [("model", alarm["name"]), ("rows of", alarm["source"]), ("status", alarm["status"]), *alarm_lines(alarm)]
    if alarm["record"].get("over"):
        rows.append(("over", when(alarm["record"]["over"])))
    if alarm["record"].get("acknowledged"):
        rows.append(("acknowledged", when(alarm["record"]["acknowledged"]["when"])))
    rows += [("told", f"{notifier}: {state}") for notifier, state in told.items()]
    print_table(("", ""), rows)
    return 0


def _acknowledge(arguments: argparse.Namespace, number: int) -> int:
    from mlframe.steps.register import who

    if not (arguments.why or "").strip():
        hint = f'alarms acknowledge {number} --why "the new form went live"'
        raise UserError("Say why it is known", where="--why", hint=hint)
    with arguments.door.open_store() as store:
        alarm = store.alarms.acknowledge(number, who=who(), why=arguments.why.strip())
    print(f"alarm {number} ({alarm['name']}: {alarm['key']}) is acknowledged; it is told again if it gets worse")
    return 0
