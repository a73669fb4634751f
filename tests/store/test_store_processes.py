"""Many processes at once, and processes that are killed."""

from __future__ import annotations

import random
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import warm
from store_place import Place
from store_worker import make_bundle

from mlframe.errors import StoreError
from mlframe.store import Store

WORKER = Path(__file__).with_name("store_worker.py")


def _write(root: str, url: str | None, folder: str, worker: int) -> list[str]:
    with Store.open(root, url, timeout=60) as store:
        made = []
        for number in range(4):
            run = store.start_run(task="train", name="email", group="g", config={}, unresolved={}, facts={})
            store.save_artifact("shared", step="s", kind="json", name="x", value=[worker, number])
            entry = store.artifact("shared")
            assert entry is not None
            assert len(store.load_artifact(entry)) == 2
            bundle = make_bundle(Path(folder) / f"{worker}-{number}", f"{worker} {number}")
            made.append(store.register("email", bundle, run_id=run, figures={}, facts={"who": [worker, number]}))
            store.promote(made[-1], who=str(worker), why="", evidence={})
            store.record_holdout(run, data_fingerprint="f", split_key="k")
            store.record_holdout(run, data_fingerprint="f", split_key="k")
            store.finish_run(run, "finished", {})
        return made


def _is_whole(store: Store) -> None:
    """Check what 32 calls of `_write` left."""
    assert [version["number"] for version in store.versions("email")] == list(range(1, 33))
    assert len(store.runs(limit=99, status="finished")) == 32
    assert store.holdout_uses("k") == 32
    history = store.history("email")
    assert [item["from"] for item in history] == [None, *(item["to"] for item in history[:-1])]
    assert store.version("email")["reference"] == history[-1]["to"]
    for version in store.versions("email"):
        worker, number = version["facts"]["who"]
        assert (store.open_bundle(version["reference"]) / "model.txt").read_text() == f"{worker} {number}"


def _promote(root: str, url: str | None, number: int) -> bool:
    with Store.open(root, url, timeout=60) as store:
        try:
            store.promote(f"email/{number}", who="w", why="", evidence={}, expected=None)
        except StoreError:
            return False
        return True


def test_eight_processes_write_at_once(place: Place, tmp_path: Path):
    with ProcessPoolExecutor(8, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(_write, *place.where(), str(tmp_path / "bundles"), worker) for worker in range(8)]
        made = [reference for job in jobs for reference in job.result(timeout=120)]
        assert sorted(made) == sorted(f"email/{number}" for number in range(1, 33))
        with place.open() as store:
            _is_whole(store)
            assert store.evict(0) > 0
        # One of several that expect the same wins, the others are told.
        with place.open("second") as store:
            for number in range(4):
                bundle = make_bundle(tmp_path / f"second-{number}", str(number))
                store.register("email", bundle, run_id="r", figures={}, facts={})
        root, url = place.where("second")
        assert sum(pool.map(_promote, [root] * 4, [url] * 4, [1, 2, 3, 4])) == 1


def test_threads_share_one_store(place: Place):
    failed: list[BaseException] = []
    with place.open() as store:

        def work(number: int) -> None:
            try:
                for turn in range(10):
                    key = f"key-{turn % 3}"
                    store.save_artifact(key, step="s", kind="json", name="x", value=[number])
                    entry = store.artifact(key)
                    assert entry is not None
                    assert len(store.load_artifact(entry)) == 1
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_store_opened_before_a_fork_works_on_both_sides(place: Place):
    def child(store: Store, answers: Any) -> None:
        answers.put(store.start_run(task="t", name="n", group=None, config={}, unresolved={}, facts={}))

    with place.open() as store:
        context = get_context("fork")
        answers = context.Queue()
        process = context.Process(target=child, args=(store, answers))
        process.start()
        theirs = answers.get(timeout=30)
        process.join()
        mine = store.start_run(task="t", name="n", group=None, config={}, unresolved={}, facts={})
        assert [run["id"] for run in store.runs()] == [mine, theirs]


def test_a_killed_process_leaves_a_store_that_opens(place: Place, tmp_path: Path):
    """Kill a process that writes without end ten times; what is recorded must be there and whole."""
    (root, url), chance = place.where(), random.Random(7)
    for turn in range(10):
        ready = tmp_path / f"ready-{turn}"
        command = [sys.executable, str(WORKER), root, str(ready), str(turn % 3), *filter(None, [url])]
        process = warm.Popen(command, stderr=warm.PIPE)
        while not ready.exists():
            assert process.poll() is None, process.stderr.read().decode()  # type: ignore[union-attr]
            time.sleep(0.005)
        time.sleep(chance.uniform(0.0, 0.35))
        process.kill()
        _, errors = process.communicate(timeout=30)
        assert errors == b""
        with place.open(create=False) as store:
            assert list((store.folder / "objects" / ".tmp").iterdir()) == []
            for key in (f"{kind}-{number}" for kind in ("key", "text") for number in range(7)):
                entry = store.artifact(key)
                if entry is not None:
                    store.load_artifact(entry)
            if not store.runs():
                continue
            assert {run["status"] for run in store.runs(limit=9999)} <= {"finished", "interrupted"}
            numbers = [version["number"] for version in store.versions()]
            assert numbers == list(range(1, len(numbers) + 1))
            for version in store.versions():
                text = (store.open_bundle(version["reference"]) / "model.txt").read_text()
                assert text.startswith(version["run_id"])
            moved = store.history("email") if numbers else []
            if moved:
                assert store.version("email")["reference"] == moved[-1]["to"]
    with place.open() as store:
        assert len(store.versions()) >= sum(turn % 3 for turn in range(10))
