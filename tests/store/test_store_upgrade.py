"""Stores of older versions: refused, upgraded on request after a backup, and then the same as new ones."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from old_stores import make_old
from store_place import Place

from mlframe.errors import StoreError
from mlframe.store import Store
from mlframe.store import metadata as db
from mlframe.store.migrations import migrate
from mlframe.testing.plugin import CliResult

OLD = [1, 2]
NEWEST = db.SCHEMA_VERSION


@pytest.fixture
def pg_dump(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """See to it that pg_dump is found: Debian keeps the server's own one off the PATH."""
    if place.kind == "postgresql" and shutil.which("pg_dump") is None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not found:
            pytest.skip("pg_dump is not installed")
        monkeypatch.setenv("PATH", f"{found[-1]}:{os.environ['PATH']}")


def difference(place: Place, name: str = "store") -> list[object]:
    """Return what Alembic would change to make a store's tables those of the code."""
    root, url = place.where(name)
    engine = sa.create_engine(url or f"sqlite:///{root}/mlframe.db", poolclass=sa.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": db.revision.name})
        found = compare_metadata(context, db.TABLES)
    # Alembic leaves its own table out of what it finds.
    return [change for change in found if getattr(change[1], "name", None) != db.revision.name]


def stamp(place: Place) -> tuple[str, str]:
    root, url = place.where()
    engine = sa.create_engine(url or f"sqlite:///{root}/mlframe.db", poolclass=sa.NullPool)
    with engine.connect() as connection:
        schema = connection.execute(sa.select(db.meta.c.value).where(db.meta.c.key == "schema")).scalar_one()
        return schema, connection.execute(sa.select(db.revision.c.version_num)).scalar_one()


def is_whole(store: Store, schema: int) -> None:
    """Check that everything is there that the older version had written."""
    assert [item["reference"] for item in store.versions()] == ["email/1", "email/2", "email/3"]
    assert store.version("email")["reference"] == "email/1"
    assert store.version("email@staging")["reference"] == "email/2"
    assert [(item["to"], item["why"]) for item in store.history("email")] == [
        ("email/1", "first"),
        ("email/3", "größer"),
        ("email/2", ""),
        ("email/1", "complaints"),
    ]
    for number in (1, 2, 3):
        assert (store.open_bundle(f"email/{number}") / "model.txt").read_text() == f"tree {number}\n"
    assert [run["status"] for run in store.runs()] == ["finished"] * 3
    assert store.holdout_uses("k") == 3
    entry = store.artifact("key")
    assert entry is not None
    assert store.load_artifact(entry) == [1]
    if schema >= 2:
        assert store.sweep_jobs(store.sweep("last")["id"])[0]["score"] == 0.5


@pytest.mark.parametrize("schema", OLD)
def test_an_older_store_is_refused_with_the_command_that_upgrades_it(place: Place, schema: int):
    make_old(place, schema)
    with pytest.raises(StoreError, match=f"version {schema}, this mlframe works with version {NEWEST}") as caught:
        place.open()
    assert "python -m mlframe store upgrade" in str(caught.value)


@pytest.mark.parametrize("schema", OLD)
@pytest.mark.usefixtures("pg_dump")
def test_an_older_store_is_upgraded_and_whole(place: Place, schema: int):
    make_old(place, schema)
    done = Store.upgrade(*place.where())
    assert (done.before, done.after) == (schema, NEWEST)
    assert difference(place) == []
    assert stamp(place) == (str(NEWEST), str(NEWEST))
    with place.open(create=False) as store:
        is_whole(store, schema)
        store.promote("email/3", who="ada", why="", evidence={})
        assert store.rollback("email", who="ada", why="")["to"] == "email/1"
        store.start_run(task="train", name="email", group=None, config={}, unresolved={}, facts={})
        store.start_sweep("email", {})
    again = Store.upgrade(*place.where())
    assert (again.before, again.after, again.backup) == (NEWEST, NEWEST, None)


@pytest.mark.parametrize("schema", OLD)
@pytest.mark.usefixtures("pg_dump")
def test_the_backup_brings_the_older_store_back(place: Place, schema: int):
    make_old(place, schema)
    done = Store.upgrade(*place.where())
    assert done.backup is not None
    assert done.backup.parent == Path(place.where()[0]) / "backups"
    if place.kind == "sqlite":
        connection = sqlite3.connect(done.backup)
        assert connection.execute("SELECT value FROM mlframe_meta WHERE key = 'schema'").fetchone() == (str(schema),)
        assert connection.execute("SELECT count(*) FROM mlframe_versions").fetchone() == (3,)
        connection.close()
    else:
        name = sa.make_url(str(place.where()[1])).query["options"].partition("=")[2]
        command = ["pg_restore", "--file=-", f"--schema={name}", str(done.backup)]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert f"schema\t{schema}\n" in text
        assert text.count("\nemail\t") > 3


def test_new_stores_and_migrated_ones_have_the_same_tables(place: Place):
    place.open().close()
    assert difference(place) == []
    assert stamp(place) == (str(NEWEST), str(NEWEST))
    root, url = place.where("migrated")
    Path(root).mkdir()
    database = db.Database(url or f"sqlite:///{root}/mlframe.db", timeout=10)
    with database.write("making tables") as connection:
        migrate(connection)
    database.close()
    assert difference(place, "migrated") == []
    place.open("migrated", create=False).close()


def test_windows_and_alarms_of_version_4_get_the_source_that_their_records_name(place: Place):
    root, url = place.where()
    Path(root).mkdir()
    database = db.Database(url or f"sqlite:///{root}/mlframe.db", timeout=10)
    moments = {"since": "2026-11-01", "until": "2026-11-02", "observed": "2026-11-03"}
    held = {"name": "email", "version": "email/1", **moments, "rows": 5, "run_id": "run"}
    alarm = {"name": "email", "severity": "info", "status": "open", "first": "2026-11-01", "last": "2026-11-02"}
    with database.write("making version 4") as connection:
        migrate(connection, 4)
        old = sa.MetaData()
        windows, alarms = (sa.Table(f"mlframe_{name}", old, autoload_with=connection) for name in ("windows", "alarms"))
        connection.execute(windows.insert().values(**held, record={"source": "log"}))
        connection.execute(
            windows.insert().values({**held, "since": "2026-11-02"} | {"record": {"source": "input=a.csv"}})
        )
        connection.execute(alarms.insert().values(**alarm, key="drift/a", record={"source": "data.source"}))
        connection.execute(alarms.insert().values(**alarm, key="champion/gone", record={}))
    database.close()
    Store.upgrade(*place.where(), saved=True)
    assert difference(place) == []
    with place.open() as store:
        assert [row["since"].day for row in store.windows.many("email")] == [1]
        assert [row["since"].day for row in store.windows.many("email", source="input=a.csv")] == [2]
        assert [row["key"] for row in store.alarms.many("email")] == ["champion/gone"]
        assert [row["key"] for row in store.alarms.many("email", source="data.source")] == ["drift/a"]
        first = store.windows.many("email")[0]
        same = (first["name"], first["version"], first["since"], first["until"])
        store.windows.put(*same, 3, "run", {}, source="input=a.csv")
        assert store.windows.many("email")[0]["rows"] == 5


def test_an_upgrade_that_fails_changes_nothing(place: Place):
    make_old(place, 1)
    root, url = place.where()
    engine = sa.create_engine(url or f"sqlite:///{root}/mlframe.db", poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE mlframe_keys (own INTEGER)"))
    with pytest.raises(StoreError, match="already exists"):
        Store.upgrade(*place.where(), saved=True)
    assert not sa.inspect(engine).has_table("mlframe_sweeps")
    with pytest.raises(StoreError, match="schema is version 1"):
        place.open()
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE mlframe_keys"))
    Store.upgrade(*place.where(), saved=True)
    with place.open() as store:
        is_whole(store, 1)


def test_a_newer_store_is_neither_opened_nor_upgraded(place: Place):
    place.open().close()
    root, url = place.where()
    engine = sa.create_engine(url or f"sqlite:///{root}/mlframe.db", poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(db.meta.update().where(db.meta.c.key == "schema").values(value="99"))
    for act in (place.open, lambda: Store.upgrade(*place.where())):
        with pytest.raises(StoreError, match=f"version 99, this mlframe knows version {NEWEST}") as caught:
            act()
        assert "upgrade mlframe" in str(caught.value)


def test_there_must_be_a_store(place: Place):
    with pytest.raises(StoreError, match="no store here"):
        Store.upgrade(*place.where())
    assert not Path(place.where()[0], "mlframe.db").exists()


def test_without_pg_dump_a_backup_is_asked_for(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    if place.kind == "sqlite":
        place = Place(place.folder, "sqlite", None, place.made)
        make_old(place, 2)
        assert Store.upgrade(*place.where(), saved=True).backup is None
        return
    make_old(place, 2)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreError, match="pg_dump is not installed") as caught:
        Store.upgrade(*place.where())
    assert "--saved" in str(caught.value)
    with pytest.raises(StoreError, match="schema is version 2"):
        place.open()
    assert Store.upgrade(*place.where(), saved=True).after == NEWEST


def _upgrade(root: str, url: str | None) -> int:
    return Store.upgrade(root, url, saved=True, timeout=60).before


def test_two_processes_that_upgrade_at_once_do_it_once(place: Place):
    make_old(place, 1)
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        found = [job.result(timeout=60) for job in [pool.submit(_upgrade, *place.where()) for _ in range(3)]]
    assert sorted(found)[0] == 1
    assert stamp(place) == (str(NEWEST), str(NEWEST))
    with place.open() as store:
        is_whole(store, 1)


@pytest.mark.usefixtures("pg_dump")
def test_from_the_command_line(place: Place, run_cli: Callable[..., CliResult]):
    make_old(place, 2)
    root, url = place.where()
    here = [f"store.root={root}", *([f"store.url={url}"] if url else [])]
    refused = run_cli("versions", *here)
    assert refused.code == 2
    assert "python -m mlframe store upgrade" in refused.err
    assert "Traceback" not in refused.err
    done = run_cli("store", "upgrade", *here)
    assert done.code == 0, done.err
    assert f"schema is version {NEWEST} now (it was 2)" in done.out
    backup = Path(done.out.rpartition("backup: ")[2].strip())
    assert backup.is_file()
    assert "email/3" in run_cli("versions", *here).out
    assert "nothing to do" in run_cli("store", "upgrade", *here).out
    assert run_cli("store", "downgrade", *here).code == 2
    nowhere = run_cli("store", "upgrade", f"store.root={root}/nowhere")
    assert nowhere.code == 2
    assert "There is no store here" in nowhere.err
