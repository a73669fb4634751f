"""What nothing needs is found and removed; what an alias, the log, a prediction or a server needs never is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_place import Place
from store_worker import make_bundle

from mlframe.errors import BundleError, ConfigError, StoreError, UnknownNameError
from mlframe.pipeline import Learning, Pipeline
from mlframe.serving.prediction_log import Logged, PredictionLog
from mlframe.store import Store
from mlframe.store import metadata as db
from mlframe.store.objects import process_start
from mlframe.store.predictions import scan_predictions


def register(store: Store, folder: Path, count: int, name: str = "email", text: str = "") -> list[str]:
    made = []
    for _ in range(count):
        number = len(list(folder.glob(f"{name}-*")))
        bundle = make_bundle(folder / f"{name}-{number}", text or f"{name} {number} " + "x" * 5000)
        made.append(store.register(name, bundle, run_id=f"r{number}", figures={}, facts={}))
    return made


def promote(store: Store, reference: str, alias: str = "champion") -> None:
    store.promote(reference, alias=alias, who="ada", why="", evidence={})


def left(store: Store) -> list[str]:
    return [version["reference"] for version in store.versions()]


def objects(store: Store) -> set[str]:
    return {path.name for path in (store.folder / "objects").glob("[!.]*/*") if path.is_file()}


def age(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files that nothing refers to count as left behind at once."""
    monkeypatch.setattr("mlframe.store.garbage.ORPHANED", -1.0)


def test_old_versions_go_and_the_newest_stay(store: Store, tmp_path: Path):
    register(store, tmp_path, 5)
    register(store, tmp_path, 2, "churn")
    found = store.garbage(keep=2)
    assert list(found.versions) == ["email/3", "email/2", "email/1"]
    assert all(size > 5000 for size in found.versions.values())
    assert {item.reference: item.why for item in found.kept} == {
        **dict.fromkeys(["churn/1", "churn/2", "email/4", "email/5"], "one of the newest 2")
    }
    assert len(left(store)) == 7  # nothing was removed yet
    before = objects(store)
    done = store.garbage(keep=2, delete=True)
    assert done.versions == found.versions
    assert done.freed == found.freed > 15_000
    assert left(store) == ["churn/1", "churn/2", "email/4", "email/5"]
    assert len(before - objects(store)) == 6  # a model and a manifest each
    assert store.garbage(keep=2).versions == {}
    with pytest.raises(UnknownNameError):
        store.version("email/1")
    assert register(store, tmp_path, 1) == ["email/6"]  # numbers are not given again


def test_what_aliases_point_at_or_ever_did_stays(store: Store, tmp_path: Path):
    register(store, tmp_path, 6)
    for number in (1, 3):
        promote(store, f"email/{number}")
    promote(store, "email/2", "staging")
    promote(store, "email/4", "staging")
    found = store.garbage(keep=1, delete=True)
    assert list(found.versions) == ["email/5"]
    why = {item.reference: item.why for item in found.kept}
    assert why["email/3"] == "is email@champion"
    assert why["email/1"] == "was email@champion: a rollback may come back to it"
    assert why["email/4"] == "is email@staging"
    assert store.rollback("email", who="ada", why="")["to"] == "email/1"
    assert store.rollback("email", alias="staging", who="ada", why="")["to"] == "email/2"
    for reference in left(store):
        store.open_bundle(reference)


@pytest.mark.parametrize("closed", [True, False])
def test_what_made_logged_predictions_stays(store: Store, tmp_path: Path, closed: bool):
    register(store, tmp_path, 4)
    learning = Learning("binary", "bought", ("no", "yes"), ("no", "yes"))
    pipeline = Pipeline(None, learning, [{"name": "age", "dtype": "Int64", "tags": []}])  # type: ignore[arg-type]
    log = PredictionLog(store.folder / "predictions" / "email", "w", salt=store.pii_salt(), flush=0.01)
    log.introduce("email/2", pipeline)
    log.add(Logged("a", time.time(), "email/2", "shadow", {"age": [7]}, 1, np.array([[0.5, 0.5]]), 0.001))
    if closed:
        log.close()
    else:  # the writer is at work: rows are in its open stream
        while scan_predictions(store, "email").collect().is_empty():
            time.sleep(0.01)
    found = store.garbage(keep=1, delete=True)
    log.close()
    assert left(store) == ["email/2", "email/4"]
    assert {item.reference: item.why for item in found.kept}["email/2"] == "made predictions that are in the log"


def serve(store: Store, versions: list[str], **values: Any) -> None:
    own = {
        "id": "server-1",
        "name": "email",
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "pid_started": process_start(os.getpid()),
        "started": db.now(),
        "seen": db.now(),
        "record": {"versions": versions},
    }
    with store._database.write("recording a server") as connection:
        connection.execute(db.servers.insert().values({**own, **values}))


def test_what_a_running_server_holds_stays(store: Store, tmp_path: Path):
    register(store, tmp_path, 5)
    serve(store, ["email/1"])
    serve(store, ["email/2"], id="server-2", host="elsewhere", pid_started=None)
    long_ago = (datetime.now(UTC) - timedelta(days=2)).isoformat(timespec="microseconds")
    serve(store, ["email/3"], id="server-3", host="elsewhere", pid_started=None, seen=long_ago)
    with subprocess.Popen([sys.executable, "-c", "pass"]) as gone:
        pass
    serve(store, ["email/4"], id="server-4", pid=gone.pid, pid_started="1")
    found = store.garbage(keep=1, delete=True)
    assert left(store) == ["email/1", "email/2", "email/5"]
    assert {item.reference: item.why for item in found.kept}["email/2"] == "held by the server server-2 on elsewhere"


