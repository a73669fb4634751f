"""Conformance of an explorer (hook `mlframe_explorers`)."""

# ruff: noqa: D102 (a test's name is its documentation)

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mlframe.contracts import TASKS, Exploration, Explorer, Finding
from mlframe.registry import Registered, Registry
from mlframe.table import Table
from mlframe.testing.checks import check_charts
from mlframe.testing.data import make_table
from mlframe.testing.suite import Suite

__all__ = ["ExplorerSuite"]


class ExplorerSuite(Suite):
    """An explorer tells what a person should know, the same at every look. Override `component`."""

    group = "explorer"

    @pytest.fixture
    def explorer(self, registry: Registry, item: Registered, node: dict[str, Any]) -> Explorer:
        """Give the explorer."""
        made = registry.create(self.group, node)
        assert isinstance(made, Explorer)
        return made

    @pytest.mark.parametrize("task", TASKS)
    def test_findings_and_pictures(self, explorer: Explorer, task: str) -> None:
        table = make_table(task=task)
        before = table.frame.clone()
        found = _explore(explorer, table, task)
        check_charts(found.charts)
        assert all(name.strip() for name in found.tables)
        assert_frame_equal(table.frame, before)

    def test_two_looks_tell_the_same(self, explorer: Explorer) -> None:
        first, second = (_explore(explorer, make_table(), "binary") for _ in range(2))
        assert list(first.findings) == list(second.findings)
        assert [chart.svg for chart in first.charts] == [chart.svg for chart in second.charts]

    @pytest.mark.parametrize("task", TASKS)
    def test_empty_and_constant_columns(self, explorer: Explorer, task: str) -> None:
        table = make_table(task=task)
        frame = table.frame.with_columns(
            pl.lit(None, pl.Float64).alias("amount"), pl.lit("same").alias("colour"), pl.lit("").alias("note")
        )
        check_charts(_explore(explorer, table.with_frame(frame), task).charts)

    def test_few_rows(self, explorer: Explorer) -> None:
        _explore(explorer, make_table(5), "binary")


def _explore(explorer: Explorer, table: Table, task: str) -> Exploration:
    found = explorer.explore(table, table.frame["label"], task)
    assert isinstance(found, Exploration)
    names = {column.name for column in table.columns}
    for finding in found.findings:
        assert isinstance(finding, Finding)
        assert finding.severity in ("info", "warning", "problem")
        assert finding.text.strip()
        assert finding.column is None or finding.column in names
    return found
