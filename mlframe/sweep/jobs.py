"""The jobs of a multirun: every combination of the swept overrides, as Hydra's own sweeper counts them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from mlframe.errors import Problems


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """Return each job's overrides.

    Raises:
        Problems: overrides that cannot be read.
    """
    from mlframe.config.compose import parse

    parsed, errors = parse(overrides)
    if errors:
        raise Problems(errors)
    choices = []
    for override in parsed:
        if override.is_sweep_override():
            prefix = "++" if override.is_force_add() else "+" if override.is_add() else ""
            package = f"@{override.package}" if override.package else ""
            key = f"{prefix}{override.key_or_group}{package}"
            choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            choices.append([str(override.input_line)])
    return [list(job) for job in product(*choices)]
