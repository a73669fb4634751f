"""The ledger keeps what was tried, and one process at a time works on a sweep."""

from __future__ import annotations

import subprocess
import sys

import pytest
from store_place import Place

from mlframe.errors import StoreError, UnknownNameError
from mlframe.store.store import Store


def test_a_sweep_comes_back_with_its_record_and_jobs(store: Store) -> None:
    one = store.start_sweep("churn", {"command": ["model=lgbm"], "metric": None})
    store.update_sweep(one, metric="roc_auc", better="higher")
    store.put_sweep_job(one, 1, "waiting", {"overrides": ["model=linear"]})
    store.put_sweep_job(one, 0, "running", {"overrides": ["model=lgbm"]})
    store.put_sweep_job(one, 0, "finished", {"overrides": ["model=lgbm"], "score": 0.8})
    found = store.sweep(one)
    assert (found["name"], found["status"], found["metric"], found["command"]) == (
        "churn",
        "running",
        "roc_auc",
        ["model=lgbm"],
    )
    jobs = store.sweep_jobs(one)
    assert [(job["number"], job["status"], job.get("score")) for job in jobs] == [
        (0, "finished", 0.8),
        (1, "waiting", None),
    ]
    store.update_sweep(one, "finished")
    assert store.sweep("last")["status"] == "finished"
    assert store.sweep(one[:-2])["id"] == one


def test_an_unknown_sweep_is_answered_with_those_that_there_are(store: Store) -> None:
    with pytest.raises(UnknownNameError, match="no sweep yet"):
        store.sweep("last")
    one = store.start_sweep("churn", {})
    with pytest.raises(UnknownNameError, match=one):
        store.sweep("sweep-2000")


def test_a_sweep_that_runs_cannot_be_taken_over_and_one_whose_process_died_can(store: Store, place: Place) -> None:
    code = (
        "import sys; from mlframe.store.store import Store;"
        f"print(Store.open(*{place.where()!r}).start_sweep('churn', {{}}), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        one = other.stdout.readline().strip()
        with pytest.raises(StoreError, match="is running"):
            store.claim_sweep(one)
        other.kill()
    assert store.sweep(one)["status"] == "interrupted"
    store.claim_sweep(one)
    assert store.sweep(one)["status"] == "running"
