"""`serve` through the command line: what is refused, and a run that ends by Ctrl-C."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from mlframe.contracts import Deployment
from mlframe.store.store import Store
from mlframe.testing import CliResult

BASE = ("serve", "data=csv", "name=made", "deployer.port=0", "deployer.workers=1")
Run = Callable[..., CliResult]


def store_of(trained_version: Deployment, target: Path) -> None:
    shutil.copytree(trained_version.store_root, target, dirs_exist_ok=True)


def test_without_a_champion_the_versions_are_listed(trained_version: Deployment, run_cli: Run):
    root = Path(os.environ["MLFRAME_HOME"])
    store_of(trained_version, root)
    with Store.open(str(root), create=False) as store, store._database.write("test") as connection:
        from mlframe.store import metadata as db

        connection.execute(db.aliases.delete())
    done = run_cli(*BASE)
    assert done.code == 2
    assert "made has no champion" in done.err
    assert "mlframe promote made/1" in done.err
    assert "the versions are: made/1" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("deployer.prot=1",), "There is no key 'deployer.prot'"),
        (("deployer.port=high",), "port"),
        (("deployer.canary.share=2",), "between 0 and 1"),
        (("deployer.auth=keyz",), "keys"),
        (("deployer=htp",), "http"),
        (("version=made/9",), "There is no version 'made/9'"),
        (("deployer.host=no-such-host.invalid",), "host is unknown"),
        (("deployer.tls_cert=no.pem", "deployer.tls_key=no.pem"), "TLS file cannot be read"),
        (("deployer.shadow=nobody",), "made has no nobody"),
    ],
)
def test_what_cannot_be_served_is_refused(trained_version: Deployment, run_cli: Run, words: tuple[str, ...], text: str):
    store_of(trained_version, Path(os.environ["MLFRAME_HOME"]))
    done = run_cli(*BASE, *words)
    assert done.code == 2, done.err
    assert text in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_ends_by_ctrl_c_is_finished(trained_version: Deployment, tmp_path: Path, number: int):
    store_of(trained_version, tmp_path / ".mlframe")
    environment = {key: value for key, value in os.environ.items() if key != "MLFRAME_HOME"}
    process = subprocess.Popen(
        [sys.executable, "-m", "mlframe", *BASE],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert process.stdout is not None
    try:
        address = next(word for line in process.stdout for word in line.split() if word.startswith("http://"))
        with urllib.request.urlopen(f"{address}/v2/health/ready", timeout=30) as reply:
            assert json.load(reply) == {"ready": True}
        with Store.open(str(tmp_path / ".mlframe"), create=False) as store:
            (run,) = store.runs(limit=1)
            assert (run["status"], run["summary"]["deployed"]["address"]) == ("running", address)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    with Store.open(str(tmp_path / ".mlframe"), create=False) as store:
        (run,) = store.runs(limit=1)
        assert run["status"] == "finished"
        assert run["summary"]["deployed"]["version"] == "made/1"
        assert store.servers.running() == []
