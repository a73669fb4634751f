"""What shuffling columns costs, and which columns say the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from mlframe import stats
from mlframe.evaluators.columns import group_column
from mlframe.evaluators.losses import Change, change_of_loss
from mlframe.table import Table

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    Array = npt.NDArray[Any]

__all__ = ["Related", "Sample", "related_columns", "shuffled_change"]

MOST_RELATED = 60
"""Columns that are compared with each other: all pairs of more would take too long."""


@dataclass(frozen=True)
class Sample:
    """The rows that a pipeline is asked about.

    Args:
        pipeline: the fitted pipeline.
        table: the rows.
        y: codes or values, shape (rows,).
        weight: shape (rows,).
        outputs: what the pipeline says of the rows: probabilities (rows, classes) or values (rows,).
    """

    pipeline: Any
    table: Table
    y: Array
    weight: Array
    outputs: Array


@dataclass(frozen=True)
class Related:
    """Columns that say much the same.

    Args:
        names: the columns.
        strength: the weakest association between two of them, 0 to 1.
        together: rise of the loss when all are shuffled together.
    """

    names: tuple[str, ...]
    strength: float
    together: Change


def shuffled_change(sample: Sample, names: Sequence[str], repeats: int, rng: np.random.Generator) -> Change:
    """Return how much the loss rises when columns are shuffled, together, as a mean over repeats (Breiman 2001)."""
    frame = sample.table.frame
    copies = []
    for _ in range(repeats):
        order = rng.permutation(frame.height)
        copies.append(frame.with_columns(frame[name][order] for name in names))
    # All repeats go through the pipeline at once: fewer calls, the same rows.
    after = np.asarray(sample.pipeline.outputs(pl.concat(copies)))
    return change_of_loss(sample.outputs, after, sample.y, sample.weight)


def related_columns(table: Table, names: Sequence[str], least: float) -> list[tuple[tuple[str, ...], float]]:
    """Return groups of columns that all hang together, each with its weakest association.

    The association is Cramér's V of the columns cut into groups or, where both have an order, the correlation of the
    groups' numbers if that is larger. Texts and times are left out.

    Args:
        table: the rows.
        names: columns, the most important first; those beyond `MOST_RELATED` are not compared.
        least: smallest association between any two columns of a group.
    """
    by_name = {column.name: column for column in table.features}
    cut = []
    for name in list(names)[:MOST_RELATED]:
        if by_name[name].kind not in ("text", "datetime"):
            cut += group_column(table.frame[name], by_name[name], 5, 10)[:1]
    cut = [groups for groups in cut if np.ptp(groups.codes) > 0]
    strength = np.eye(len(cut))
    for i, a in enumerate(cut):
        for j in range(i):
            b = cut[j]
            found = stats.cramers_v(a.codes, b.codes)
            if a.ordered and b.ordered:
                found = max(found, abs(float(np.corrcoef(a.codes, b.codes)[0, 1])))
            strength[i, j] = strength[j, i] = found
    # Closest first; a group takes another in only when each column goes together with each (complete linkage).
    groups = [[i] for i in range(len(cut))]
    while len(groups) > 1:
        links = [
            (float(strength[np.ix_(a, b)].min()), -i, -j)
            for i, a in enumerate(groups)
            for j, b in enumerate(groups[:i])
        ]
        weakest, i, j = max(links)
        if weakest < least:
            break
        groups[-j] = sorted(groups[-j] + groups.pop(-i))
    return [
        (
            tuple(cut[i].column for i in group),
            float(strength[np.ix_(group, group)][np.triu_indices(len(group), 1)].min()),
        )
        for group in groups
        if len(group) > 1
    ]
