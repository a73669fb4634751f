"""Faults: limits, kills, signals, a store that cannot be used, and W&B out of reach. Nothing is left half-written."""

from __future__ import annotations

import contextlib
import ctypes
import random
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from workbench import FAST, TABLE, Bench, finish, nothing_kept, refused, spawn

from mlframe.store.metadata import SCHEMA_VERSION
from mlframe.store.store import Store

STEPS = (
    "ingest",
    "verify",
    "label",
    "split",
    "assess",
    "fit",
    "score",
    "refit",
    "evaluate",
    "gate",
    "register",
    "report",
)
"""The steps of the fastest training run, in order."""

KILLED = ("ingest", "label", "fit", "score", "evaluate", "register", "report")

PROJECT = """
import os, signal, time
from pathlib import Path

import mlframe
from mlframe import Component, hookimpl
from mlframe.contracts import Tracker


@hookimpl
def mlframe_trackers():
    return [Component("diary", "mlframe_project:Diary", "writes down what it is told")]


@hookimpl
def mlframe_before_step(run, step):
    if step == os.environ.get("WAIT_BEFORE"):
        Path("waiting").touch()
        time.sleep(60)


@hookimpl
def mlframe_after_step(run, step, seconds, cached):
    if step == os.environ.get("DIE_AFTER"):
        os.kill(os.getpid(), signal.SIGKILL)


class Diary(Tracker):
    def write(self, line):
        with open("diary.txt", "a") as file:
            file.write(line + "\\n")

    def open(self, run):
        self.write("open")

    def figures(self, values):
        pass

    def close(self, status):
        self.write("close " + status)
"""
"""A project's own file: a tracker that keeps a diary, and steps that wait or die on demand."""


@pytest.fixture
def project(bench: Bench) -> Bench:
    """Give a working directory whose project waits before a step or dies after one."""
    bench.write(PROJECT, "mlframe_project.py")
    return bench


def wait_for(path: Path, process: subprocess.Popen[str], seconds: float = 60) -> None:
    """Wait until a process has made a file."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"the process never came to {path.name}: {process.communicate()}")
        time.sleep(0.02)


# ------------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("resources.step_seconds=0.0001", ("The step ingest took longer than resources.step_seconds=0.0001",)),
        ("resources.memory=10MB", ("The step ingest holds", "more than resources.memory=10 MB")),
    ],
)
def test_a_limit_that_a_step_passes(bench: Bench, override: str, words: tuple[str, ...]):
    refused(bench.train(override), *words, "raise the limit", code=1)
    nothing_kept(bench, runs=1)
    assert bench.train().code == 0


STUCK = """
import time
from mlframe import Component, hookimpl

@hookimpl
def mlframe_labelers():
    return [Component("stuck", "{module}:Stuck", "never comes to an end")]

class Stuck:
    def label(self, table):
        for _ in range(600):
            time.sleep(0.1)
"""


def test_a_step_that_never_ends_is_stopped(bench: Bench, install_plugin: Callable[..., Path]):
    install_plugin("stuck", STUCK.format(module="stuck_module"), module="stuck_module")
    assert bench.train().code == 0  # the steps before are in the cache now, and no limit is theirs
    began = time.monotonic()
    result = bench.train("labeler=stuck", "resources.step_seconds=0.5")
    refused(result, "The step label took longer than resources.step_seconds=0.5 s", code=1)
    assert time.monotonic() - began < 30
    assert bench.runs()[0]["status"] == "failed"
    assert len(bench.versions()) == 1


SWALLOWS = """
import time
from mlframe import Component, hookimpl

@hookimpl
def mlframe_labelers():
    return [Component("swallows", "{module}:Swallows", "takes every error of the system for its own")]

class Swallows:
    def label(self, table):
        from mlframe.labelers.column import ColumnLabeler
        try:
            time.sleep(1)
        except OSError:
            pass
        return ColumnLabeler().label(table)
"""


def test_a_step_that_swallows_the_limit_is_stopped_at_its_end(bench: Bench, install_plugin: Callable[..., Path]):
    install_plugin("swallows", SWALLOWS.format(module="swallows_module"), module="swallows_module")
    assert bench.train().code == 0
    result = bench.train("labeler=swallows", "resources.step_seconds=0.5")
    refused(result, "The step label took longer than resources.step_seconds=0.5 s", code=1)
    assert bench.runs()[0]["status"] == "failed"
    assert len(bench.versions()) == 1


# ------------------------------------------------------------------------------------------- failures of components


CRASH = """
from mlframe import Component, hookimpl

