"""Runs, steps, holdout uses, and what makes a store refuse to open or write."""

from __future__ import annotations

import multiprocessing
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from store_place import Place

from mlframe.errors import StoreError, UnknownNameError
from mlframe.store import Store


def start(store: Store, **more: Any) -> str:
    fields: dict[str, Any] = {"task": "train", "name": "email", "group": None}
    return store.start_run(**{**fields, **more}, config={"seed": 1}, unresolved={"seed": "${x}"}, facts={"python": "3"})


def test_a_run_is_kept_from_start_to_end(store: Store):
    run_id = start(store)
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{4}", run_id)
    assert store.run(run_id)["status"] == "running"
    assert store.run_folder(run_id).is_dir()
    store.update_run(run_id, facts={"git": "abc"}, data={"rows": np.int64(3)})
    store.update_run(run_id, fingerprint="f")
    store.record_step(run_id, "ingest", seconds=0.5, cached=False, key="k", peak_memory=2**40, status="finished")
    store.record_step(run_id, "fit", seconds=1, cached=False, key=None, peak_memory=None, status="failed", error="no")
    store.finish_run(run_id, "failed", {"auc": float("nan"), "loss": np.float32(0.5), "path": Path("a")})
    run = store.run(run_id[:-2])
    assert (run["status"], run["facts"], run["data"], run["fingerprint"]) == (
        "failed",
        {"git": "abc"},
        {"rows": 3},
        "f",
    )
    assert run["summary"] == {"auc": None, "loss": 0.5, "path": "a"}
    assert (run["config"], run["unresolved"]) == ({"seed": 1}, {"seed": "${x}"})
    assert run["started"] < run["finished"]
    assert [(item["step"], item["status"], item["error"]) for item in store.steps(run_id)] == [
        ("ingest", "finished", None),
        ("fit", "failed", "no"),
    ]
    assert store.steps(run_id)[0]["peak_memory"] == 2**40


def test_runs_are_listed_latest_first_and_filtered(store: Store):
    ids = [start(store, name=name, group=group) for name, group in (("a", None), ("b", "g"), ("a", "g"))]
    store.finish_run(ids[0], "finished", {})
    assert [run["id"] for run in store.runs()] == ids[::-1]
    assert [run["id"] for run in store.runs(limit=1)] == ids[2:]
    assert [run["id"] for run in store.runs(name="a", group="g")] == ids[2:]
    assert [run["id"] for run in store.runs(status="finished")] == ids[:1]


def test_an_unknown_or_ambiguous_run_is_refused(store: Store):
    with pytest.raises(UnknownNameError, match="train a model first"):
        store.run("2026")
    ids = [start(store), start(store)]
    with pytest.raises(UnknownNameError, match="more than one run"):
        store.run(ids[0][:4])
    with pytest.raises(UnknownNameError, match="did you mean"):
        store.run(f"{ids[0]}0")
    for act in (
        lambda: store.run("%"),
        lambda: store.run(""),
        lambda: store.update_run("nope", a=1),
        lambda: store.finish_run("nope", "finished", {}),
        lambda: store.record_step("nope", "fit", seconds=0, cached=False, key=None, peak_memory=0, status="finished"),
        lambda: store.record_holdout("nope", data_fingerprint="f", split_key="k"),
    ):
        with pytest.raises(UnknownNameError, match="no run"):
            act()
    with pytest.raises(UnknownNameError, match="'status'"):
        store.update_run(ids[0], status="finished")


def test_a_run_whose_process_has_gone_is_interrupted(store: Store, place: Place):
    code = (
        "import os, sys; from mlframe.store import Store; s = Store.open(*sys.argv[1:]);"
        "print(s.start_run(task='t', name='n', group=None, config={}, unresolved={}, facts={}), flush=True); os._exit(9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *filter(None, place.where())],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    mine = start(store)
    assert [(run["id"], run["status"]) for run in store.runs()] == [
        (mine, "running"),
        (done.stdout.strip(), "interrupted"),
    ]
    assert [run["id"] for run in store.runs(status="interrupted")] == [done.stdout.strip()]


def test_a_look_at_the_holdout_counts_once_a_run(store: Store):
    ids = [start(store), start(store)]
    for run_id in (*ids, ids[0]):
        store.record_holdout(run_id, data_fingerprint="f", split_key="k")
    assert store.holdout_uses("k") == 2
    assert store.holdout_uses("other") == 0


def test_what_json_cannot_say_is_refused(store: Store):
    with pytest.raises(StoreError, match="cannot be kept"):
        store.update_run(start(store), thing=object())


# --------------------------------------------------------------------------------------------- opening and refusing


def test_opening_makes_the_layout_and_opening_again_keeps_it(tmp_path: Path):
    root = tmp_path / "deep" / "größe"
    with Store.open(str(root)) as store:
        run_id = start(store)
    assert {path.name for path in root.iterdir()} >= {"mlframe.db", "objects", "runs", "predictions", "feedback"}
    with Store.open(root.as_uri().replace("%C3%B6", "ö").replace("%C3%9F", "ß"), create=False) as store:
        assert store.run(run_id)["id"] == run_id


def test_a_store_that_is_not_there_is_not_made_unasked(tmp_path: Path):
    with pytest.raises(StoreError, match="no store here"):
        Store.open(str(tmp_path / "nothing"), create=False)
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(StoreError, match="no store here"):
        Store.open(str(tmp_path), create=False)
    assert not (tmp_path / "mlframe.db").exists()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path):
    (tmp_path / "mlframe.db").write_text("not a database " * 100)
    with pytest.raises(StoreError, match="damaged"):
        Store.open(str(tmp_path))


