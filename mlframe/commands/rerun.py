"""Runs a past run again: same config, data and seed, same predictions."""

from __future__ import annotations

import argparse

SUMMARY = "run a past run again from its own config and seed; says what differs today"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the positionals."""
    parser.add_argument("run", help="id of the run, or its beginning")
    parser.add_argument("--fresh", action="store_true", help="do not answer steps from the cache")


def run(arguments: argparse.Namespace) -> int:
    """Compose the run's config again and run it."""
    from omegaconf import OmegaConf

    from mlframe.commands.run import run_task
    from mlframe.config.check import validate
    from mlframe.config.types import Composed
    from mlframe.errors import Problems
    from mlframe.runner.facts import code_facts, packages

    door = arguments.door
    with door.open_store() as store:
        item = store.run(arguments.run)
    facts = item.get("facts") or {}
    then, now = facts.get("packages") or {}, packages()
    changed = [
        f"{name} {then.get(name)} then, {now.get(name)} now"
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]
    if changed:
        print(
            f"note: {len(changed)} packages differ from that run: {'; '.join(changed[:8])}{' …' if len(changed) > 8 else ''}"
        )
    before, today = facts.get("code") or {}, code_facts(door.folder) or {}
    if (before.get("commit"), before.get("diff")) != (today.get("commit"), today.get("diff")):
        print("note: the code differs from that run; 'mlframe show RUN --diff' tells what it was made with")
    config = OmegaConf.create(item["unresolved"])
    config.group = None
    if arguments.fresh:
        config.cache = "refresh"
    composed = Composed(config, facts.get("choices") or {}, (), tuple(facts.get("command") or ()))
    errors = validate(door.plugins, composed)
    if errors:
        raise Problems(errors)
    return run_task(door, composed)
