"""Says where a value of the config comes from."""

from __future__ import annotations

import argparse

from mlframe.commands.shown import print_table
from mlframe.errors import UnknownNameError

SUMMARY = "say which file, default or override set a value, and what it replaced"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the positionals."""
    parser.add_argument("key", help="a dotted key such as model.learning_rate, or a whole node such as model")


def run(arguments: argparse.Namespace) -> int:
    """Print the history of a value, oldest first."""
    from omegaconf import OmegaConf

    from mlframe.config.trace import trace

    door = arguments.door
    composed = door.compose()
    history = trace(door.plugins, door.overrides, door.conf)
    keys = [key for key in history if key == arguments.key or key.startswith(f"{arguments.key}.")]
    if not keys:
        raise UnknownNameError.from_name("key", arguments.key, history, where="command line")
    rows = []
    for key in keys:
        *older, (origin, value) = history[key]
        now = OmegaConf.select(composed.config, key)
        shown = f"{value}  = {now}" if isinstance(value, str) and "${" in value and "oc.env" not in value else value
        replaced = "; ".join(
            f"{old} from {source}" for source, old in reversed(older) if (source, old) != (origin, value)
        )
        rows.append((key, shown if value is not None else "null", origin, replaced))
    print_table(("key", "value", "set by", "replaced"), rows)
    for name in composed.shadowed:
        print(f"conf/{name}.yaml of this folder replaces the shipped file")
    return 0