def test_files_that_others_use_are_neither_counted_nor_removed(store: Store, tmp_path: Path):
    register(store, tmp_path, 3, text="the same model " * 1000)
    store.save_artifact("key", step="s", kind="files", name="x", value=[tmp_path / "email-0" / "model.txt"])
    found = store.garbage(keep=1, delete=True)
    assert sum(found.versions.values()) == 0  # manifests are the same as well
    assert (store.open_bundle("email/3") / "model.txt").read_text().startswith("the same model")
    entry = store.artifact("key")
    assert entry is not None
    store.load_artifact(entry)


def test_orphans_go_when_they_are_old_enough(store: Store, monkeypatch: pytest.MonkeyPatch):
    with store._objects.scratch() as scratch:
        (scratch / "left").write_text("behind" * 100)
        address, _ = store._objects.put(scratch / "left")
    assert store.garbage(keep=1).orphans == {}
    age(store, monkeypatch)
    assert store.garbage(keep=1).orphans == {address: 600}
    assert address in objects(store)
    assert store.garbage(keep=1, delete=True).freed == 600
    assert address not in objects(store)


def test_folders_of_old_runs_go_only_when_asked(store: Store, tmp_path: Path):
    ids = []
    for number in range(3):
        ids.append(store.start_run(task="train", name="email", group=None, config={}, unresolved={}, facts={}))
        (store.run_folder(ids[-1]) / "log.txt").write_text("x" * 1000)
        if number < 2:
            store.finish_run(ids[-1], "finished", {})
    bundle = make_bundle(tmp_path / "bundle", "tree")
    store.register("email", bundle, run_id=ids[0], figures={}, facts={})
    assert store.garbage(keep=1, delete=True).runs == {}
    assert store.garbage(keep=1, run_days=1, delete=True).runs == {}  # none is that old
    found = store.garbage(keep=1, run_days=0)
    assert {path.name: size for path, size in found.runs.items()} == {ids[1]: 1000}
    store.garbage(keep=1, run_days=0, delete=True)
    assert sorted(path.name for path in (store.folder / "runs").iterdir()) == sorted([ids[0], ids[2]])
    assert store.run(ids[1])["status"] == "finished"  # its record stays


def test_impossible_values_are_refused(store: Store, tmp_path: Path):
    register(store, tmp_path, 1)
    for bad in ({"keep": 0}, {"keep": 1, "run_days": -1}):
        with pytest.raises(ConfigError):
            store.garbage(**bad, delete=True)  # type: ignore[arg-type]
    assert left(store) == ["email/1"]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moves=st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["champion", "staging"]), st.booleans()), max_size=6),
    keep=st.integers(1, 4),
)
def test_whatever_happened_rollbacks_work_afterwards(
    place: Place, tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[int, str, bool]], keep: int
):
    folder = tmp_path_factory.mktemp("moves")
    with place.open(folder.name) as store:
        register(store, folder, 6)
        for number, alias, back in moves:
            promote(store, f"email/{number}", alias)
            if back:
                with suppress(StoreError):  # nothing before it
                    store.rollback("email", alias=alias, who="ada", why="")
        store.garbage(keep=keep, delete=True)
        named = {reference for move in store.history("email") for reference in (move["from"], move["to"]) if reference}
        newest = {f"email/{number}" for number in range(7 - keep, 7)}
        assert set(left(store)) == named | newest
        for reference in left(store):
            store.open_bundle(reference)


def _collect(root: str, url: str | None, done: str) -> int:
    removed = 0
    with Store.open(root, url, timeout=60) as store:
        while not Path(done).exists():
            removed += len(store.garbage(keep=1, delete=True).versions)
    return removed


def _work(root: str, url: str | None, folder: str) -> None:
    """Register and promote; what was promoted must be there and open."""
    with Store.open(root, url, timeout=60) as store:
        for turn in range(12):
            bundle = make_bundle(Path(folder) / str(turn), f"same {turn % 3}")
            reference = store.register("email", bundle, run_id="r", figures={}, facts={})
            try:
                store.promote(reference, who="w", why="", evidence={})
            except UnknownNameError:  # collected before: another one was newer
                continue
            try:
                store.open_bundle(reference)
            except BundleError as error:
                raise AssertionError(f"{reference} was promoted and lost a file") from error


def test_collecting_beside_those_who_register_and_promote(place: Place, tmp_path: Path):
    place.open().close()
    done = tmp_path / "done"
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        collectors = [pool.submit(_collect, *place.where(), str(done)) for _ in range(2)]
        workers = [pool.submit(_work, *place.where(), str(tmp_path / f"w{number}")) for number in range(2)]
        try:
            for job in workers:
                job.result(timeout=120)
        finally:
            done.touch()
        removed = sum(job.result(timeout=120) for job in collectors)
    with place.open() as store:
        assert len(left(store)) == 24 - removed
        for reference in left(store):
            store.open_bundle(reference)
