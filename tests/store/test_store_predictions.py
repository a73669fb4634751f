"""Logs of many versions and days are one frame; what is not asked for is not read; what is too old goes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from mlframe.errors import ConfigError, StoreError
from mlframe.store import Store
from mlframe.store.predictions import expire, scan_feedback, scan_predictions, verify
from mlframe.store.segments import Stream, encoded, layout_of, streams_of

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(str(tmp_path))


def write(store: Store, moment: datetime, *, kind: str = "predictions", state: str = "segment", **columns) -> Path:
    """Write one row as a segment, as an open stream, or as one whose writer has died."""
    head = {"request_id": "r", "row": 0, "time": moment, "version": "shop/1", "role": "champion", "latency_ms": 1.0}
    frame = pl.DataFrame([head | columns])
    stream = Stream(store.folder / kind / "shop", "w", moment, layout_of(frame))
    stream.append(encoded(frame))
    if state == "segment":
        stream.finish()
    elif state == "dead":
        stream.close()
    return stream.path


def ages(frame: pl.LazyFrame) -> list[float]:
    return sorted(frame.collect()["age"].to_list())


def test_columns_of_all_versions_are_united(store: Store):
    write(store, NOON, age=1, city="rome")
    write(store, NOON, age=2.5, version="shop/2", state="open")
    write(store, NOON, age=3, zip="00100", version="shop/3", state="dead")
    found = scan_predictions(store, "shop").collect().sort("age")
    assert found.select("age", "city", "zip").rows() == [(1.0, "rome", None), (2.5, None, None), (3.0, None, "00100")]
    write(store, NOON, age="four")
    assert scan_predictions(store, "shop").collect()["age"].dtype == pl.String


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, None, [0, 1, 2, 3]),
        (NOON, None, [0, 1, 2, 3]),
        (NOON + timedelta(seconds=1), None, [1, 2, 3]),
        (date(2026, 11, 26), NOON + timedelta(days=2), [1]),
        (None, NOON + timedelta(days=2, microseconds=1), [0, 1, 2]),
        (datetime(2026, 11, 27), None, [2, 3]),
        (datetime.fromisoformat("2026-11-27T13:00:00+01:00"), date(2026, 11, 28), [2]),
        (NOON + timedelta(days=9), None, []),
    ],
)
def test_since_and_until(store: Store, since, until, expected):
    for number in range(4):
        write(store, NOON + timedelta(days=number), age=number, state="open" if number == 3 else "segment")
    found = scan_predictions(store, "shop", since=since, until=until)
    assert ages(found) == expected if expected else found.collect().height == 0


def test_days_that_are_not_asked_for_are_not_read(store: Store):
    write(store, NOON, age=1)
    broken = store.folder / "predictions/shop/2026-11-20/2026-11-20T000000-w-00000000-00000000.parquet"
    broken.parent.mkdir()
    broken.write_bytes(b"no parquet")
    assert ages(scan_predictions(store, "shop", since=date(2026, 11, 21))) == [1]
    with pytest.raises(pl.exceptions.PolarsError):
        scan_predictions(store, "shop").collect()
    assert verify(store, "predictions", "shop").damaged == [broken]


def test_a_damaged_stream_is_told_and_left_out(store: Store, caplog):
    write(store, NOON, age=1)
    path = write(store, NOON, age=2, state="dead")
    batch = path.read_bytes()
    path.write_bytes(batch.replace(b"age", b"\xff\xfe\xfd"))
    assert ages(scan_predictions(store, "shop")) == [1]
    assert "is damaged" in caplog.text
    assert verify(store, "predictions", "shop").damaged == [path]


def test_nothing_is_an_empty_frame(store: Store):
    assert scan_predictions(store, "shop").collect().columns[:3] == ["request_id", "row", "time"]
    assert scan_feedback(store, "shop").collect().height == 0
    assert verify(store, "feedback", "shop").rows == 0
    assert expire(store, "shop", 0) == 0


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden"])
def test_a_name_never_leaves_its_folder(store: Store, name: str):
    with pytest.raises(StoreError):
        scan_predictions(store, name)


def test_old_days_go_and_the_rest_stays(store: Store):
    today = datetime.now(UTC)
    for days in (0, 2, 3, 10):
        write(store, today - timedelta(days=days), age=days)
        write(store, today - timedelta(days=days), kind="feedback", label="yes")
    write(store, today - timedelta(days=9), age=9, state="dead")
    living = write(store, today - timedelta(days=8), age=8, state="open")
    assert expire(store, "shop", 2) == 5
    assert ages(scan_predictions(store, "shop")) == [0, 2, 8]
    assert streams_of(store.folder / "predictions/shop") == [living]
    assert scan_feedback(store, "shop").collect().height == 2
    assert expire(store, "shop", 2) == 0
    with pytest.raises(ConfigError):
        expire(store, "shop", -1)


def test_rows_that_are_there_twice_are_found(store: Store):
    write(store, NOON, age=1)
    write(store, NOON, age=1)
    write(store, NOON, age=1, role="shadow")
    assert verify(store, "predictions", "shop").doubled == 1
