from __future__ import annotations

import gzip
from datetime import date, datetime
from pathlib import Path

import fsspec
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlframe.errors import ConfigError, DataError, UnknownNameError
from mlframe.sources.csv import CsvSource, first_bad_record


def write(folder: Path, text: str | bytes, name: str = "rows.csv") -> str:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(file)


def refused(source: CsvSource) -> str:
    with pytest.raises(DataError) as caught:
        source.read()
    return str(caught.value)


def test_types_are_inferred_and_empty_fields_are_null(tmp_path: Path) -> None:
    frame = CsvSource(write(tmp_path, 'a,b,c\n1,1.5,x\n,2,"y, z"\n3,,\n')).read()
    assert frame.schema == {"a": pl.Int64, "b": pl.Float64, "c": pl.String}
    assert frame.rows() == [(1, 1.5, "x"), (None, 2.0, "y, z"), (3, None, None)]


def test_declared_types_times_and_null_tokens_hold(tmp_path: Path) -> None:
    path = write(tmp_path, "code;n;day;at;flag;kind\n007;1;2024-01-02;03.02.2024 10:20;True;x\n008;NA;NA;NA;0;y\n")
    frame = CsvSource(
        path,
        separator=";",
        null_tokens=["NA"],
        types={"code": "string", "n": "float", "day": "date", "flag": "bool", "kind": "category"},
        times={"at": "%d.%m.%Y %H:%M"},
    ).read()
    types = [pl.String, pl.Float64, pl.Date, pl.Datetime("us"), pl.Boolean, pl.Categorical]
    assert [dtype == wanted for dtype, wanted in zip(frame.dtypes, types, strict=True)] == [True] * 6
    assert frame.rows() == [
        ("007", 1.0, date(2024, 1, 2), datetime(2024, 2, 3, 10, 20), True, "x"),
        ("008", None, None, None, False, "y"),
    ]


def test_decimal_comma(tmp_path: Path) -> None:
    frame = CsvSource(write(tmp_path, "a;b\n1,5;2\n2,25;3\n"), separator=";", decimal_comma=True).read()
    assert frame["a"].to_list() == [1.5, 2.25]


def test_nan_is_a_number_in_any_case_and_a_word_among_words(tmp_path: Path) -> None:
    text = "a,b,c,d\n1.5,1,nan,nan\nnan,NaN,Ada,\n,NAN,Bob,-nan\n2,3,Nan,\n"
    frame = CsvSource(write(tmp_path, text)).read()
    assert frame.schema == {"a": pl.Float64, "b": pl.Float64, "c": pl.String, "d": pl.Float64}
    assert frame["a"].is_nan().to_list() == [False, True, None, False]
    assert frame["c"].to_list() == ["nan", "Ada", "Bob", "Nan"]
    declared = CsvSource(write(tmp_path, text), types={"a": "string"}).read()
    assert declared["a"].to_list() == ["1.5", "nan", None, "2"]
    comma = CsvSource(write(tmp_path, "a;b\n1,5;2\nnan;3\n", "comma.csv"), separator=";", decimal_comma=True).read()
    assert comma["a"].to_list()[0] == 1.5
    assert comma["a"].is_nan()[1]


