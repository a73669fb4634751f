"""What is added comes back as it was, typed; what cannot be logged costs nothing but itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from log_rows import NOON, SALT, SMALL, pipeline, small

from mlframe.serving.prediction_log import Feedback, FeedbackLog, Logged, PredictionLog, logged_names
from mlframe.store import Store
from mlframe.store.predictions import scan_feedback, scan_predictions, verify

LOG = Path("predictions/shop")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(str(tmp_path))


@pytest.fixture
def make(store: Store):
    """Make logs that are closed in the end."""
    logs = []

    def make(kind: Callable[..., PredictionLog] = PredictionLog, folder: Path = LOG, **given: object) -> PredictionLog:
        log = kind(store.folder / folder, "w0", **({"flush": 0.01, "salt": SALT} | given))
        logs.append(log)
        return log

    yield make
    for log in logs:
        log.close()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_every_type_comes_back_as_it_was(store, make):
    log = make()
    kinds = [
        ("f", "Float64"),
        ("g", "Float32"),
        ("i", "Int16"),
        ("b", "Boolean"),
        ("s", "String"),
        ("d", "Date"),
        ("t", "Datetime(time_unit='us', time_zone=None)"),
        ("k", "Categorical"),
    ]
    log.introduce("shop/1", pipeline(*kinds, classes=("a", "b", "c")))
    moment = datetime(2020, 2, 29, 1, 2, 3, 4)
    one = {
        "f": [1.5],
        "g": [0.5],
        "i": [7],
        "b": [True],
        "s": ["x"],
        "d": [date(2020, 1, 2)],
        "t": [moment],
        "k": ["u"],
    }
    lists = {name: [*values, None] for name, values in one.items()}
    arrays = {"f": np.array([2.5, np.nan]), "g": np.array([1, 2], np.float32), "i": np.array([3, 4], np.int16)}
    arrays |= {"b": np.array([True, False]), "s": ["y", "z"], "d": [None, None], "t": [None, moment], "k": ["v", None]}
    proba = np.array([[0.2, 0.5, 0.3], [0.6, 0.2, 0.2]])
    for name, columns, rows in (("one", one, 1), ("lists", lists, 2), ("arrays", arrays, 2)):
        record = Logged(name, NOON + 0.25, "shop/1", "champion", columns, rows, proba[:rows], 0.002, "key")
        assert log.add(record)
    log.close()
    found = scan_predictions(store, "shop").collect().sort("request_id", "row")
    assert log.lost == 0, log.error
    assert found.schema == {
        **{"request_id": pl.String, "row": pl.UInt32, "time": pl.Datetime("us", "UTC"), "version": pl.String},
        **{"role": pl.String, "caller": pl.String, "latency_ms": pl.Float32},
        **{"f": pl.Float64, "g": pl.Float32, "i": pl.Int16, "b": pl.Boolean, "s": pl.String, "d": pl.Date},
        **{"t": pl.Datetime("us"), "k": pl.String, "y_pred": pl.String},
        **{"p_a": pl.Float64, "p_b": pl.Float64, "p_c": pl.Float64},
    }
    assert found["request_id"].to_list() == ["arrays", "arrays", "lists", "lists", "one"]
    assert found["row"].to_list() == [0, 1, 0, 1, 0]
    assert found["time"].unique().to_list() == [datetime(2026, 11, 25, 12, 0, 0, 250_000, UTC)]
    assert found["f"].to_list() == [2.5, None, 1.5, None, 1.5]
    assert found["i"].to_list() == [3, 4, 7, None, 7]
    assert found["b"].to_list() == [True, False, True, None, True]
    assert found["s"].to_list() == ["y", "z", "x", None, "x"]
    assert found["d"].to_list() == [None, None, date(2020, 1, 2), None, date(2020, 1, 2)]
    assert found["t"].to_list() == [None, moment, moment, None, moment]
    assert found["y_pred"].to_list() == ["b", "a", "b", "a", "b"]
    assert found["p_c"].to_list() == [0.3, 0.2, 0.3, 0.2, 0.3]
    assert found["latency_ms"].to_list() == [2.0] * 5
    assert found["caller"].unique().to_list() == ["key"]


def test_what_is_predicted_follows_the_version(store, make):
    log = make()
    log.introduce("shop/1", pipeline(*SMALL, threshold=0.8))
    log.introduce("shop/2", pipeline(*SMALL, classes=()))
    log.add(small(1))
    log.add(small(2, version="shop/2", outputs=np.array([7.5])))
    log.close()
    found = scan_predictions(store, "shop").collect().sort("request_id")
    assert found["y_pred"].to_list() == ["no", "7.5"]
    assert found["p_yes"].to_list() == [0.75, None]


def test_rows_are_there_while_the_log_is_open_and_once_after_it_is_closed(store, make):
    log = make()
    log.introduce("shop/1", pipeline(*SMALL))
    for number in range(1500):  # several chunks
        assert log.add(small(number))
    until(lambda: log.written == 1500)
    assert log.waiting == 0
    found = scan_predictions(store, "shop").collect()
    assert sorted(found["age"].to_list()) == list(range(1500))
    assert (found["request_id"] == "r" + found["age"].cast(pl.String)).all()
    log.close()
    assert scan_predictions(store, "shop").collect().sort("age").equals(found.sort("age"))
    assert list((store.folder / LOG / "open").iterdir()) == []
    assert verify(store, "predictions", "shop").segments == 1


def test_rows_of_two_days_lie_in_two_folders(store, make):
    log = make()
    log.introduce("shop/1", pipeline(*SMALL))
    for number, moment in enumerate([NOON, NOON + 43_199.9, NOON + 43_200, NOON + 86_400]):
        log.add(small(number, time=moment))
    log.close()
    assert [path.parent.name for path in sorted((store.folder / LOG).rglob("*.parquet"))] == [
        "2026-11-25",
        "2026-11-26",
    ]
    assert scan_predictions(store, "shop", since=date(2026, 11, 26)).collect().height == 2
    assert verify(store, "predictions", "shop").damaged == []


def test_readers_see_each_row_once_while_streams_become_segments(store, make):
    """Every flush here makes a segment; a reader that never stops finds no row twice, and none gone."""
    log = make(rotate_bytes=1, flush=0.0005)
    log.introduce("shop/1", pipeline(*SMALL))
    log.add(small(0))
    until(lambda: log.written == 1)
    seen = 0
    for number in range(1, 400):
        log.add(small(number))
        while number % 20 == 0 and log.written <= number:
            safe = log.written
            found = scan_predictions(store, "shop").select("age").collect()["age"]
            assert found.n_unique() == len(found)
            assert len(found) >= max(seen, safe)
            seen = len(found)
    log.close()
    assert log.error is None
    assert len(list((store.folder / LOG).rglob("*.parquet"))) >= 20
    assert sorted(scan_predictions(store, "shop").collect()["age"].to_list()) == list(range(400))


def test_old_streams_become_segments(store, make):
    log = make(rotate_seconds=0.05)
    log.introduce("shop/1", pipeline(*SMALL))
    log.add(small(1))
    until(lambda: any((store.folder / LOG).rglob("*.parquet")))
    log.add(small(2))
    until(lambda: log.written == 2)
    assert scan_predictions(store, "shop").collect().height == 2


# ------------------------------------------------------------------------------------------------ personal values


def test_personal_values_are_hashed_with_the_stores_own_salt(store, make, tmp_path):
    named = [("age", "Int64", ("pii",)), ("city", "String", ("pii", "x")), ("zip", "String")]
    log = make(salt=store.pii_salt())
    log.introduce("shop/1", pipeline(*named))
    for number, city in enumerate(["Berlin-Secret", "Berlin-Secret", None, "Rome-Secret"]):
        log.add(small(number, columns={"age": [987_654_321], "city": [city], "zip": ["open"]}))
    log.close()
    found = scan_predictions(store, "shop").collect().sort("request_id")
    city = found["city"].to_list()
    assert city[0] == city[1] != city[3]
    assert city[2] is None
    assert all(len(text) == 32 and int(text, 16) for text in (city[0], city[3], *found["age"].to_list()))
    assert found["zip"].unique().to_list() == ["open"]
    for path in store.folder.rglob("*"):
        assert path.is_dir() or b"Secret" not in path.read_bytes()
    assert store.pii_salt() == store.pii_salt()
    assert len(store.pii_salt()) == 32
    with Store.open(str(tmp_path / "other")) as other:
        assert other.pii_salt() != store.pii_salt()


def test_personal_values_are_left_out(store, make):
    log = make(pii="drop")
    log.introduce("shop/1", pipeline(("age", "Int64"), ("city", "String", ("pii",))))
    log.add(small(1))
    log.close()
    found = scan_predictions(store, "shop").collect()
    assert "city" not in found.columns
    assert found["age"].to_list() == [1]


# --------------------------------------------------------------------------------------------------- names, losses


def test_a_column_with_a_name_of_the_logs_own_is_logged_beside_it(store, make):
    inputs = ["time", "p_yes", "input.time", "age"]
    names = logged_names(inputs, ("no", "yes"))
    assert names == {"time": "input.input.time", "p_yes": "input.p_yes", "input.time": "input.time", "age": "age"}
    log = make()
    log.introduce("shop/1", pipeline(*((name, "Int64") for name in inputs)))
    log.add(small(1, columns={name: [number] for number, name in enumerate(inputs)}))
    log.close()
    found = scan_predictions(store, "shop").collect()
    assert [found[names[name]][0] for name in inputs] == [0, 1, 2, 3]


def test_a_full_queue_refuses_and_counts(make):
    log = make(flush=60, queue=10)
    log.introduce("shop/1", pipeline(*SMALL))
    ten = small(1, rows=4, columns={"age": [1] * 4, "city": ["x"] * 4}, outputs=np.full((4, 2), 0.5))
    assert [log.add(ten), log.add(ten), log.add(ten)] == [True, True, False]
    assert (log.lost, log.waiting) == (4, 8)
    log.close()
    assert (log.lost, log.written, log.waiting) == (4, 8, 0)
    assert log.add(ten) is False
    assert log.lost == 8


def test_a_queue_that_fills_up_is_written_before_its_time(make):
    log = make(flush=600, queue=100)
    log.introduce("shop/1", pipeline(*SMALL))
    for number in range(60):
        log.add(small(number))
    until(lambda: log.written >= 50)


@pytest.mark.parametrize(
    "bad",
    [
        {"columns": {"age": ["old"], "city": ["x"]}},
        {"columns": {"age": [1]}},
        {"columns": {"age": [1, 2], "city": ["x"]}},
        {"outputs": np.array([0.5])},
        {"version": "shop/9"},
        {"time": float("nan")},
        {"time": 1e300},
    ],
    ids=["type", "missing", "length", "outputs", "version", "no time", "far time"],
)
def test_a_record_that_cannot_be_logged_takes_no_other_with_it(store, make, bad, caplog):
    log = make()
    log.introduce("shop/1", pipeline(*SMALL))
    for number in range(5):
        log.add(small(number, **(bad if number == 2 else {})))
    until(lambda: log.waiting == 0)
    assert (log.lost, log.written) == (1, 4)
    assert "the log in" in caplog.text
    log.add(small(6))
    log.close()
    assert sorted(scan_predictions(store, "shop").collect()["age"].to_list()) == [0, 1, 3, 4, 6]


def test_a_folder_that_is_removed_is_made_again(store, make):
    import shutil

    log = make()
    log.introduce("shop/1", pipeline(*SMALL))
    log.add(small(1))
    until(lambda: log.written == 1)
    shutil.rmtree(store.folder / LOG)
    log.add(small(2))
    until(lambda: log.written == 2)
    assert scan_predictions(store, "shop").collect()["age"].to_list() == [2]
    shutil.rmtree(store.folder / LOG)
    log.close()
    assert log.error is None
    assert scan_predictions(store, "shop").collect().height == 0


# -------------------------------------------------------------------------------------------------------- feedback


def test_feedback_comes_back_and_joins_predictions(store, make):
    log = make()
    log.introduce("shop/1", pipeline(*SMALL))
    log.add(small(1, rows=2, columns={"age": [1, 2], "city": ["x", "y"]}, outputs=np.full((2, 2), 0.5)))
    log.add(small(2))
    told = FeedbackLog(store.folder / "feedback/shop", "w0", numeric=False, flush=0.01)
    months = 180 * 86_400
    told.add(Feedback("r1", NOON + months, "yes", row=1, caller="key"))
    told.add(Feedback("r2", NOON + 5, "no", {"money": -3.5, "why": "zurück"}))
    told.add(Feedback("r2", NOON + 9, None, [1]))
    log.close()
    told.close()
    found = scan_feedback(store, "shop").collect().sort("time")
    assert found["outcome"].to_list() == ['{"money": -3.5, "why": "zurück"}', "[1]", None]
    known = found.drop_nulls("label").select("request_id", "row", "label")
    joined = scan_predictions(store, "shop").join(known.lazy(), on=["request_id", "row"]).collect().sort("city")
    assert joined.select("city", "label").rows() == [("city 2", "no"), ("y", "yes")]
    assert sorted(path.parent.name for path in (store.folder / "feedback/shop").rglob("*.parquet")) == [
        "2026-11-25",
        "2027-05-24",
    ]


def test_feedback_of_values_is_numeric(store):
    told = FeedbackLog(store.folder / "feedback/shop", "w0", numeric=True, flush=0.01)
    told.add(Feedback("r1", NOON, 3.5))
    told.add(Feedback("r2", NOON, None, "later"))
    told.add(Feedback("r3", NOON, "three"))
    told.close()
    assert told.lost == 1
    found = scan_feedback(store, "shop").collect().sort("request_id")
    assert found["label"].to_list() == [3.5, None]
    assert found["outcome"].to_list() == [None, '"later"']
