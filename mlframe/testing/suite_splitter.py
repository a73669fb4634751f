"""Conformance of a splitter (hook `mlframe_splitters`)."""

# ruff: noqa: D102 (a test's name is its documentation)

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from polars.testing import assert_frame_equal

from mlframe.contracts import TASKS, Split, Splitter
from mlframe.registry import Registered, Registry
from mlframe.table import Table
from mlframe.testing.data import make_table, make_target
from mlframe.testing.suite import Suite

__all__ = ["SplitterSuite"]

ROWS = 200


class SplitterSuite(Suite):
    """A splitter never lets a row judge what it taught. Override `component`."""

    group = "splitter"
    tasks: ClassVar[tuple[str, ...]] = TASKS
    """Learning tasks that the splitter is for."""
    gaps: ClassVar[bool] = False
    """Whether rows may be left out of both development and holdout (a gap in time)."""

    @pytest.fixture
    def make(self, registry: Registry, item: Registered, node: dict[str, Any]) -> Callable[[], Splitter]:
        """Give a function that builds the splitter anew."""
        return lambda: registry.create(self.group, node)

    @pytest.fixture(params=TASKS)
    def case(self, request: pytest.FixtureRequest) -> tuple[Table, Any, str]:
        """Give rows, target and task; a task that the splitter is not for is replaced by one that it is for."""
        task = request.param if request.param in self.tasks else self.tasks[0]
        table = make_table(ROWS, task)
        return table, make_target(table, task), task

    def test_positions_are_proper(self, make: Callable[[], Splitter], case: tuple[Table, Any, str]) -> None:
        table, target, task = case
        before, wanted = table.frame.clone(), target.copy()
        splitter = make()
        assert isinstance(splitter, Splitter)
        split = splitter.split(table, target, task)
        assert isinstance(split, Split)
        assert len(split.folds) > 0, "there must be one fold or more"
        for part in _parts(split):
            assert part.dtype == np.intp
            assert part.ndim == 1
            assert len(np.unique(part)) == len(part), "a position stands twice"
            assert len(part) == 0 or (part.min() >= 0 and part.max() < len(table))
        assert_frame_equal(table.frame, before)
        np.testing.assert_array_equal(target, wanted)

    def test_no_row_judges_what_it_taught(self, make: Callable[[], Splitter], case: tuple[Table, Any, str]) -> None:
        split = make().split(*case)
        for train, valid in split.folds:
            assert len(train) > 0
            assert len(valid) > 0
            assert not np.intersect1d(train, valid).size, "train and valid overlap"
            assert np.isin(train, split.development).all()
            assert np.isin(valid, split.development).all()
        assert not np.intersect1d(split.holdout, split.development).size, "the holdout is learned from"

    def test_every_row_has_its_place(self, make: Callable[[], Splitter], case: tuple[Table, Any, str]) -> None:
        table, _, _ = case
        split = make().split(*case)
        covered = np.union1d(split.development, split.holdout)
        assert self.gaps or len(covered) == len(table), "rows are lost; set `gaps = True` when that is meant"
        used = np.unique(np.concatenate([np.concatenate(pair) for pair in split.folds]))
        assert self.gaps or len(used) == len(split.development), "development rows are in no fold"

    def test_equal_seeds_give_equal_cuts(self, make: Callable[[], Splitter], case: tuple[Table, Any, str]) -> None:
        splitter = make()
        first, again, other = splitter.split(*case), splitter.split(*case), make().split(*case)
        for parts in (_parts(again), _parts(other)):
            for left, right in zip(_parts(first), parts, strict=True):
                np.testing.assert_array_equal(left, right)

    @pytest.mark.parametrize("share", [0.1, 0.3])
    def test_cut_parts_the_train_rows(
        self, make: Callable[[], Splitter], case: tuple[Table, Any, str], share: float
    ) -> None:
        table, target, task = case
        rows = make().split(table, target, task).folds[-1][0]
        before = rows.copy()
        train, stop = make().cut(table, target, task, rows, share)
        assert len(train) > 0
        assert len(stop) > 0
        assert not np.intersect1d(train, stop).size, "rows that stop the training also train"
        assert np.isin(np.concatenate([train, stop]), rows).all(), "cut may only use the rows it is given"
        assert self.gaps or len(train) + len(stop) == len(rows)
        assert share / 3 <= len(stop) / len(rows) <= min(0.9, share * 3), "the second part is far from the share"
        np.testing.assert_array_equal(rows, before)
        for left, right in zip((train, stop), make().cut(table, target, task, rows, share), strict=True):
            np.testing.assert_array_equal(left, right)


def _parts(split: Split) -> list[Any]:
    return [split.holdout, split.development, *(part for pair in split.folds for part in pair)]
