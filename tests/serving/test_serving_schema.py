from __future__ import annotations

import datetime as dt
import json
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_bench import DTYPES, ROW, RULES, records

from mlframe.errors import BundleError
from mlframe.serving.fields import Field, Unfit
from mlframe.serving.messages import FAULTS_SHOWN, RequestError
from mlframe.serving.schema import Schema

MOMENT = dt.datetime(2024, 5, 1, 10, 30)


def faults(error: pytest.ExceptionInfo[RequestError]) -> dict[str, tuple[str, str]]:
    return {fault["field"]: (fault["expected"], fault["found"]) for fault in error.value.details}


def test_a_good_row_becomes_columns_of_the_pipelines_types(schema):
    columns = schema.rows([ROW])
    assert columns == {key: [value] for key, value in ROW.items()} | {
        "born": [dt.date(1980, 2, 29)],
        "seen": [MOMENT],
    }
    assert type(schema.rows([ROW | {"amount": 3}])["amount"][0]) is float
    assert type(schema.rows([ROW | {"count": 3.0}])["count"][0]) is int


def test_null_is_a_missing_value_where_the_rules_allow_it(schema):
    row = dict.fromkeys(ROW) | {"amount": 1.0}
    assert schema.rows([row]) == {name: [value] for name, value in row.items()}
    with pytest.raises(RequestError) as error:
        schema.rows([ROW | {"amount": None}])
    assert faults(error) == {"amount": ("a number, at least 0, at most 1000000.0", "null")}
    assert error.value.status == 422


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("amount", "12", "'12'"),
        ("amount", True, "true"),
        ("amount", math.nan, "nan"),
        ("amount", math.inf, "inf"),
        ("amount", -0.01, "-0.01"),
        ("amount", 10**400, "a whole number of 1329 bits"),
        ("ratio", 1e39, "1e+39"),
        ("count", 3.5, "3.5"),
        ("count", -1, "-1"),
        ("count", 1 << 63, str(1 << 63)),
        ("small", 128, "128"),
        ("small", -129, "-129"),
        ("big", -1, "-1"),
        ("big", 1 << 64, str(1 << 64)),
        ("member", 1, "1"),
        ("member", "true", "'true'"),
        ("plan", "gold", "'gold'"),
        ("plan", ["pro"], "a list of 1"),
        ("plan", {"a": 1}, "an object of 1 keys"),
        ("code", "50DE", "'50DE'"),
        ("code", "x" * 100, f"'{'x' * 60}'… (100 characters)"),
        ("born", "1900-01-01", "'1900-01-01'"),
        ("born", "1980-02-30", "'1980-02-30'"),
        ("born", 19800229, "19800229"),
        ("seen", "2031-01-01", "'2031-01-01'"),
        ("seen", "0001-01-01T00:00:00+14:00", "'0001-01-01T00:00:00+14:00'"),
        ("seen", "yesterday", "'yesterday'"),
        ("city", 5, "a number"),
        ("city", {"street": "x"}, "an object of 1 keys"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_what_was_expected(schema, name, value, found):
    with pytest.raises(RequestError) as error:
        schema.rows([ROW, ROW | {name: value}])
    assert error.value.details == [{"row": 1, "field": name, "expected": schema.fields[name].expected, "found": found}]
    with pytest.raises(RequestError) as error:
        schema.lists({key: [value if key == name else good] for key, good in ROW.items()}, 1)
    assert list(faults(error)) == [name]


def test_missing_and_unknown_keys_are_named_with_a_near_match(schema):
    row = dict(ROW)
    del row["amount"]
    with pytest.raises(RequestError) as error:
        schema.rows([row | {"amuont": 12.5}])
    assert faults(error) == {
        "amount": (schema.fields["amount"].expected, "no such key"),
        "amuont": ("no such field (did you mean 'amount'?)", "a field of this name"),
    }
    with pytest.raises(RequestError) as error:
        schema.rows([ROW, 5, None, [ROW]])
    assert [fault["row"] for fault in error.value.details] == [1, 2, 3]


def test_a_private_columns_value_never_comes_back(schema):
    secret = "s3cret" * 20
    for value in (secret.encode().hex().__len__(), [secret], {secret: 1}, True):
        with pytest.raises(RequestError) as error:
            schema.rows([ROW | {"city": value}])
        assert "s3cret" not in json.dumps(error.value.details) + error.value.line()
    strict = Schema(records({"city": "String"}, private=("city",)), {"city": {"allowed": ["Bonn"]}})
    with pytest.raises(RequestError) as error:
        strict.rows([{"city": secret}])
    assert faults(error)["city"][1] == "a text of 120 characters"


def test_of_many_faults_the_first_are_told_and_the_rest_counted(schema):
    with pytest.raises(RequestError) as error:
        schema.rows([ROW | {"amount": -1, "small": 1000}] * 300)
    assert len(error.value.details) == FAULTS_SHOWN
    assert error.value.more == 600 - FAULTS_SHOWN
    assert [(fault["row"], fault["field"]) for fault in error.value.details[:3]] == [
        (0, "amount"),
        (0, "small"),
        (1, "amount"),
    ]
    assert error.value.line().endswith("and 595 more")


def test_rows_are_limited_and_none_are_none():
    schema = Schema(records(DTYPES), RULES, most=2)
    for rows, status in (([], 422), ([ROW] * 3, 413)):
        with pytest.raises(RequestError) as error:
            schema.rows(rows)
        assert error.value.status == status
        with pytest.raises(RequestError) as error:
            schema.lists({name: [row[name] for row in rows] for name in ROW}, len(rows))
        assert error.value.status == status


def test_a_frame_gives_what_its_rows_would(schema, frame):
    found = schema.frame(frame)
    rows = frame.with_columns(pl.col("seen").dt.to_string("iso:strict"), pl.col("born").cast(pl.String)).to_dicts()
    assert {name: list(values) for name, values in found.items()} == schema.rows(rows)
    whole = schema.frame(
        frame.head(1).with_columns(pl.col("count").cast(pl.Float32), pl.col("plan").cast(pl.Categorical))
    )
    assert isinstance(whole["count"], np.ndarray)
    assert whole["count"].dtype == np.int64
    with pytest.raises(RequestError) as error:
        schema.frame(frame.with_columns(pl.col("amount") * -1, pl.lit(2.5).alias("count")))
    assert {fault["field"] for fault in error.value.details} == {"amount", "count"}


def test_texts_are_read_by_the_columns_type(schema, frame):
    texts = frame.with_columns(pl.col("seen").dt.to_string("iso:strict")).select(pl.all().cast(pl.String))
    found = schema.texts(texts)
    assert {name: list(values) for name, values in found.items()} == {
        name: list(values) for name, values in schema.frame(frame).items()
    }
    bad = texts.with_columns(pl.lit("1e").alias("amount"), pl.lit("ja").alias("member"), pl.lit("3.0").alias("count"))
    with pytest.raises(RequestError) as error:
        schema.texts(bad)
    assert faults(error)["amount"][1] == "'1e'"
    assert faults(error)["member"][1] == "'ja'"
    assert set(faults(error)) == {"amount", "member"}


def test_arrays_and_lists_agree():
    values = {
        "Float64": [0.0, 1e308, -1.0, 1e7],
        "Float32": [0.0, 3e38, 1e39],
        "Int8": [0, 127, -128, 128, -129, 3.0, 3.5],
        "UInt64": [0, -1, 1 << 63, (1 << 64) - 1],
        "Int64": [0, (1 << 63) - 1, -(1 << 63), 1 << 63, 9.3e18, 0.5],
    }
    rules = ({}, {"min": 0, "max": 100}, {"above": 0}, {"below": 5}, {"allowed": [0, 1]}, {"forbidden": [0]})
    for dtype, items in values.items():
        for rule in rules:
            field = Field({"name": "x", "dtype": dtype}, rule)
            for item in items:
                array = np.array([item], dtype=np.uint64 if type(item) is int and item >= 1 << 63 else None)
                try:
                    expected = field.one(item)
                except Unfit:
                    assert field.numbers(array) is None, (dtype, rule, item)
                else:
                    assert field.numbers(array).tolist() == [expected], (dtype, rule, item)


def test_a_pattern_is_asked_in_time_that_grows_with_the_text_only():
    schema = Schema(records({"x": "String"}), {"x": {"pattern": "(a+)+$"}})
    with pytest.raises(RequestError):
        schema.rows([{"x": "a" * 5000 + "b"}])  # years, with an engine that tries every way
    assert schema.rows([{"x": "aaa"}]) == {"x": ["aaa"]}
    with pytest.raises(RequestError):
        schema.rows([{"x": "aaa\n"}])


def test_every_example_is_a_good_row_and_private_values_are_made_up(schema):
    made = schema.example()
    schema.rows([made])
    assert made["city"] == "text"
    assert made["code"] == "DE50"
    bare = Schema(records({name: dtype for name, dtype in DTYPES.items() if name != "code"}), RULES)
    bare.rows([bare.example()])


def test_a_type_that_no_request_can_hold_is_refused():
    with pytest.raises(BundleError, match="no request can hold"):
        Schema(records({"x": "Duration(time_unit='us')"}))


def test_the_bundle_gives_rules_and_examples(tmp_path, frame):
    columns = records(DTYPES, private=("city",))
    (tmp_path / "schema.json").write_text(json.dumps({"rules": RULES}))
    frame.with_columns(pl.col("seen").dt.replace_time_zone(None)).write_ipc(tmp_path / "examples.arrow")
    schema = Schema.load(tmp_path, columns)
    assert len(schema.examples) == 2
    assert schema.examples[0]["seen"].startswith("2024-05-01T10:30:00")
    schema.rows(schema.examples)
    with pytest.raises(RequestError):
        schema.rows([ROW | {"plan": "gold"}])
    (tmp_path / "schema.json").unlink()  # bundles of older versions have none
    assert Schema.load(tmp_path, columns).rows([ROW | {"plan": "gold"}])


@given(st.floats() | st.integers() | st.text() | st.booleans() | st.none() | st.lists(st.integers(), max_size=2))
def test_a_value_is_taken_or_refused_and_what_is_taken_has_the_type(value):
    for dtype, kind in (("Float64", float), ("Int16", int), ("Boolean", bool), ("String", str)):
        field = Field({"name": "x", "dtype": dtype})
        try:
            made = field.one(value)
        except Unfit:
            assert isinstance(field.found(value), str)
            continue
        assert made is None or type(made) is kind
        assert made is None or made == value or dtype == "Float64"
        assert not (isinstance(made, float) and not math.isfinite(made))


@given(st.datetimes(timezones=st.timezones()))
def test_times_with_a_zone_become_utc(moment):
    field = Field({"name": "x", "dtype": "Datetime(time_unit='us', time_zone='UTC')"})
    try:
        wanted = moment.astimezone(dt.UTC).replace(tzinfo=None)
    except OverflowError:
        with pytest.raises(Unfit):
            field.one(moment.isoformat())
    else:
        assert abs(field.one(moment.isoformat()) - wanted) < dt.timedelta(seconds=1)
