"""Conformance of a labeler (hook `mlframe_labelers`)."""

# ruff: noqa: D102 (a test's name is its documentation)

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mlframe.contracts import TASKS, Labeler, Labels
from mlframe.registry import Registered, Registry
from mlframe.table import Table
from mlframe.testing.data import make_table
from mlframe.testing.suite import Suite

__all__ = ["LabelerSuite"]


class LabelerSuite(Suite):
    """A labeler gives one label a row, in the table's order.

    Override `component`, and `table` where the labeler needs its own.
    """

    group = "labeler"

    @pytest.fixture(params=TASKS)
    def table(self, request: pytest.FixtureRequest) -> Table:
        """Return rows that can be labelled."""
        return make_table(task=request.param)

    @pytest.fixture
    def labeler(self, registry: Registry, item: Registered, node: dict[str, Any]) -> Labeler:
        """Give the labeler."""
        made = registry.create(self.group, node)
        assert isinstance(made, Labeler)
        return made

    def test_one_label_a_row_in_order(self, labeler: Labeler, table: Table) -> None:
        before = table.frame.clone()
        frame = _labels(labeler, table)
        assert frame["row_id"].to_list() == table.row_ids.tolist()
        assert frame["label_source"].null_count() == 0
        assert all(frame["label_source"].str.len_chars() > 0)
        assert frame["weight"].is_finite().all()
        assert (frame["weight"] >= 0).all()
        assert frame["target"].null_count() < frame.height, "nothing was labelled"
        assert_frame_equal(table.frame, before)

    def test_labels_follow_the_rows(self, labeler: Labeler, table: Table) -> None:
        order = np.random.default_rng(0).permutation(len(table))
        assert_frame_equal(_labels(labeler, table)[order], _labels(labeler, table.take(order)))

    def test_labelling_twice_gives_equal_labels(self, labeler: Labeler, table: Table) -> None:
        assert_frame_equal(_labels(labeler, table), _labels(labeler, table))


def _labels(labeler: Labeler, table: Table) -> pl.DataFrame:
    labels = labeler.label(table)
    assert isinstance(labels, Labels)
    frame = labels.frame
    assert frame.columns == ["row_id", "target", "label_source", "weight"]
    assert frame.schema["row_id"] == pl.UInt32
    assert frame.schema["label_source"] == pl.String
    assert frame.schema["weight"] == pl.Float64
    return frame