@hookimpl
def mlframe_labelers():
    return [Component("crash", "{module}:Crash", "fails")]

class Crash:
    def label(self, table):
        raise ZeroDivisionError("by nothing")
"""


def test_a_component_that_fails_is_named_and_its_traceback_kept(bench: Bench, install_plugin: Callable[..., Path]):
    install_plugin("crash", CRASH.format(module="crash_module"), module="crash_module")
    result = bench.train("labeler=crash")
    refused(result, "The step label failed: ZeroDivisionError: by nothing", "labeler=crash", "error.log", code=1)
    nothing_kept(bench, runs=1)
    run = bench.runs()[0]["id"]
    log = (bench.home / "runs" / run / "error.log").read_text()
    assert "Traceback" in log
    assert "crash_module.py" in log


TRACKER = """
from mlframe import Component, hookimpl
from mlframe.contracts import Tracker

@hookimpl
def mlframe_trackers():
    return [Component("shut", "{module}:Shut", "cannot begin")]

class Shut(Tracker):
    def open(self, run):
        raise ConnectionError("nobody there")

    def figures(self, values):
        raise AssertionError("told though it could not begin")

    def close(self, status):
        print("closed as", status)
"""


def test_a_tracker_that_cannot_begin_is_closed_and_the_run_goes_on(
    bench: Bench, install_plugin: Callable[..., Path], caplog: pytest.LogCaptureFixture
):
    install_plugin("shut", TRACKER.format(module="shut_module"), module="shut_module")
    result = bench.train("trackers=[shut]")
    assert result.code == 0, result.err
    assert "The tracker shut cannot begin: nobody there; the run goes on without it" in caplog.text
    assert "closed as failed" in result.out
    assert [run["status"] for run in bench.runs()] == ["finished"]


# ------------------------------------------------------------------------------------------------- kill and signals


def check_kept(bench: Bench) -> None:
    """Check that the store opens, that no run claims to go on, and that versions are whole and no run has two."""
    assert all(run["status"] in ("finished", "interrupted") for run in bench.runs())
    versions = bench.versions()
    assert [version["number"] for version in versions] == list(range(1, len(versions) + 1))
    assert len({version["run_id"] for version in versions}) == len(versions)
    if versions:
        result = bench.predict(f"version={versions[-1]['reference']}", "input=my.csv", "output=out.csv")
        assert result.code == 0, result.err
        (bench.folder / "out.csv").unlink()


@pytest.mark.slow
def test_a_run_killed_after_each_step_goes_on_from_there(project: Bench):
    """Each try dies some steps later; none does again what an earlier one has done."""
    done = 0
    for step in KILLED:
        result = finish(spawn(project.folder, *TABLE, *FAST, DIE_AFTER=step))
        assert result.code == -signal.SIGKILL, result.err
        cached = [line.split()[0] for line in result.out.splitlines() if line.split()[1:2] == ["cached"]]
        assert cached == [name for name in STEPS[:done] if name not in ("gate", "register", "report")]
        assert project.runs()[0]["status"] == "interrupted"
        done = STEPS.index(step) + 1
    result = project.train()
    assert result.code == 0, result.err
    assert [run["status"] for run in project.runs()] == ["finished"] + ["interrupted"] * len(KILLED)
    check_kept(project)
    shown = project("runs").out
    assert shown.count("interrupted") == len(KILLED)


@pytest.mark.slow
def test_a_run_killed_at_any_moment_leaves_a_sound_store(bench: Bench):
    argv = ("data=churn", *FAST)
    draw = random.Random(7)
    assert bench(*argv).code == 0
    seconds = bench.runs()[0]["summary"]["seconds"]
    for number in range(4):
        known = set((bench.home / "runs").iterdir())
        process = spawn(bench.folder, *argv, f"seed={number + 1}")
        while set((bench.home / "runs").iterdir()) == known and process.poll() is None:
            time.sleep(0.01)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=draw.uniform(0.0, seconds))
        process.kill()
        process.communicate()
        assert all(run["status"] in ("finished", "interrupted") for run in bench.runs())
    assert any(run["status"] == "interrupted" for run in bench.runs())
    result = finish(spawn(bench.folder, *argv, f"seed={number + 1}"))
    assert result.code == 0, result.err
    versions = bench.versions()
    assert [version["number"] for version in versions] == list(range(1, len(versions) + 1))
    assert len({version["run_id"] for version in versions}) == len(versions)
    assert bench("promote", versions[-1]["reference"], "--force").code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminate"])
def test_an_interrupt_closes_everything(project: Bench, number: signal.Signals):
    argv = (*TABLE, *FAST, "trackers=diary")
    process = spawn(project.folder, *argv, WAIT_BEFORE="fit")
    wait_for(project.folder / "waiting", process)
    process.send_signal(number)
    result = finish(process, seconds=60)
    refused(result, "interrupted", "the same command goes on from there", code=130)
    assert (project.folder / "diary.txt").read_text().splitlines() == ["open", "close interrupted"]
    assert [run["status"] for run in project.runs()] == ["interrupted"]
    assert project.versions() == []
    again = project(*argv)
    assert again.code == 0, again.err
    assert "cached" in again.out


def test_an_interrupt_in_code_made_from_text_ends_with_the_code_of_any_other(bench: Bench):
    """Dataclasses are such code, and the interpreter remembers the interrupt beyond its handling."""
    bench.write("exec('raise KeyboardInterrupt')\n", "mlframe_project.py")
    done = subprocess.run(
        [sys.executable, "-m", "mlframe", "plugins"], cwd=bench.folder, capture_output=True, text=True
    )
    assert done.returncode == 130, done.stderr
    assert "interrupted" in done.stderr


# -------------------------------------------------------------------------------------------------------- the store


@pytest.mark.parametrize("root", ["file", "file/store"])
def test_a_store_that_is_no_folder(bench: Bench, root: str):
    bench.write("", "file")
    refused(bench.train(f"store.root={root}"), "The store failed", root, "'store.root' names a folder")
    nothing_kept(bench, runs=0, files=frozenset({"my.csv", "file"}))


def test_no_store(bench: Bench):
    refused(bench("runs", "store.root=nowhere"), "There is no store here", "nowhere", "train a model first")
    assert not (bench.folder / "nowhere").exists()


def test_a_store_from_a_newer_version(trained: Bench):
    with sqlite3.connect(trained.home / "mlframe.db") as database:
        database.execute("UPDATE mlframe_meta SET value = '99' WHERE key = 'schema'")
    database.close()
    before = (trained.home / "mlframe.db").read_bytes()
    for argv in ((*TABLE, *FAST), ("runs",), ("promote", "csv/1"), ("predict", *TABLE, "input=my.csv", "output=o.csv")):
        known = f"version {SCHEMA_VERSION}"
        refused(trained(*argv), "made by a newer mlframe", "version 99", known, "upgrade mlframe", "mlframe.db")
    assert (trained.home / "mlframe.db").read_bytes() == before


def test_a_damaged_database(trained: Bench):
    (trained.home / "mlframe.db").write_bytes(b"this is no database\n" * 500)
    refused(trained.train(), "database is damaged", "mlframe.db", "backup")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlte:///x.db", ("cannot be used", "sqlte", "store.url")),
        ("nothing", ("cannot be used", "store.url")),
        ("sqlite:////no/such/folder/x.db", ("/no/such/folder/x.db", "store.url")),
    ],
)
def test_a_database_address_that_is_none(bench: Bench, url: str, words: tuple[str, ...]):
    refused(bench.train(f"store.url={url}"), *words)
    nothing_kept(bench, runs=0)


LOCK = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock a database in another process."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOCK, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    try:
        yield
    finally:
        process.communicate()


def test_a_store_that_another_process_has_locked(trained: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(Store.open.__func__.__kwdefaults__, "timeout", 1.0)  # type: ignore[attr-defined]
    with locked(trained.home / "mlframe.db"):
        refused(trained("promote", "csv/1"), "locked by another process", "mlframe.db", "run the same command again")
        assert trained("runs").code == 0  # reading goes on
    assert not trained.versions()[0]["aliases"]
    assert trained("promote", "csv/1").code == 0


def obey_rights() -> None:
    """Let the rights of files bind a child process that belongs to root, too."""
    drop_from_bounding_set, override_rights = 24, 1
    ctypes.CDLL(None).prctl(drop_from_bounding_set, override_rights, 0, 0, 0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="takes rights from root in Linux's way")
def test_a_store_that_may_not_be_written(trained: Bench):
    paths = [trained.home, *trained.home.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        for argv in ((*TABLE, *FAST), ("promote", "csv/1")):
            result = finish(spawn(trained.folder, *argv, before=obey_rights))
            refused(result, "The store cannot be written", ".mlframe", "write permission", "'store.root'")
    finally:
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert len(trained.runs()) == 1
    assert not trained.versions()[0]["aliases"]
    assert trained.train().code == 0


@pytest.mark.parametrize("limit", [20_000, 300_000])
def test_a_disk_that_takes_no_more(bench: Bench, limit: int):
    """No file may grow beyond a limit: what SQLite and the step cache meet on a full disk or with a spent quota."""

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    result = finish(spawn(bench.folder, *TABLE, *FAST, PYTHONDONTWRITEBYTECODE="1", before=small_files))
    refused(result, "The store's disk failed", "mlframe.db", "free space")
    assert bench.versions() == []
    assert {run["status"] for run in bench.runs()} <= {"failed", "interrupted"}
    again = bench.train()
    assert again.code == 0, again.err
    assert len(bench.versions()) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of a few hundred kilobytes."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", str(place)], capture_output=True)
    if made.returncode != 0:
        pytest.skip("only root may mount a small file system; the test above covers what others can try")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk(bench: Bench, small_disk: Path):
    argv = (*TABLE, *FAST, f"store.root={small_disk}")
    refused(bench(*argv), "There is no space left for the store", str(small_disk), "free some space")
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    again = bench(*argv)
    assert again.code == 0, again.err
    assert "cached" in again.out  # what was done before the disk was full is kept
    assert bench("versions", f"store.root={small_disk}").out.count("csv/") == 1


# ---------------------------------------------------------------------------------------------- Weights & Biases


KEY = "0123456789abcdef" * 2 + "01234567"


@pytest.fixture
def closed_port() -> str:
    """Give the address of a server that is not there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


