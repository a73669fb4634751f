"""The featurizer `text` keeps the contract with two texts; `tests/testing/test_conformance.py` holds every built-in to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlframe.table import Table
from mlframe.testing import FeaturizerSuite, make_table


class TestText(FeaturizerSuite):
    @pytest.fixture
    def component(self) -> str:
        return "text"

    @pytest.fixture
    def table(self) -> Table:
        table = make_table()
        # The suite empties the first feature column; a second text column is left then.
        frame = table.frame.with_columns(colour=table.frame["note"].str.to_uppercase())
        kinds = tuple(replace(c, kind="text") if c.name == "colour" else c for c in table.columns)
        return Table(frame, kinds)
