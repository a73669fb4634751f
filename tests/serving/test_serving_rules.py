"""What the validators ask of a table's values is what the server asks of a request's."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_bench import records

from mlframe.contracts import Validator
from mlframe.serving.messages import RequestError
from mlframe.serving.schema import Schema
from mlframe.steps.register import STRICTER
from mlframe.table import ROW, Table, describe_columns
from mlframe.validators.pandera import SchemaValidator

COLUMNS = {
    "count": {"dtype": "int", "nullable": True, "checks": {"ge": -3, "lt": 7, "notin": [0]}},
    "size": {"dtype": "float", "nullable": False, "checks": {"gt": -1.5, "le": 4, "finite": True}},
    "flag": {"dtype": "int", "checks": {"isin": [0, 1]}},
    "word": {"dtype": "string", "nullable": True, "checks": {"str_matches": "[a-c]+$", "str_length_max": 4}},
    "name": {"dtype": "category", "checks": {"isin": ["x", "y"], "str_length_min": 1}},
    "seen": {"dtype": "datetime", "nullable": True, "checks": {"ge": "2024-01-02", "lt": "2024-01-04T12:00:00"}},
    "day": {"dtype": "date", "checks": {"gt": "2024-01-01"}},
    "free": {},
}
DTYPES = {
    "count": pl.Int64,
    "size": pl.Float64,
    "flag": pl.Int64,
    "word": pl.String,
    "name": pl.String,
    "seen": pl.Datetime("us"),
    "day": pl.Date,
    "free": pl.Float64,
}
DAYS = st.integers(0, 6).map(lambda days: dt.datetime(2024, 1, 1) + dt.timedelta(days=days, hours=9))
ROWS = st.fixed_dictionaries(
    {
        "count": st.none() | st.integers(-5, 8),
        "size": st.none() | st.sampled_from([-1.5, -1.0, 4.0, 4.1, 0.0]),
        "flag": st.none() | st.integers(-1, 2),
        "word": st.none() | st.sampled_from(["a", "abc", "abcab", "ad", "ca\n", "", "da"]),
        "name": st.none() | st.sampled_from(["x", "y", "z", ""]),
        "seen": st.none() | DAYS,
        "day": st.none() | DAYS.map(dt.datetime.date),
        "free": st.none() | st.just(1.0),
    }
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=6))
def test_the_server_refuses_the_rows_that_the_validator_refuses(rows):
    validator = SchemaValidator({"columns": COLUMNS})
    frame = pl.DataFrame(rows, schema=DTYPES).with_row_index(ROW)
    table = Table(frame, describe_columns(frame, {"word": {"kind": "categorical"}}))
    found = {
        (row, name) for row, name in validator.validate(table, labelled=False).failures.select("row", "column").rows()
    }
    schema = Schema(records({name: str(dtype) for name, dtype in frame.drop(ROW).schema.items()}), validator.rules())
    asked = [{n: v.isoformat() if isinstance(v, dt.date) else v for n, v in row.items()} for row in rows]
    refused = []
    try:
        schema.rows(asked)
    except RequestError as error:
        refused = error.details
    assert {(fault["row"], fault["field"]) for fault in refused} == found


def test_a_validator_without_such_rules_has_none():
    class Own(Validator):
        def validate(self, table, *, labelled):
            raise NotImplementedError

    assert Own().rules() == {}
    assert SchemaValidator(None).rules() == {}


@pytest.mark.parametrize(
    ("word", "one", "other", "wanted"),
    [
        ("nullable", True, False, False),
        ("min", 1, 2, 2),
        ("above", 1, 2, 2),
        ("max", 1, 2, 1),
        ("below", 1, 2, 1),
        ("min_length", 1, 2, 2),
        ("max_length", 1, 2, 1),
        ("allowed", ["a", "b"], ["b", "c"], ["b"]),
        ("forbidden", ["a", "b"], ["b", "c"], ["a", "b", "c"]),
        ("pattern", "a", "b", "b"),
    ],
)
def test_of_two_validators_the_stricter_word_counts(word, one, other, wanted):
    assert STRICTER[word](one, other) == wanted