def test_a_type_that_shows_only_in_a_late_row_is_found(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b,c\n" + "1,,x\n" * 10_500 + "x,7,y\n")
    frame = CsvSource(path).read()
    assert frame.schema == {"a": pl.String, "b": pl.Int64, "c": pl.String}
    assert frame.row(-1) == ("x", 7, "y")


def test_a_column_that_starts_empty_gets_the_type_of_its_later_rows(tmp_path: Path) -> None:
    frame = CsvSource(write(tmp_path, "a,b\n" + ",1\n" * 10_500 + "7,2\n")).read()
    assert frame.schema == {"a": pl.Int64, "b": pl.Int64}
    assert frame.row(-1) == (7, 2)


@pytest.mark.parametrize("ending", [".csv.gz", ".csv.zst"])
def test_compressed_files(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"rows{ending}"
    if ending == ".csv.gz":
        file.write_bytes(gzip.compress(b"a,b\n1,x\n2,y\n"))
    else:
        pl.DataFrame({"a": [1, 2], "b": ["x", "y"]}).write_csv(file, compression="zstd")
    assert CsvSource(str(file)).read().rows() == [(1, "x"), (2, "y")]


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_short_line_in_a_compressed_file_is_named(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"rows.csv{ending}"
    text = "a,b,c\n1,2,3\n4,5\n"
    if ending == ".gz":
        file.write_bytes(gzip.compress(text.encode()))
    else:  # a column that is written without quotes makes any text
        pl.DataFrame({"a,b,c": ["1,2,3", "4,5"]}).write_csv(file, quote_style="never", compression="zstd")
    assert "Line 3 has 2 fields, the header has 3" in refused(CsvSource(str(file)))


def test_many_files_are_read_in_name_order_by_column_name(tmp_path: Path) -> None:
    write(tmp_path, "a,b\n1,x\n", "p1.csv")
    write(tmp_path, "b,a\ny,2.5\n", "p2.csv")
    frame = CsvSource(str(tmp_path / "p*.csv")).read()
    assert frame.rows() == [(1.0, "x"), (2.5, "y")]
    assert CsvSource([str(tmp_path / "p2.csv"), str(tmp_path / "p1.csv")]).read().rows() == [("y", 2.5), ("x", 1.0)]


def test_a_column_that_is_text_in_one_file_is_text_in_all(tmp_path: Path) -> None:
    write(tmp_path, "zip\n01234\n", "p1.csv")
    write(tmp_path, "zip\nSW1A\n", "p2.csv")
    assert CsvSource(str(tmp_path / "p*.csv")).read()["zip"].to_list() == ["01234", "SW1A"]


def test_files_with_other_columns_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a,b\n1,2\n", "p1.csv")
    write(tmp_path, "a,c\n1,2\n", "p2.csv")
    text = refused(CsvSource(str(tmp_path / "p*.csv")))
    assert "p2.csv lacks 'b' and has also 'c'" in text


def test_relative_paths_start_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a\n1\n")
    monkeypatch.chdir(tmp_path)
    assert CsvSource("rows.csv").read().height == 1


def test_any_fsspec_address_is_read_and_fingerprinted() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/box/rows.csv", b"a,b\n1,x\n")
    source = CsvSource("memory://box/rows.csv")
    assert source.read().rows() == [(1, "x")]
    before = source.fingerprint()
    memory.pipe_file("/box/rows.csv", b"a,b\n1,x\n2,y\n")
    assert source.fingerprint() != before
    assert CsvSource("memory://box/*.csv").read().height == 2


def test_an_unknown_protocol_is_refused() -> None:
    assert "cannot be opened" in refused(CsvSource("nosuch://bucket/key.csv"))


def test_a_missing_file_shows_near_names(tmp_path: Path) -> None:
    write(tmp_path, "a\n1\n", "customers.csv")
    text = refused(CsvSource(str(tmp_path / "custmers.csv")))
    assert "There is no such file" in text
    assert "did you mean 'customers.csv'?" in text
    assert "there is no folder" in refused(CsvSource(str(tmp_path / "nowhere" / "x.csv")))
    assert "No file matches" in refused(CsvSource(str(tmp_path / "*.txt")))
    assert "A folder stands" in refused(CsvSource(str(tmp_path)))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "The file is empty"),
        ("a,b\n", "columns but no rows"),
        ("a,b", "columns but no rows"),
        ("a,b,c\n1,2,3\n4,5\n6,7,8\n", "Line 3 has 2 fields, the header has 3"),
        ("a,b,c\n1,2,3\n4,5,6,7\n", "Line 3 has 4 fields, the header has 3"),
        ('a,b\n1,"x\ny"\n1,2\n3\n', "Line 5 has 1 field, the header has 2"),
        ("a,b,c\n1,2,3\n\n4,5,6\n", "Line 3 has 0 fields"),
        ('a,b\n1,"x\n2,y\n3,z\n', "Line 2 is broken: a quote that opens here is never closed"),
        ('a,b\n1,2\n3,"z"q\n', "Line 3 is broken"),
        ("a,b,a\n1,2,3\n", "'a' is column 1 and 3"),
        ("a,,b\n1,2,3\n", "Column 2 has no name"),
        ("__row__,b\n1,2\n", "is reserved"),
    ],
)
def test_broken_files_are_refused_with_the_place(tmp_path: Path, text: str, told: str) -> None:
    path = write(tmp_path, text)
    message = refused(CsvSource(path))
    assert told in message
    assert path in message
    assert "do: " in message


def test_an_empty_last_field_is_no_short_line(tmp_path: Path) -> None:
    assert CsvSource(write(tmp_path, 'a,b\n1,\n"2\n3",\n')).read().rows() == [("1", None), ("2\n3", None)]


