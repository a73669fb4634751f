"""Small tables, runs through the real command line, and what a store holds afterwards."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import warm

from mlframe.testing.plugin import CliResult

FAST = ("experiment=quick", "model=dummy", "trackers=[]", "reporters=[]", "~task.steps.explore")
"""The least that a training run can be: a guess instead of a model, no pictures, no report."""

TABLE = ("data=csv", "data.source.path=my.csv", "data.columns.bought.role=target")
"""The table that `write_table` writes."""


def make_csv(rows: int = 80, seed: int = 0) -> str:
    """Return a table of customers with a target that the age explains for the most part."""
    draw = random.Random(seed)
    lines = ["age,income,city,bought"]
    for _ in range(rows):
        age, city = draw.randint(18, 80), draw.choice(["rome", "oslo", "bonn"])
        bought = "yes" if age + draw.randint(-20, 20) > 50 else "no"
        lines.append(f"{age},{draw.randint(1000, 9000)},{city},{bought}")
    return "\n".join(lines) + "\n"


def make_target(values: Callable[[int], Any], rows: int = 60) -> str:
    """Return a table of two columns whose target is computed from the row's number."""
    return "age,bought\n" + "".join(f"{18 + row % 50},{values(row)}\n" for row in range(rows))


@dataclass
class Bench:
    """A working directory with a table, and the command line in it.

    Args:
        run_cli: the door, in this process.
        folder: the working directory.
    """

    run_cli: Callable[..., CliResult]
    folder: Path

    def __call__(self, *argv: str) -> CliResult:
        """Run one command line."""
        return self.run_cli(*argv)

    def write(self, content: str | bytes, name: str = "my.csv") -> Path:
        """Write a file of the working directory."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def train(self, *overrides: str) -> CliResult:
        """Train on the table in the fastest way."""
        return self.run_cli(*TABLE, *FAST, *overrides)

    def predict(self, *overrides: str) -> CliResult:
        """Score the table with the champion."""
        return self.run_cli("predict", *TABLE, "trackers=[]", *overrides)

    @property
    def home(self) -> Path:
        """The workspace."""
        return self.folder / ".mlframe"

    def runs(self) -> list[dict[str, Any]]:
        """Open the store again and return its runs, the latest first; none when there is no store."""
        return self._ask(lambda store: store.runs(limit=1000))

    def versions(self) -> list[dict[str, Any]]:
        """Open the store again and return its versions."""
        return self._ask(lambda store: store.versions())

    def _ask(self, question: Callable[[Any], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        from mlframe.errors import StoreError
        from mlframe.store.store import Store

        if not (self.home / "mlframe.db").exists():
            return []
        try:
            with Store.open(str(self.home), create=False) as store:
                return question(store)
        except StoreError as error:
            if "There is no store here" not in str(error):
                raise
            return []

    def files(self) -> set[str]:
        """Return the files of the working directory, the workspace's left out."""
        found = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        return {path.as_posix() for path in found if path.parts[0] != ".mlframe"}


def refused(result: CliResult, *words: str, code: int = 2) -> str:
    """Check that a command was refused as a user can understand it, and return the text.

    Args:
        result: what the command gave.
        *words: what the text must name.
        code: the exit code.
    """
    assert result.code == code, result.out + result.err
    assert "Traceback" not in result.out + result.err
    assert "itself failed" not in result.err
    missing = [word for word in words if word not in result.err]
    assert not missing, f"{missing} not in:\n{result.err}"
    return result.err


def nothing_kept(bench: Bench, *, runs: int | None = None, files: frozenset[str] = frozenset({"my.csv"})) -> None:
    """Check that a refused command left no version and no file, and that its run, if it began, is recorded as failed.

    Args:
        bench: where it ran.
        runs: runs that must have begun; 0 for a command that was refused before.
        files: files that may be there.
    """
    found = bench.runs()
    assert {run["status"] for run in found} <= {"failed"}
    assert runs is None or len(found) == runs
    assert bench.versions() == []
    assert bench.files() <= files


def spawn(
    folder: Path, *argv: str, before: Callable[[], None] | None = None, **variables: str | None
) -> subprocess.Popen[str] | warm.Popen:
    """Start the command line in a process of its own.

    Args:
        folder: working directory; the workspace lies in it.
        *argv: the arguments.
        before: called in the new process before it begins.
        **variables: environment variables; None takes one away.
    """
    wanted = {**os.environ, "MLFRAME_HOME": None, "WANDB_MODE": "disabled", **variables}
    command = [sys.executable, "-m", "mlframe", *argv]
    how: dict[str, Any] = {"cwd": folder, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    how["env"] = {key: value for key, value in wanted.items() if value is not None}
    if before is None:
        return warm.Popen(command, **how)
    return subprocess.Popen(command, preexec_fn=before, **how)


def finish(process: subprocess.Popen[str] | warm.Popen, seconds: float = 60) -> CliResult:
    """Wait for a process and return what it gave."""
    out, err = process.communicate(timeout=seconds)
    return CliResult(process.returncode, out, err)