class Refusing(BaseHTTPRequestHandler):
    """Knows nobody."""

    def do_POST(self) -> None:
        """Answer 401 to every question."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(401)
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def refusing_server() -> Iterator[str]:
    """Give the address of a server that refuses every key."""
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("server", "reason"), [("closed_port", "cannot be reached"), ("refusing_server", "refuses the API key")]
)
def test_wandb_out_of_reach(bench: Bench, request: pytest.FixtureRequest, server: str, reason: str):
    address = request.getfixturevalue(server)
    overrides = [item for item in FAST if item != "trackers=[]"]
    began = time.monotonic()
    process = spawn(
        bench.folder,
        *TABLE,
        *overrides,
        WANDB_MODE=None,
        WANDB_API_KEY=KEY,
        WANDB_BASE_URL=address,
        WANDB_SILENT="true",
    )
    result = finish(process, seconds=240)
    assert result.code == 0, result.err
    assert "Traceback" not in result.out + result.err
    warnings = [line for line in result.err.splitlines() if line.startswith("WARNING")]
    assert len(warnings) == 1, result.err
    assert f"W&B at {address} {reason}" in warnings[0]
    assert "recorded offline" in warnings[0]
    assert KEY not in result.out + result.err
    assert time.monotonic() - began < 80  # W&B's own patience is 90 seconds
    assert [run["status"] for run in bench.runs()] == ["finished"]
    assert len(bench.versions()) == 1


@pytest.mark.parametrize("mode", ["auto", "offline"])
def test_a_variable_that_wandb_refuses_is_named_and_costs_the_record_only(bench: Bench, mode: str):
    overrides = [item for item in FAST if item != "trackers=[]"]
    result = finish(spawn(bench.folder, *TABLE, *overrides, f"trackers.wandb.mode={mode}", WANDB_MODE=""))
    assert result.code == 0, result.err
    (warning,) = [line for line in result.err.splitlines() if line.startswith("WARNING")]
    assert "WANDB_MODE=''" in warning
    assert "unset or mend the variable" in warning
    assert "goes on without it" in warning
    assert [run["status"] for run in bench.runs()] == ["finished"]
