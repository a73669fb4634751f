"""Killed at any point and started again: nothing is done twice, no reason is lost, the champion keeps serving."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime, timedelta

import pytest
from operating_place import NAME, QUICK, WORDS, Place, log_rows

LINEAR = ("model=linear", "update.once=true", "update.lease=1s", "update.triggers={new_data: {rows: 100}}")


@pytest.mark.slow
def test_an_update_survives_a_kill_after_each_thing_that_it_does(place: Place) -> None:
    """One update, whose process is killed after the next thing that it does, again and again, until nothing is left."""
    said: list[str] = []
    after = 1
    while True:
        code, output = place.dying("operate", after, *LINEAR)
        if code == 0:
            break
        assert code == -signal.SIGKILL, output
        said.append(output.rpartition("killed after ")[2].strip())
        after = (
            after + 1 if said[-2:] == [said[-1]] * 2 and said[-1].startswith("the ") else 1
        )  # rows are written again
        if not place.moves():
            assert place.record()["pending"][0]["trigger"] == "new_data"  # the reason is there until it is answered
        assert len(said) < 30
        time.sleep(1)  # the lease of the one that was killed ends
    assert {"a write to the operation", "a decision", "a promotion", "the rows", "the start of a training"} <= set(said)
    assert place.moves() == [("promote", f"{NAME}/1", f"{NAME}/3")]
    assert place.decisions() == ["trigger", "promote"]
    record = place.record()
    assert (record["update"], record["pending"], record["failures"]) == (None, [], 0)
    place.cli("operate", *WORDS, *QUICK, *LINEAR)  # its reason is answered: nothing more happens
    assert place.decisions() == ["trigger", "promote"]
    with place.store() as store:
        assert len(store.versions(NAME)) == 3  # no challenger was trained twice


@pytest.mark.slow
def test_a_rollback_survives_a_kill_after_each_thing_that_it_does(place: Place) -> None:
    with place.store() as store:
        store.promote(f"{NAME}/2", who="a person", why="it looks good", evidence={})
        now = datetime.now(UTC)
        log_rows(store, f"{NAME}/1", 300, right=0.9, since=now - timedelta(seconds=30))
        log_rows(store, f"{NAME}/2", 300, right=0.6, since=now + timedelta(milliseconds=1))
    words = ("update.once=true", "update.lease=1s", "update.triggers={}", "update.watch=1h", "goal.metric=accuracy")
    codes = []
    while not codes or codes[-1] != 0:
        code, output = place.dying("operate", 1, *words)
        assert code in (0, -signal.SIGKILL), output
        codes.append(code)
        time.sleep(1)
    assert len(codes) == 5  # written down, rolled back, decided, written down; then nothing is left
    assert place.moves() == [("rollback", f"{NAME}/2", f"{NAME}/1")]
    assert place.decisions() == ["roll_back"]
