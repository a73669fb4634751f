"""The wheel holds what git tracks, and runs the main job where nothing else is installed and nothing can be reached."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
DEAD = "http://127.0.0.1:9"  # the port that discards; nobody listens

# Runs at the start of every Python of the environment: refuses addresses beyond this machine, and tells who tried.
NO_NETWORK = """
import os, socket
_connect = socket.socket.connect
def connect(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        with open(os.environ["ATTEMPTS"], "a") as file:
            print(address, file=file)
        raise OSError("no network here")
    return _connect(self, address)
socket.socket.connect = connect
"""


def tracked() -> list[str]:
    """Give the files that git tracks."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")[:-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build the wheel from a copy of the tracked files, with the build tools of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in tracked():
        (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / "tree" / name)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(folder / "tree")]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (made,) = folder.glob("*.whl")
    return made


def requirements(name: str) -> set[str]:
    """Give a distribution's own requirements and theirs, extras only where they are asked for."""
    found: set[tuple[str, str]] = set()
    waiting = [(name, "")]
    while waiting:
        item = waiting.pop()
        if item in found:
            continue
        found.add(item)
        for line in metadata.requires(item[0]) or ():
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": item[1]}):
                spelled = re.sub(r"[-_.]+", "-", wanted.name).lower()
                waiting += [(spelled, extra) for extra in ("", *wanted.extras)]
    return {item for item, _ in found} - {name}


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory) -> Path:
    """Make an environment that holds the wheel and what it requires: no plugin, no tool, no test library."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip())
    for name in requirements("mlframe"):
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(distribution.locate_file(top))).resolve())
    packages.joinpath("sitecustomize.py").write_text(NO_NETWORK)
    install = ["pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index", str(wheel)]
    done = subprocess.run([sys.executable, "-m", *install], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_wheel_holds_every_tracked_file_and_nothing_else(wheel):
    wanted = {name for name in tracked() if name.startswith("mlframe/")}
    wanted |= {f"mlframe/{name}" for name in tracked() if name.startswith("conf/")}
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    found = {name for name in names if ".dist-info/" not in name}
    assert sorted(wanted - found) == [], "not in the wheel: look at packages and package-data in pyproject.toml"
    assert sorted(found - wanted) == [], "in the wheel, but not tracked"
    licences = {name.partition("/licenses/")[2] for name in names if "/licenses/" in name}
    notices = {name for name in tracked() if re.fullmatch(r"mlframe/datasets/\w+/NOTICE.md", name)}
    assert notices
    assert {"LICENSE", *notices} == licences


@pytest.mark.slow
def test_the_wheel_runs_the_main_job_alone_and_offline(environment, tmp_path):
    empty, home, attempts = tmp_path / "empty", tmp_path / "home", tmp_path / "attempts"
    empty.mkdir()
    home.mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "COLUMNS": "160"}
    env |= {name: os.environ[name] for name in ("OMP_NUM_THREADS", "GOMP_SPINCOUNT") if name in os.environ}
    env |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"), DEAD)
    env["ATTEMPTS"] = str(attempts)

    def run(*words: str) -> str:
        command = [str(environment / "bin" / "python"), "-m", "mlframe", *words]
        done = subprocess.run(command, cwd=empty, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    where = [str(environment / "bin" / "python"), "-c", "import mlframe; print(mlframe.__file__)"]
    assert str(environment) in subprocess.run(where, cwd=empty, env=env, capture_output=True, text=True).stdout
    out = run("model=lgbm", "data=email")
    assert "email/1" in out
    assert list(empty.glob(".mlframe/runs/*/report/html/report.html"))
    assert list(empty.rglob("offline-run-*")), "W&B kept no offline run"
    assert not attempts.exists(), attempts.read_text()
    assert "email/1" in run("versions")
    run("doctor")
    assert [path.name for path in empty.iterdir()] == [".mlframe"], "something was written beside the store"
