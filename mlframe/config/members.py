"""Checks that an override reaches what it is meant for: an ensemble's members are models of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlframe.errors import ConfigError

__all__ = ["check_model_is_read"]


def check_model_is_read(config: Mapping[str, Any], overrides: Sequence[str]) -> Iterator[ConfigError]:
    """Find overrides of `model` where an ensembler's members stand in its place.

    Args:
        config: the composed config, as plain values.
        overrides: the overrides as typed.
    """
    node = config.get("ensembler") or {}
    members: Mapping[str, Any] = {key: member for key, member in (node.get("members") or {}).items() if member}
    if not members:
        return
    for line in overrides:
        key, _, value = line.lstrip("+~").partition("=")
        if key != "model" and not key.startswith("model."):
            continue
        # A member takes a parameter if it has it, or its model may: `+model.params.x` is in no file.
        name = key.partition(".")[2].partition(".")[0]
        takers = [member for member, held in members.items() if name in held] or list(members)
        one = takers[0] if len(takers) == 1 else f"{{{','.join(takers)}}}"
        if name:
            hint = f"give it to a member: ensembler.members.{one}{key[len('model') :]}={value}"
        elif value in members:
            hint = f"leave it out: {value} is a member already"
        else:
            hint = f"leave it out, or make it a member: +model@ensembler.members.{value}={value}"
        yield ConfigError(
            f"ensembler={node.get('name')} reads no model: its members are models of their own",
            value=line,
            where=f"command line: {line}",
            hint=hint,
        )
