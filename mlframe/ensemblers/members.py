"""What voting, stacking and greedy selection check of their members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlframe.errors import UnknownNameError

__all__ = ["check"]

LEAST = 2


def check(target: Any, parameters: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each mistake in members, weights and limits; their own parameters are checked apart."""
    members = {name: node for name, node in (parameters.get("members") or {}).items() if node is not None}
    mistakes = []
    if len(members) < LEAST:
        mistakes.append(
            f"an ensemble needs {LEAST} members or more, and has {len(members)}"
            f"{''.join(f' ({name})' for name in members)}: add some, such as +model@ensembler.members.forest=forest"
        )
    if "final" in parameters and not (parameters["final"] or {}).get("name"):
        mistakes.append("a stack needs a final model: model@ensembler.final=linear")
    for name, weight in (parameters.get("weights") or {}).items():
        if name not in members:
            error = UnknownNameError.from_name("member", name, members)
            mistakes.append("weights: " + "; ".join(filter(None, [error.what, error.hint])))
        elif isinstance(weight, bool) or not isinstance(weight, int | float) or weight < 0:
            mistakes.append(f"weights.{name} must be a number of 0 or more, got {weight!r}")
    weights = parameters.get("weights") or {}
    if not mistakes and weights and not any(weights.get(name, 1.0) for name in members):
        mistakes.append("weights leave every member out: give one a number above 0")
    for name in ("latency_ms", "seconds"):
        limit = parameters.get(name)
        if limit is not None and limit <= 0:
            mistakes.append(f"{name} must be above 0, got {limit!r}")
    for name in ("rounds", "start", "bags"):
        value = parameters.get(name)
        if value is not None and value < 1:
            mistakes.append(f"{name} must be 1 or more, got {value!r}")
    share = parameters.get("share")
    if share is not None and not 0 < share <= 1:
        mistakes.append(f"share must be above 0 and at most 1, got {share!r}")
    return mistakes
