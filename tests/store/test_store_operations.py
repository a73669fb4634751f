"""Decisions, and the one row that says who acts for a model."""

from __future__ import annotations

import threading
import time

import pytest
from store_place import Place

from mlframe.store import Store
from mlframe.store.operations import LeaseLost


def test_decisions_stay_as_they_were_written(store: Store) -> None:
    store.decisions.add("own", "update", {"text": "new data", "rows": 10})
    store.decisions.add("own", "promote", {"text": "better"})
    store.decisions.add("other", "update", {"text": "new data"})
    assert [one["kind"] for one in store.decisions.many("own")] == ["promote", "update"]
    assert store.decisions.many("own", kinds=["update"])[0]["record"] == {"text": "new data", "rows": 10}
    assert len(store.decisions.many()) == 3
    assert store.decisions.many(limit=1)[0]["name"] == "other"


def test_one_holds_the_lease_until_it_gives_it_back_or_falls_silent(store: Store) -> None:
    assert store.operations.acquire("own", "a", 60)
    assert store.operations.acquire("own", "a", 60), "it can be renewed"
    assert not store.operations.acquire("own", "b", 60)
    assert store.operations.acquire("other", "b", 60), "each model has its own"
    store.operations.release("own", "b")
    assert not store.operations.acquire("own", "b", 60), "only the holder gives it back"
    store.operations.release("own", "a")
    assert store.operations.acquire("own", "b", 0.01)
    time.sleep(0.05)
    assert store.operations.acquire("own", "c", 60)


def test_what_a_model_is_in_the_middle_of_survives_its_holder(store: Store) -> None:
    assert store.operations.get("own")["record"] == {}
    store.operations.acquire("own", "a", 0.01)
    store.operations.update("own", "a", {"pending": ["drift"], "tried": 1})
    assert store.operations.update("own", "a", {"tried": 2}) == {"pending": ["drift"], "tried": 2}
    time.sleep(0.05)
    assert store.operations.acquire("own", "b", 60)
    assert store.operations.get("own")["record"] == {"pending": ["drift"], "tried": 2}
    with pytest.raises(LeaseLost):
        store.operations.update("own", "a", {"tried": 3})


def test_of_many_that_ask_at_once_one_gets_the_lease(place: Place) -> None:
    with place.open():
        pass
    won, start = [], threading.Barrier(8)

    def ask(number: int) -> None:
        with place.open() as store:
            start.wait()
            if store.operations.acquire("own", f"holder-{number}", 60):
                won.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