def test_wrong_encoding_names_the_byte_and_encodings_to_try(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n1,café\n".encode("cp1252"))
    text = refused(CsvSource(path))
    assert "byte 9 (line 2)" in text
    assert "cp1252" in text
    assert CsvSource(path, encoding="cp1252").read()["b"].to_list() == ["café"]


def test_utf_16_is_recognised_and_read(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n1,é\n".encode("utf-16"))
    assert "data.source.encoding=utf-16" in refused(CsvSource(path))
    assert CsvSource(path, encoding="utf-16").read().rows() == [(1, "é")]


def test_a_wrongly_encoded_header_is_refused(tmp_path: Path) -> None:
    assert "byte 3" in refused(CsvSource(write(tmp_path, "a,bé\n1,2\n".encode("latin-1"))))


def test_a_byte_order_mark_is_no_part_of_the_name(tmp_path: Path) -> None:
    assert CsvSource(write(tmp_path, "\ufeffa,b\n1,2\n")).read().columns == ["a", "b"]


def test_a_cut_off_gzip_file_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 1000)
    assert "cannot be read" in refused(CsvSource(write(tmp_path, whole[:-12], "rows.csv.gz")))


@pytest.mark.parametrize(
    ("types", "times", "told"),
    [
        ({"a": "int"}, {}, "2 values of column 'a' do not fit the type 'int'; the first is in row 2"),
        ({"a": "bool"}, {}, "2 values of column 'a' do not fit the type 'bool'; the first is in row 2"),
        ({"a": "datetime"}, {}, "do not fit the type 'datetime'"),
        ({}, {"a": "%Y"}, "do not fit the time format '%Y'"),
    ],
)
def test_values_that_do_not_fit_are_named(
    tmp_path: Path, types: dict[str, str], times: dict[str, str], told: str
) -> None:
    path = write(tmp_path, "a,b\n1,x\nx,x\n2.5,x\n")
    assert told in refused(CsvSource(path, types=types, times=times))


def test_a_declared_column_that_is_missing_is_named_with_near_matches(tmp_path: Path) -> None:
    text = refused(CsvSource(write(tmp_path, "amount,b\n1,2\n"), types={"amuont": "int"}))
    assert "did you mean 'amount'?" in text


@pytest.mark.parametrize(("mark", "typed"), [(";", ";"), ("\t", r"\t"), ("|", "|")])
def test_another_separator_is_named_as_it_is_typed(tmp_path: Path, mark: str, typed: str) -> None:
    path = write(tmp_path, f"a{mark}b\n1{mark}2\n")
    assert f"""'data.source.separator="{typed}"'""" in refused(CsvSource(path))
    assert CsvSource(path, separator=typed).read().rows() == [(1, 2)]


def test_impossible_parameters_are_refused_at_once() -> None:
    with pytest.raises(UnknownNameError, match="integer"):
        CsvSource("x.csv", types={"a": "integer"})
    with pytest.raises(ConfigError, match="one ASCII character"):
        CsvSource("x.csv", separator="||")
    with pytest.raises(ConfigError, match="no such encoding"):
        CsvSource("x.csv", encoding="utf-99")


def test_repeats_are_left_out_only_when_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n1,x\n2,y\n1,x\n")
    assert CsvSource(path).read().height == 3
    assert CsvSource(path, deduplicate=True).read().rows() == [(1, "x"), (2, "y")]


def test_a_sample_is_the_first_rows(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n" + "".join(f"{i},x\n" for i in range(100)))
    assert CsvSource(path).sample(3)["a"].to_list() == [0, 1, 2]


def test_the_fingerprint_changes_with_the_file(tmp_path: Path) -> None:
    source = CsvSource(write(tmp_path, "a\n1\n"))
    before = source.fingerprint()
    assert source.fingerprint() == before
    write(tmp_path, "a\n1\n2\n")
    assert source.fingerprint() != before


cells = st.text(st.characters(codec="utf-8", exclude_characters="\r\0\x1f", exclude_categories=["Cs"]), max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=20))
def test_text_survives_the_round_trip(tmp_path: Path, rows: list[tuple[str, str, str]]) -> None:
    wrote = pl.DataFrame(rows, schema=["a", "b", "c"], orient="row")
    file = tmp_path / "round.csv"
    wrote.write_csv(file, quote_style="always")
    read = CsvSource(str(file), types={"a": "string", "b": "string", "c": "string"}).read()
    assert read.equals(wrote)


@given(
    widths=st.lists(st.integers(1, 6), min_size=1, max_size=30),
    quoted=st.lists(st.booleans(), min_size=30, max_size=30),
)
def test_the_first_record_of_another_width_is_found(widths: list[int], quoted: list[bool]) -> None:
    lines: list[str] = []
    starts: list[int] = []
    for width, quote in zip(widths, quoted, strict=False):
        starts.append(len(lines) + 1)
        record = ",".join(['"x, ""y""\nz"'] * width if quote else ["1"] * width) + "\n"
        lines.extend(record.splitlines(keepends=True))
    wrong = next(((start, width) for start, width in zip(starts, widths, strict=True) if width != 3), None)
    found = first_bad_record(lines, ",", '"', 3)
    assert (found is None) == (wrong is None)
    if found is not None and wrong is not None:
        assert found[0] == wrong[0]
        assert f"has {wrong[1]} field" in found[1]
