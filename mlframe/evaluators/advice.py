"""What to do with each input column, from how much the model leans on it: keep, drop, try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlframe.contracts import Finding
from mlframe.evaluators.losses import Change
from mlframe.evaluators.permutation import Related
from mlframe.evaluators.words import ends, say

__all__ = ["advise"]

SMALL = 0.01
"""A change below this share of what the model gains over guessing is nothing."""
MOST = 3
"""Findings of each kind."""


def advise(
    changes: Mapping[str, Change], unused: Sequence[str], related: Sequence[Related], unit: str, guess: float
) -> list[Finding]:
    """Return findings that begin with keep, drop or try.

    Args:
        changes: column to what shuffling it does to the loss.
        unused: columns that the trees never split on.
        related: columns that say much the same.
        unit: name of the loss.
        guess: the loss of guessing without looking.
    """
    found = []
    ranked = sorted(changes, key=lambda name: (-changes[name].value, name))
    small = SMALL * max(guess - next(iter(changes.values())).before, 0.0) if changes else 0.0
    for name in [name for name in ranked if changes[name].low > 0 and changes[name].value > small][:MOST]:
        text = f"keep: shuffling {name!r} raises the {unit} by {_size(changes[name])}"
        found.append(Finding("info", text, name))
    twins = {name for group in related for name in group.names}
    if unused:
        names = ", ".join(repr(name) for name in unused[:8]) + (
            f" and {len(unused) - 8} more" if len(unused) > 8 else ""
        )
        found.append(Finding("info", f"drop: the model never uses {names}", unused[0] if len(unused) == 1 else None))
    idle = [n for n in reversed(ranked) if n not in twins and changes[n].low <= 0 <= changes[n].high <= max(small, 0.0)]
    for name in idle[:MOST]:
        text = (
            f"drop: shuffling {name!r} changes nothing: the {unit} moves by {_size(changes[name])}, and the interval"
            " includes 0"
        )
        found.append(Finding("info", text, name))
    if len(idle) > MOST:
        rest = ", ".join(repr(name) for name in idle[MOST:][:8])
        found.append(Finding("info", f"drop: the same holds for {rest}{' and more' if len(idle) > MOST + 8 else ''}"))
    for group in list(related)[:MOST]:
        names = " and ".join(filter(None, [", ".join(repr(n) for n in group.names[:-1]), repr(group.names[-1])]))
        alone = ", ".join(say(changes[n].value) for n in group.names if n in changes)
        same = f"they say much the same (association {group.strength:.2f} or more)"
        if group.together.low > 0:
            text = (
                f"try: leave out all but one of {names}: {same}; alone they are worth {alone}, together"
                f" {_size(group.together)}"
            )
        else:
            text = (
                f"try: leave out {names}: {same}, and shuffling them together changes nothing for certain: the {unit} moves"
                f" by {_size(group.together)}"
            )
        found.append(Finding("info", text, ", ".join(group.names)))
    for name in [name for name in reversed(ranked) if changes[name].high < 0][:MOST]:
        text = f"try: leave out {name!r}: the {unit} is lower when it is shuffled, by {_size(changes[name])}"
        found.append(Finding("info", text, name))
    return found


def _size(change: Change) -> str:
    return f"{say(change.value)}{ends(change.low, change.high)}"
