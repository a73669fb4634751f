"""A task in a process of its own: it is seen from outside for as long as it runs, and outlives the one who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlframe.operating.child import run_child, still_runs

STARTER = """
import os, signal, sys
from pathlib import Path
from mlframe.operating.child import run_child
run_child([], Path(sys.argv[1]), began=lambda pid: (print(pid, flush=True), os.kill(os.getpid(), signal.SIGKILL)))
"""


def stand_in(folder: Path, text: str) -> dict[str, str]:
    """Give an environment in which `python -m mlframe` runs a program of the test's own."""
    package = folder / "stand_in" / "mlframe"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(text)
    return {"PYTHONPATH": str(package.parent)}


def test_a_child_is_seen_while_it_runs_and_not_afterwards(tmp_path: Path) -> None:
    log, seen = tmp_path / "one.log", []
    assert not still_runs(log), "nothing was ever started"
    ended = run_child(["--version"], log, began=lambda pid: seen.append(still_runs(log)))
    assert (ended.code, seen) == (0, [True])
    assert not still_runs(log)
    assert not still_runs(tmp_path / "another.log")


def test_a_child_whose_starter_was_killed_at_once_is_seen_and_waited_for(tmp_path: Path) -> None:
    log, beats = tmp_path / "one.log", []
    ready = f"open({str(tmp_path / 'went')!r}, 'w').close()"
    slow = stand_in(tmp_path, f"import time; time.sleep(3); {ready}")
    command = [sys.executable, "-c", STARTER.replace("began=", f"environment={slow!r}, began="), str(log)]
    starter = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=tmp_path, timeout=60)
    assert starter.returncode == -signal.SIGKILL
    os.kill(int(starter.stdout), 0)  # it lives
    assert still_runs(log)
    ended = run_child(["--version"], log, beat=lambda: beats.append(time.monotonic()), pause=0.1)
    assert ended.code == 0
    assert beats, "whoever waits says that it is there"
    assert (tmp_path / "went").exists(), "the one that was left behind came to its end first"


GREEDY = "held = bytearray({size} << 20)\nimport time\ntime.sleep({seconds})"


def test_a_child_that_holds_too_much_memory_is_ended_and_one_that_holds_less_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the working directory comes first on a module's path
    limit = 100 << 20
    greedy = stand_in(tmp_path / "greedy", GREEDY.format(size=300, seconds=60))
    ended = run_child([], tmp_path / "one.log", memory=limit, environment=greedy)
    assert ended.code == -signal.SIGKILL
    assert ended.limit == "it held more memory than 100 MB (update.memory)"
    assert not still_runs(tmp_path / "one.log")
    modest = stand_in(tmp_path / "modest", GREEDY.format(size=10, seconds=1))
    ended = run_child([], tmp_path / "two.log", memory=limit, environment=modest)
    assert (ended.code, ended.limit) == (0, None)
