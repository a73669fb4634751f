from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import numpy as np
import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlframe.errors import ConfigError, Problems
from mlframe.table import ROW, Table, describe_columns
from mlframe.validators.pandera import PanderaValidator, SchemaValidator


def table(frame: pl.DataFrame, **roles: str) -> Table:
    declared = {name: {"role": role} for name, role in roles.items()}
    numbered = frame.with_row_index(ROW, offset=100)
    return Table(numbered, describe_columns(numbered, declared))


def failures(schema: dict[str, Any] | None, data: Table, *, labelled: bool = True, **kw: Any) -> list[tuple[Any, ...]]:
    found = SchemaValidator(schema, **kw).validate(data, labelled=labelled).failures
    assert found.schema == {"row": pl.UInt32, "column": pl.String, "check": pl.String, "value": pl.String}
    return sorted(found.rows(), key=str)


FRAME = pl.DataFrame(
    {
        "a": [1, 2, None, -5],
        "b": ["x", "yy", "z", "x"],
        "c": [1.0, float("nan"), float("inf"), None],
        "t": [datetime(2024, 1, day) for day in (1, 2, 3, 4)],
    }
)


def test_every_failure_is_reported_with_row_column_check_and_value() -> None:
    schema = {
        "columns": {
            "a": {"dtype": "int", "checks": {"ge": 0}},
            "b": {"dtype": "string", "unique": True, "checks": {"isin": ["x", "z"], "str_length_max": 1}},
            "c": {"dtype": "float", "nullable": True, "checks": {"finite": True}},
            "t": {"dtype": "datetime", "checks": {"lt": "2024-01-04"}},
            "gone": {"dtype": "int"},
        }
    }
    assert failures(schema, table(FRAME)) == sorted(
        [
            (102, "a", "not null", None),
            (103, "a", "ge(0)", "-5"),
            (100, "b", "unique", "x"),
            (103, "b", "unique", "x"),
            (101, "b", "isin(['x', 'z'])", "yy"),
            (101, "b", "str_length_max(1)", "yy"),
            (101, "c", "finite", "NaN"),
            (102, "c", "finite", "inf"),
            (103, "t", "lt(2024-01-04)", "2024-01-04 00:00:00.000000"),
            (None, "gone", "column is missing", "gone"),
        ],
        key=str,
    )


def test_a_wrong_type_is_one_failure_of_the_column() -> None:
    found = failures({"columns": {"b": {"dtype": "int", "unique": True, "checks": {"ge": 0}}}}, table(FRAME))
    assert found == [(None, "b", "dtype('Int64')", "String")]


def test_types_are_families() -> None:
    frame = pl.DataFrame(
        {
            "i": pl.Series([1, 2], dtype=pl.UInt8),
            "f": pl.Series([1, 2], dtype=pl.Int64),
            "s": pl.Series(["a", "b"], dtype=pl.Categorical),
            "k": ["a", "b"],
            "t": pl.Series([datetime(2024, 1, 1)] * 2, dtype=pl.Datetime("ns", "UTC")),
            "n": [None, None],
            "d": pl.Series([datetime(2024, 1, 1)] * 2).cast(pl.Date),
            "o": [True, False],
        }
    )
    declared = {"n": {"kind": "text"}}
    numbered = frame.with_row_index(ROW)
    data = Table(numbered, describe_columns(numbered, declared))
    types = {"i": "int", "f": "float", "s": "string", "k": "category", "t": "datetime", "d": "date", "o": "bool"}
    schema: dict[str, Any] = {"columns": {name: {"dtype": dtype} for name, dtype in types.items()}}
    schema["columns"]["n"] = {"dtype": "int", "nullable": True, "checks": {"ge": 0}}
    schema["columns"]["s"]["checks"] = {"isin": ["a", "b"], "str_matches": "[ab]$", "notin": ["c"]}
    schema["columns"]["t"]["checks"] = {"ge": "2024-01-01", "le": "2024-01-01 12:00:00"}
    schema["columns"]["d"]["checks"] = {"ge": "2024-01-01"}
    assert failures(schema, data) == []
    schema["columns"]["n"]["nullable"] = False
    assert [row[:3] for row in failures(schema, data)] == [(0, "n", "not null"), (1, "n", "not null")]