def test_a_locked_store_is_refused_after_the_timeout(tmp_path: Path):
    Store.open(str(tmp_path)).close()
    other = sqlite3.connect(tmp_path / "mlframe.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Store.open(str(tmp_path), timeout=0.2) as store:
        with pytest.raises(StoreError, match="locked by another process") as caught:
            start(store)
        assert "run the same command again" in str(caught.value)
        other.execute("COMMIT")
        other.close()
        assert store.runs() == []
        start(store)


def test_a_full_database_keeps_what_was_there(tmp_path: Path):
    import sqlalchemy as sa

    with Store.open(str(tmp_path)) as store:
        first = start(store)
        store._database._engine.dispose()

        @sa.event.listens_for(store._database._engine, "connect")
        def no_growth(connection: Any, record: Any) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")

        with pytest.raises(StoreError, match="no space left"):
            store.update_run(first, text="x" * 500_000)
        assert "text" not in store.run(first)


def _as_nobody(root: str, answers: Any) -> None:
    os.setgid(65534)
    os.setuid(65534)
    try:
        Store.open(root)
    except StoreError as error:
        answers.put(str(error))
    else:
        answers.put("opened")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_store_that_may_not_be_written_is_refused():
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)
        context = multiprocessing.get_context("fork")
        answers = context.Queue()
        process = context.Process(target=_as_nobody, args=(str(folder), answers))
        process.start()
        text = answers.get(timeout=30)
        process.join()
    finally:
        shutil.rmtree(folder)
    assert text.startswith("The store cannot be written")
    assert "store.root" in text


def test_a_bad_database_address_is_refused_without_its_password(tmp_path: Path):
    with pytest.raises(StoreError, match=r"store\.url"):
        Store.open(str(tmp_path), "nonsense")
    with pytest.raises(StoreError, match=r"store\.url"):
        Store.open(str(tmp_path), "nosuchdb://user:secret@host/db")
    with pytest.raises(StoreError) as caught:
        Store.open(str(tmp_path), f"sqlite:///{tmp_path}/absent/x.db")
    assert "refused" in str(caught.value)


def test_opening_the_package_is_light():
    code = "import sys, mlframe.store; assert not {'sqlalchemy', 'polars', 'numpy', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# --------------------------------------------------------------------------------------------- elsewhere


def test_a_remote_root_needs_a_database_server():
    with pytest.raises(StoreError, match=r"store\.url"):
        Store.open("memory://team")
    with pytest.raises(StoreError, match="address cannot be used"):
        Store.open("nosuch://team", "sqlite://")


def test_objects_live_at_a_remote_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from mlframe.store.bundle import write_manifest

    url = f"sqlite:///{tmp_path}/team.db"
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "model.txt").write_text("tree")
    write_manifest(bundle, name="email", run_id="r", files=["model.txt"], extra={})
    big = {"x": np.arange(1_000_000)}
    monkeypatch.setenv("MLFRAME_CACHE", str(tmp_path / "one"))
    with Store.open("memory://team", url) as store:
        store.register("email", bundle, run_id="r", figures={}, facts={})
        store.save_artifact("small", step="s", kind="json", name="x", value=[1])
        store.save_artifact("big", step="s", kind="arrays", name="x", value=big)
    monkeypatch.setenv("MLFRAME_CACHE", str(tmp_path / "two"))  # another machine: nothing is there yet
    with Store.open("memory://team", url, create=False) as store:
        assert (store.open_bundle("email/1") / "model.txt").read_text() == "tree"
        for key, value in (("small", [1]), ("big", big)):
            entry = store.artifact(key)
            assert entry is not None
            np.testing.assert_equal(store.load_artifact(entry), value)
        assert store.evict(0) > 8_000_000
        assert store.artifact("big") is None
        assert (store.open_bundle("email/1") / "model.txt").read_text() == "tree"
