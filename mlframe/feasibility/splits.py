"""Leaks between the parts of a cut: repeated rows, entities on both sides, rows that are judged before they happen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mlframe.contracts import Split
from mlframe.feasibility.leak import Leak
from mlframe.feasibility.rules import alike_in_time
from mlframe.table import Table

__all__ = ["is_ordered", "split_leaks"]

Array = npt.NDArray[Any]

FEW = 0.01
"""Share of repeated rows that is worth a warning."""
MANY = 0.05
"""Share of repeated rows that makes the figures doubtful."""
MOSTLY_DISTINCT = 0.5
"""Where fewer rows than this share differ, equal rows are natural: there are only so many combinations of values."""
LEAST = 10
"""Repeated rows below this number change no figure."""
ALIKE = 0.2
"""How much better than chance a neighbour in time tells the target, before a cut that ignores time is a problem."""


def split_leaks(table: Table, split: Split, target: Array, task: str) -> Iterator[Leak]:
    """Look for rows, entities and times that lie on both sides of a cut.

    Args:
        table: the rows that have a label.
        split: positions in it.
        target: codes 0..K-1 or values, shape (rows,).
        task: the learning task.
    """
    yield from _duplicates(table, split)
    ordered = is_ordered(table, split)
    yield from _entities(table, split, bool(ordered))
    if ordered is False:
        yield from _overlap(table, split, target, task)


def is_ordered(table: Table, split: Split) -> bool | None:
    """Whether every part that is judged lies after the rows that it is judged by; None without a time."""
    name = _time_of(table)
    if name is None:
        return None
    times = table.frame[name].to_physical().fill_null(0).to_numpy()
    return all(
        times[valid].min() >= times[train].max() for train, valid in _cuts(split) if len(train) and len(valid)
    )  # fmt: skip


def _time_of(table: Table) -> str | None:
    named = table.names("time")
    if named:
        return named[0]
    dated = [column.name for column in table.features if column.kind == "datetime"]
    return dated[0] if dated and table.frame[dated[0]].dtype.is_temporal() else None


def _cuts(split: Split) -> list[tuple[Array, Array]]:
    """Return the pairs of rows learned from and rows judged, the holdout last."""
    return [*split.folds, (split.development, split.holdout)]


def _crossing(codes: Array, split: Split) -> tuple[int, int, int, int]:
    """Count judged rows whose code some learned row has: (in the folds, of, in the holdout, of); negative codes are none."""
    counted = []
    for cuts in (split.folds, ((split.development, split.holdout),)):
        found = total = 0
        for train, valid in cuts:
            seen = np.zeros(int(codes.max(initial=0)) + 1, dtype=np.bool_)
            seen[codes[train][codes[train] >= 0]] = True
            judged = codes[valid]
            found += int(seen[judged[judged >= 0]].sum())
            total += len(valid)
        counted += [found, total]
    return counted[0], counted[1], counted[2], counted[3]


def _duplicates(table: Table, split: Split) -> Iterator[Leak]:
    names = [column.name for column in table.features]
    if not names:
        return
    hashes = table.frame.select(names).hash_rows(seed=0)
    codes = hashes.rank("dense").to_numpy().astype(np.intp) - 1
    distinct = (int(codes.max(initial=-1)) + 1) / max(len(codes), 1)
    in_folds, judged, in_holdout, held = _crossing(codes, split)
    share = max(in_folds / max(judged, 1), in_holdout / max(held, 1))
    if max(in_folds, in_holdout) < LEAST or share < FEW:
        return
    severity = "info" if distinct < MOSTLY_DISTINCT else "problem" if share >= MANY else "warning"
    where = (
        f"{in_holdout:,} of {held:,} holdout rows" if in_holdout else f"{in_folds:,} of {judged:,} rows of the folds"
    )
    natural = f"; only {distinct:.0%} of the rows differ, so equal ones are natural" if severity == "info" else ""
    yield Leak(
        "duplicate_rows",
        severity,  # type: ignore[arg-type]
        f"{where} ({share:.1%}) repeat a row that was learned from in every feature{natural}",
        remedy="data.source.deduplicate=true, if equal rows are one row",
    )


def _entities(table: Table, split: Split, ordered: bool) -> Iterator[Leak]:
    for role in ("group", "id"):
        for name in table.names(role):
            column = table.frame[name]
            codes = column.rank("dense").fill_null(0).to_numpy().astype(np.intp) - 1
            known = codes[codes >= 0]
            if len(known) == 0 or len(np.unique(known)) == len(known):
                continue
            in_folds, judged, in_holdout, held = _crossing(codes, split)
            if max(in_folds, in_holdout) == 0:
                continue
            # Along time an entity that was seen before is what the model will meet, if new ones are not the question.
            severity = "problem" if not ordered else "warning" if role == "group" else "info"
            where = (
                f"{in_holdout:,} of {held:,} holdout rows" if in_holdout else f"{in_folds:,} of {judged:,} fold rows"
            )
            yield Leak(
                "entities",
                severity,  # type: ignore[arg-type]
                f"{where} have a value of {name!r} that rows learned from have too: the same entity on both sides",
                column=name,
                remedy=f"splitter=group data.columns.{name}.role=group",
            )


def _overlap(table: Table, split: Split, target: Array, task: str) -> Iterator[Leak]:
    name = _time_of(table)
    assert name is not None
    times = table.frame[name].to_physical().fill_null(0).to_numpy()
    learned, judged = (split.development, split.holdout) if len(split.holdout) else split.folds[-1]
    share = float((times[judged] < times[learned].max()).mean())
    lift = alike_in_time(times, target, task)
    what = "holdout rows" if len(split.holdout) else "rows of the last fold"
    declared = bool(table.names("time"))
    yield Leak(
        "time_overlap",
        "problem" if lift >= ALIKE and declared else "warning",
        f"{share:.0%} of the {what} lie before the latest row learned from ({name!r}), and rows near each other in time "
        f"{'are alike' if lift >= ALIKE else 'are hardly alike'} (the neighbour's target is {lift:.0%} better than a guess)",
        column=name,
        remedy="splitter=time" if declared else f"splitter=time data.columns.{name}.role=time",
    )
