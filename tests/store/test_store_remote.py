"""A team's store: tables on PostgreSQL, files on an S3-compatible server, and machines with copies of their own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
import servers
from store_worker import make_bundle

from mlframe.errors import BundleError, StoreError
from mlframe.store import Store
from mlframe.testing.plugin import CliResult

Machine = Callable[[str], Store]


@pytest.fixture
def bucket(s3_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Give an empty bucket; the environment leads to its server, as a user's would."""
    for name, value in s3_server.items():
        monkeypatch.setenv(name, value)
    name = f"team-{uuid.uuid4().hex[:12]}"
    files().mkdir(name)
    return name


def files() -> fsspec.AbstractFileSystem:
    return fsspec.filesystem("s3", use_listings_cache=False)


@pytest.fixture
def machine(
    bucket: str, postgres: servers.Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Machine]:
    """Open the team's store as a machine of its own, with nothing in its local copies at first."""
    opened: list[Store] = []
    with postgres.schema() as url:

        def on(name: str) -> Store:
            monkeypatch.setenv("MLFRAME_CACHE", str(tmp_path / name))
            opened.append(Store.open(f"s3://{bucket}/mlframe", url))
            return opened[-1]

        yield on
        for store in opened:
            store.close()


def register(store: Store, folder: Path, text: str = "tree") -> str:
    return store.register("email", make_bundle(folder / uuid.uuid4().hex, text), run_id="r", figures={}, facts={})


def test_two_machines_share_versions_and_the_step_cache(machine: Machine, tmp_path: Path):
    big = {"x": np.arange(1_000_000)}
    one = machine("one")
    assert register(one, tmp_path) == "email/1"
    one.promote("email/1", who="ada", why="", evidence={})
    one.save_artifact("big", step="s", kind="arrays", name="x", value=big)
    two = machine("two")
    assert (two.open_bundle("email") / "model.txt").read_text() == "tree"
    entry = two.artifact("big")
    assert entry is not None
    np.testing.assert_equal(two.load_artifact(entry), big)
    assert register(two, tmp_path, "wood") == "email/2"
    assert (one.open_bundle("email/2") / "model.txt").read_text() == "wood"
    assert two.evict(0) > 8_000_000
    assert two.artifact("big") is None
    assert (machine("three").open_bundle("email/1") / "model.txt").read_text() == "tree"


def test_what_was_changed_or_removed_on_the_server_is_not_opened(machine: Machine, bucket: str, tmp_path: Path):
    one = machine("one")
    register(one, tmp_path)
    digest = one.version("email/1")["files"]["model.txt"]["sha256"]
    path = f"{bucket}/mlframe/objects/{digest[:2]}/{digest}"
    files().pipe_file(path, b"TREE")
    with pytest.raises(BundleError, match=r"'model\.txt' is not what was registered"):
        machine("two").open_bundle("email/1")
    files().rm_file(path)
    with pytest.raises(BundleError, match="no file at"):
        machine("two").open_bundle("email/1")
    assert register(one, tmp_path) == "email/2"  # puts the file there again
    assert (machine("two").open_bundle("email/1") / "model.txt").read_text() == "tree"


def test_a_file_that_another_machine_evicts_meanwhile_is_put_again(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Two machines have the same file; one drops it between the other's upload and its record of the version."""
    from mlframe.store.versions import Versions

    one, two = machine("one"), machine("two")
    folder = make_bundle(tmp_path / "bundle", "[1]")
    one.save_artifact("key", step="s", kind="files", name="x", value=[folder / "model.txt"])
    put = Versions._put
    turns: list[int] = []

    def put_then_lose(self: Versions, *given: object) -> object:
        found = put(self, *given)  # type: ignore[arg-type]
        turns.append(1)
        if len(turns) == 1:
            assert one.evict(0) > 0
        return found

    monkeypatch.setattr(Versions, "_put", put_then_lose)
    two.register("email", folder, run_id="r", figures={}, facts={})
    assert len(turns) == 2
    assert (machine("three").open_bundle("email/1") / "model.txt").read_text() == "[1]"


def test_a_server_that_is_not_there_is_told_without_a_traceback(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3 = type(files())
    s3.clear_instance_cache()
    monkeypatch.setattr(s3, "retries", 1)
    with pytest.raises(StoreError, match=r"cannot be reached|failed") as caught:
        register(machine("one"), tmp_path)
    assert "store.root" in str(caught.value)
    s3.clear_instance_cache()


def test_the_environment_names_a_teams_store(
    bucket: str, postgres: servers.Postgres, run_cli: Callable[..., CliResult], monkeypatch: pytest.MonkeyPatch
):
    with postgres.schema() as url:
        monkeypatch.setenv("MLFRAME_CACHE", str(Path("cache").absolute()))
        monkeypatch.setenv("MLFRAME_HOME", f"s3://{bucket}/team")
        refused = run_cli("versions")
        assert refused.code == 2
        assert "store.url" in refused.err
        monkeypatch.setenv("MLFRAME_STORE_URL", url)
        assert "OK" in run_cli("doctor").out.upper()
        assert "no versions here yet" in run_cli("versions").out
        # A root that is given is somewhere else, and so are its tables.
        assert run_cli("versions", "store.root=here").code == 2
        monkeypatch.setenv("TEAM_DB", url)
        monkeypatch.delenv("MLFRAME_STORE_URL")
        assert "no versions here yet" in run_cli("versions", "store.url=${oc.env:TEAM_DB}").out
        unset = run_cli("versions", "store.url=${oc.env:NOT_SET}")
        assert unset.code == 2
        assert "NOT_SET" in unset.err
