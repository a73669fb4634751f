"""Every built-in featurizer keeps the contract."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlframe.table import Table
from mlframe.testing import FeaturizerSuite, make_table


class TestAuto(FeaturizerSuite):
    @pytest.fixture
    def component(self) -> str:
        return "auto"


class TestLinear(FeaturizerSuite):
    @pytest.fixture
    def component(self) -> str:
        return "linear"


class TestTree(FeaturizerSuite):
    @pytest.fixture
    def component(self) -> str:
        return "tree"


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


class TestNone(FeaturizerSuite):
    @pytest.fixture
    def component(self) -> str:
        return "none"

    @pytest.fixture
    def table(self) -> Table:
        table = make_table()
        kept = [c for c in table.columns if c.role != "feature" or c.kind in ("numeric", "boolean")]
        return Table(table.frame.select("__row__", *(c.name for c in kept)), tuple(kept))
