from datetime import date, datetime

import narwhals as nw
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlframe.errors import DataError, UnknownNameError
from mlframe.table import KINDS, ROLES, ROW, Column, Table, columns_from_records, describe_columns, to_polars


def make(**columns):
    frame = pl.DataFrame({ROW: pl.Series(range(len(next(iter(columns.values())))), dtype=pl.UInt32), **columns})
    return frame


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "numeric"),
        ([1.5, None], "numeric"),
        ([True, None], "boolean"),
        ([date(2024, 1, 1), None], "datetime"),
        ([datetime(2024, 1, 1), None], "datetime"),
        (["red", "blue"], "categorical"),
        (["one two three four", "five six seven eight"], "text"),
        (["one two three four"] * 3, "categorical"),
        (pl.Series([None, None], dtype=pl.String), "categorical"),
        (pl.Series(["a", "b"], dtype=pl.Categorical), "categorical"),
        (pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"])), "categorical"),
    ],
)
def test_kinds_are_inferred_by_the_documented_rule(values, kind):
    (column,) = describe_columns(make(x=values), {})
    assert (column.kind, column.inferred, column.role) == (kind, True, "feature")


def test_declared_columns_win():
    frame = make(a=[1, 2], b=["x", "y"])
    columns = describe_columns(frame, {"a": {"kind": "categorical", "tags": ["pii"]}, "b": {"role": "target"}})
    assert columns[0] == Column("a", "feature", "categorical", ("pii",), "Int64", False)
    assert columns[1].role == "target"
    assert describe_columns(frame, {"a": None})[0].kind == "numeric"


def test_absent_columns_are_all_named():
    with pytest.raises(DataError, match=r"no column 'amont', 'zzz'") as caught:
        describe_columns(make(amount=[1]), {"amont": {}, "zzz": {}})
    assert "did you mean 'amount'" in str(caught.value)


@pytest.mark.parametrize("spec", [{"role": "featur"}, {"kind": "numric"}])
def test_unknown_role_or_kind_shows_near_matches(spec):
    with pytest.raises(UnknownNameError, match="did you mean"):
        describe_columns(make(a=[1]), {"a": spec})


def test_a_type_that_no_kind_covers_is_refused():
    with pytest.raises(DataError, match="List"):
        describe_columns(make(a=[[1], [2]]), {})


def test_one_column_a_role():
    table = Table(make(a=[1], b=[2]), describe_columns(make(a=[1], b=[2]), {"a": {"role": "id"}, "b": {"role": "id"}}))
    with pytest.raises(DataError, match="2 columns have the role 'id'"):
        table.one("id")
    assert table.one("target") is None
    assert table.names("id") == ["a", "b"]


@given(st.lists(st.integers(0, 19), max_size=30))
def test_take_follows_positions_and_keeps_row_numbers(rows):
    table = Table(make(a=list(range(100, 120))), ())
    taken = table.take(np.array(rows, dtype=np.intp))
    assert taken.row_ids.tolist() == rows
    assert taken.frame["a"].to_list() == [100 + row for row in rows]
    assert len(taken) == len(rows)


@given(st.sampled_from(ROLES), st.sampled_from(KINDS), st.lists(st.text(), max_size=3), st.text(min_size=1))
def test_columns_survive_json(role, kind, tags, name):
    column = Column(name, role, kind, tuple(tags), "String", False)
    assert columns_from_records(Table(pl.DataFrame(), (column,)).column_records()) == (column,)


def test_any_frame_becomes_polars(tiny_table):
    frame = tiny_table.frame.select("amount", "colour")
    pandas = frame.to_pandas(use_pyarrow_extension_array=False) if _has("pyarrow") else None
    for native in (frame, frame.lazy(), nw.from_native(frame).to_native(), *([] if pandas is None else [pandas])):
        assert to_polars(native)["amount"].to_list() == frame["amount"].to_list()


def test_what_is_no_frame_is_refused():
    with pytest.raises(DataError, match="gave a dict"):
        to_polars({"a": [1]})


def _has(name):
    import importlib.util

    return importlib.util.find_spec(name) is not None