def test_strict_min_rows_and_unique_together() -> None:
    frame = pl.DataFrame({"a": [1, 1, 1], "b": ["x", "y", "x"]})
    schema = {"strict": True, "min_rows": 4, "unique": ["a", "b"], "columns": {"a": {}}}
    assert failures(schema, table(frame)) == sorted(
        [
            (None, None, "min_rows(4)", "3"),
            (None, "b", "column is not in the schema", "b"),
            (100, "a, b", "unique together", '{"a":1,"b":"x"}'),
            (102, "a, b", "unique together", '{"a":1,"b":"x"}'),
        ],
        key=str,
    )
    assert failures({"unique": ["zz"]}, table(frame)) == [
        (None, "zz", "column is missing", "named in data.schema.unique")
    ]


def test_rows_to_be_predicted_need_no_target_and_no_weight() -> None:
    schema = {
        "strict": True,
        "min_rows": 50,
        "columns": {"a": {"dtype": "int", "nullable": True}, "y": {"dtype": "string"}, "w": {"dtype": "float"}},
    }
    columns = {"y": {"role": "target"}, "w": {"role": "weight"}, "a": None}
    assert failures(schema, table(FRAME.select("a")), labelled=False, columns=columns) == []
    with_null = FRAME.select("a", y=pl.lit(None, dtype=pl.String))
    assert failures(schema, table(with_null, y="target"), labelled=False, columns=columns) == []
    missing = {row[1] for row in failures(schema, table(FRAME.select("a")), columns=columns)}
    assert missing == {"y", "w", None}


def test_no_schema_checks_nothing() -> None:
    assert failures(None, table(FRAME)) == []


@pytest.mark.parametrize("policy", ["fail", "drop", "quarantine"])
def test_the_policy_is_passed_on(policy: Any) -> None:
    assert SchemaValidator(None, policy).validate(table(FRAME), labelled=True).policy == policy


def test_every_mistake_in_a_schema_is_shown_at_once() -> None:
    schema = {
        "stric": True,
        "columns": {
            "a": {"dtyp": "int", "checks": {"gee": 0, "ge": [1], "str_matches": "("}},
            "b": {"dtype": "integer"},
        },
    }
    with pytest.raises(Problems) as caught:
        SchemaValidator(schema)
    text = str(caught.value)
    assert len(caught.value.errors) == 6
    for told in (
        "'strict'",
        "'dtype'",
        "'ge'",
        "ge needs a number",
        "regular expression",
        "There is no type 'integer'",
    ):
        assert told in text
    with pytest.raises(ConfigError, match=r"data\.schema\.columns\.b\.nullable"):
        SchemaValidator({"columns": {"b": {"nullable": "yes"}}})
    with pytest.raises(ConfigError, match="no such policy"):
        SchemaValidator(None, "skip")  # type: ignore[arg-type]


class Orders(pa.DataFrameModel):
    amount: float = pa.Field(gt=0)
    kind: str = pa.Field(isin=["a", "b"])
    label: str


def test_a_class_of_ones_own_is_used() -> None:
    data = table(pl.DataFrame({"amount": [1.0, -1.0], "kind": ["a", "c"], "label": ["p", "q"]}), label="target")
    found = PanderaValidator(Orders, "drop").validate(data, labelled=True)
    assert found.policy == "drop"
    assert found.failures.select("row", "column", "value").rows() == [(101, "amount", "-1.0"), (101, "kind", "c")]
    bare = table(data.frame.drop(ROW, "label"))
    columns = {"label": {"role": "target"}}
    assert PanderaValidator(Orders, columns=columns).validate(bare, labelled=False).failures.height == 2
    assert PanderaValidator(Orders).validate(bare, labelled=True).failures.height == 3


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.one_of(st.none(), st.integers(-10, 10)), min_size=1, max_size=30),
    low=st.integers(-10, 10),
    nullable=st.booleans(),
)
def test_exactly_the_bad_rows_are_named(values: list[int | None], low: int, nullable: bool) -> None:
    data = table(pl.DataFrame({"a": pl.Series(values, dtype=pl.Int64)}))
    schema = {"columns": {"a": {"dtype": "int", "nullable": nullable, "checks": {"ge": low}}}}
    expected = {100 + i for i, v in enumerate(values) if (v is None and not nullable) or (v is not None and v < low)}
    assert {row[0] for row in failures(schema, data)} == expected


def test_a_large_clean_table_is_checked_column_by_column_not_row_by_row() -> None:
    random = np.random.default_rng(0)
    frame = pl.DataFrame({f"c{i}": random.normal(size=100_000) for i in range(40)})
    schema = {"columns": {name: {"dtype": "float", "checks": {"ge": -99, "finite": True}} for name in frame.columns}}
    data = table(frame)
    start = time.perf_counter()
    assert failures(schema, data) == []
    assert time.perf_counter() - start < 10  # a check a row in Python takes minutes
