from __future__ import annotations

import gzip
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlframe.errors import DataError
from mlframe.sources.json import JsonSource


def write(folder: Path, text: str | bytes, name: str) -> str:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(folder / name)


def refused(source: JsonSource) -> str:
    with pytest.raises(DataError) as caught:
        source.read()
    return str(caught.value)


def test_lines_with_missing_keys_and_nested_objects(tmp_path: Path) -> None:
    path = write(tmp_path, '{"a": 1, "who": {"name": "x", "age": 3}}\n\n{"a": 2.5}\n', "x.jsonl")
    frame = JsonSource(path).read()
    assert frame.schema == {"a": pl.Float64, "who_name": pl.String, "who_age": pl.Int64}
    assert frame.rows() == [(1.0, "x", 3), (2.5, None, None)]


def test_documents_and_a_record_path(tmp_path: Path) -> None:
    assert JsonSource(write(tmp_path, '[{"a": 1}, {"a": 2}]', "x.json")).read()["a"].to_list() == [1, 2]
    path = write(tmp_path, '{"result": {"items": [{"a": 1}]}}', "y.json")
    assert JsonSource(path, records="result.items").read().rows() == [(1,)]
    assert "did you mean 'result'?" in refused(JsonSource(path, records="results.items"))
    assert "holds an object" in refused(JsonSource(path))


def test_types_times_and_gzip(tmp_path: Path) -> None:
    text = '{"a": "7", "t": "02.01.2024", "m": 1}\n{"a": "8", "t": null, "m": "x"}\n'
    path = write(tmp_path, gzip.compress(text.encode()), "x.jsonl.gz")
    frame = JsonSource(path, types={"a": "int", "m": "string"}, times={"t": "%d.%m.%Y"}).read()
    assert frame.rows() == [(7, datetime(2024, 1, 2), "1"), (8, None, "x")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "The file is empty"),
        ("\n \n", "The file is empty"),
        ('{"a": 1}\n{"a": }\n', "Line 2 is no JSON"),
        ('{"a": 1}\n[1]\n', "Record 2 is a list, not an object"),
        ('{"a": 1}\n{"a": "x"}\n', "Column 'a' mixes types: a number in record 1, a text in record 2"),
        ('{"a": 1, "a": 2}\n', "'a' is column 1 and 2"),
        ('{"a_b": 1, "a": {"b": 2}}\n', "gives a column twice"),
        ('{"__row__": 1}\n', "is reserved"),
    ],
)
def test_broken_lines_are_refused_with_the_place(tmp_path: Path, text: str, told: str) -> None:
    path = write(tmp_path, text, "x.jsonl")
    message = refused(JsonSource(path))
    assert told in message
    assert path in message


def test_a_broken_document_names_its_line(tmp_path: Path) -> None:
    assert "Line 3 is no JSON" in refused(JsonSource(write(tmp_path, '[\n{"a": 1},\n{"a" 2}\n]', "x.json")))
    assert "holds no records" in refused(JsonSource(write(tmp_path, "[]", "y.json")))


def test_wrong_encoding_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, '{"a": "é"}\n'.encode("latin-1"), "x.jsonl")
    assert "byte 7" in refused(JsonSource(path))
    assert JsonSource(path, encoding="latin-1").read().rows() == [("é",)]


values = st.one_of(st.none(), st.integers(-(2**60), 2**60))
texts = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=6))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.fixed_dictionaries({"n": values, "t": texts}), min_size=1, max_size=15), lines=st.booleans())
def test_records_survive_the_round_trip(tmp_path: Path, rows: list[dict[str, Any]], lines: bool) -> None:
    text = "\n".join(json.dumps(row) for row in rows) if lines else json.dumps(rows)
    path = write(tmp_path, text, "x.json")
    assert JsonSource(path, form="lines" if lines else "document").read().to_dicts() == rows
