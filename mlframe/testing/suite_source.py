"""Conformance of a source (hook `mlframe_sources`)."""

# ruff: noqa: D102 (a test's name is its documentation)

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mlframe.contracts import Source
from mlframe.registry import Registered, Registry
from mlframe.table import ROW, to_polars
from mlframe.testing.suite import Suite

__all__ = ["SourceSuite"]


class SourceSuite(Suite):
    """A source reads the same rows twice and tells cheaply whether they changed.

    Override `component` and `change`.
    """

    group = "data/source"

    @pytest.fixture
    def change(self) -> Callable[[], object] | None:
        """Return a function that changes the data behind the source; None says that the data can never change."""
        raise NotImplementedError(f"{type(self).__name__} must override the fixture 'change'")

    @pytest.fixture
    def make(self, registry: Registry, item: Registered, node: dict[str, Any]) -> Callable[[], Source]:
        """Give a function that builds the source anew."""
        return lambda: registry.create(self.group, node)

    def test_it_is_a_source(self, make: Callable[[], Source]) -> None:
        assert isinstance(make(), Source)

    def test_rows_and_unique_columns(self, make: Callable[[], Source]) -> None:
        frame = to_polars(make().read())
        assert frame.height > 0
        assert frame.width > 0
        assert ROW not in frame.columns, f"{ROW} is reserved"
        assert all(name.strip() for name in frame.columns)

    def test_reading_twice_gives_equal_rows(self, make: Callable[[], Source]) -> None:
        source = make()
        first = to_polars(source.read())
        assert_frame_equal(first, to_polars(source.read()))
        assert_frame_equal(first, to_polars(make().read()))

    def test_fingerprint_is_stable(self, make: Callable[[], Source]) -> None:
        source = make()
        mark = source.fingerprint()
        assert isinstance(mark, str)
        assert mark
        source.read()
        assert mark == source.fingerprint() == make().fingerprint()

    def test_fingerprint_reads_no_rows(self, make: Callable[[], Source], monkeypatch: pytest.MonkeyPatch) -> None:
        source = make()

        def read() -> NoReturn:
            raise AssertionError("fingerprint() called read(): it must be cheap")

        monkeypatch.setattr(source, "read", read)
        source.fingerprint()

    def test_fingerprint_changes_with_the_data(
        self, make: Callable[[], Source], change: Callable[[], object] | None
    ) -> None:
        before = make()
        mark, rows = before.fingerprint(), to_polars(before.read())
        if change is None:
            assert before.fingerprint() == mark
            return
        change()
        assert make().fingerprint() != mark, "the data changed, the fingerprint did not"
        assert not rows.equals(to_polars(make().read())), "the fixture 'change' must change what is read"

    def test_sample_is_the_beginning(self, make: Callable[[], Source]) -> None:
        source = make()
        whole = to_polars(source.read())
        part = to_polars(source.sample(3))
        assert part.columns == whole.columns
        assert part.height <= whole.height
        assert part.height >= min(3, whole.height)
        assert_frame_equal(part.head(3), whole.head(3), check_dtypes=False)
        assert _kinds(part) == _kinds(whole), "a sample must not change what a column is"


def _kinds(frame: pl.DataFrame) -> list[str]:
    return [
        "number" if dtype.is_numeric() else "time" if dtype.is_temporal() else "other"
        for name, dtype in frame.schema.items()
        if frame[name].null_count() < frame.height
    ]
