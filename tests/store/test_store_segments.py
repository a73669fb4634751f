"""Streams are read as far as they are whole, wherever they were cut; a segment is never there in part or twice."""

from __future__ import annotations

import shutil
import tempfile
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlframe.store.segments import (
    Stream,
    encoded,
    finish_orphan,
    is_torn,
    layout_named,
    layout_of,
    read_stream,
    segment_of,
    streams_of,
    whole_length,
)

FIRST = datetime(2026, 11, 25, 12)
SCHEMA = {
    "a": pl.Int32,
    "b": pl.String,
    "c": pl.Boolean,
    "d": pl.Float64,
    "t": pl.Datetime("us", "UTC"),
    "e": pl.Date,
}
ROW = st.tuples(
    st.none() | st.integers(-(2**31), 2**31 - 1),
    st.none() | st.text(max_size=20),
    st.none() | st.booleans(),
    st.none() | st.floats(allow_nan=False),
    st.none() | st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)),
    st.none() | st.dates(date(1970, 1, 1)),
)
BATCH = st.lists(ROW, min_size=1, max_size=5).map(lambda rows: pl.DataFrame(rows, schema=SCHEMA, orient="row"))


@pytest.fixture
def stream(tmp_path: Path) -> Stream:
    return Stream(tmp_path, "w-0", FIRST, layout_of(pl.DataFrame(schema=SCHEMA)))


def rows(count: int, first: int = 0) -> pl.DataFrame:
    return pl.DataFrame({name: [None] * count for name in SCHEMA}, schema=SCHEMA).with_columns(
        a=pl.int_range(first, first + count, dtype=pl.Int32)
    )


@settings(deadline=None, max_examples=150)
@given(batches=st.lists(BATCH, min_size=1, max_size=4), data=st.data())
def test_a_stream_that_is_cut_anywhere_gives_whole_batches_from_its_beginning(batches, data):
    with tempfile.TemporaryDirectory() as folder:
        stream = Stream(Path(folder), "w", FIRST, "00000000")
        ends = []
        for batch in batches:
            stream.append(encoded(batch))
            ends.append(stream.size)
        stream.close()
        whole = stream.path.read_bytes()
        assert whole_length(whole) == len(whole) == ends[-1]
        cut = data.draw(st.integers(0, len(whole)), label="cut")
        stream.path.write_bytes(whole[:cut])
        kept = [batch for batch, end in zip(batches, ends, strict=True) if end <= cut]
        found = read_stream(stream.path)
        assert found is None if not kept else found is not None and found.equals(pl.concat(kept))
        assert is_torn(whole[whole_length(whole[:cut]) : cut])
        assert finish_orphan(stream.path)
        assert streams_of(Path(folder)) == []
        segment = segment_of(stream.path)
        assert segment.exists() == bool(kept)
        if kept:
            assert pl.read_parquet(segment).equals(pl.concat(kept))
        assert list(stream.path.parent.iterdir()) == []


@settings(deadline=None, max_examples=150)
@given(batches=st.lists(BATCH, min_size=1, max_size=3), tail=st.binary(max_size=200), mark=st.booleans())
def test_bytes_that_are_no_stream_never_pass_for_rows(batches, tail, mark):
    """Behind whole batches, and instead of them."""
    tail = b"\xff\xff\xff\xff" + tail if mark else tail
    with tempfile.TemporaryDirectory() as folder:
        for begun in (batches, []):
            stream = Stream(Path(folder), "w", FIRST, "00000000")
            for batch in begun:
                stream.append(encoded(batch))
            stream.close()
            with stream.path.open("ab") as file:
                file.write(tail)
            try:
                found = read_stream(stream.path)
            except ValueError:
                continue  # a tail that begins like a message of that length, and is none
            assert found is None if not begun else found is not None and found.equals(pl.concat(begun))


def test_a_tail_of_zeros_is_torn_and_other_bytes_are_not():
    assert is_torn(bytes(4096))
    assert is_torn(encoded(rows(3))[:100])
    assert not is_torn(b"no stream at all")


def test_a_stream_is_named_after_day_worker_and_layout(stream: Stream):
    assert stream.path.name.startswith("2026-11-25T120000-w_0-")
    assert layout_named(stream.path) == layout_of(pl.DataFrame(schema=SCHEMA))
    assert segment_of(stream.path).parent.name == "2026-11-25"
    stream.close()


def test_a_stream_whose_writer_lives_is_nobody_elses(stream: Stream):
    stream.append(encoded(rows(3)))
    assert not finish_orphan(stream.path)
    assert streams_of(stream.path.parent.parent) == [stream.path]
    stream.close()
    assert finish_orphan(stream.path)
    assert pl.read_parquet(segment_of(stream.path)).height == 3


def test_a_writer_that_died_between_segment_and_removal_leaves_no_row_twice(stream: Stream, tmp_path: Path):
    stream.append(encoded(rows(3)))
    kept = tmp_path / "kept"
    shutil.copy(stream.path, kept)
    stream.finish()
    shutil.copy(kept, stream.path)  # as if it had not been removed
    before = segment_of(stream.path).stat()
    assert finish_orphan(stream.path)
    assert segment_of(stream.path).stat().st_mtime_ns == before.st_mtime_ns
    assert streams_of(tmp_path) == []


def test_damage_in_the_middle_is_kept_for_a_look(stream: Stream, caplog):
    stream.append(encoded(rows(2)))
    end = stream.size
    stream.append(encoded(rows(2, 2)))
    stream.append(encoded(rows(2, 4)))
    stream.close()
    content = bytearray(stream.path.read_bytes())
    content[end : end + 8] = b"scribble"
    stream.path.write_bytes(content)
    assert finish_orphan(stream.path)
    assert "is damaged" in caplog.text
    assert pl.read_parquet(segment_of(stream.path))["a"].to_list() == [0, 1]
    assert stream.path.with_suffix(".damaged").read_bytes() == content
