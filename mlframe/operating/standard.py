"""The standard tests of a version, run in a process of their own: what a promotion by itself waits for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlframe.errors import LimitError, StepError, UserError

__all__ = ["TESTS", "StandardReport", "standard_tests"]

TESTS = ("none", "standard", "staged")
"""What `level.tests` may say: nothing is asked, the standard tests, these and integration tests behind a server."""

USAGE = 4
TOLD = 5


@dataclass(frozen=True)
class StandardReport:
    """What the tests of a version said.

    Args:
        version: its reference.
        passed: whether at least one passed and none failed.
        seconds: how long they took.
        counts: outcome (passed, failed, skipped) to how many.
        tests: test, outcome and text of each.
    """

    version: str
    passed: bool
    seconds: float
    counts: Mapping[str, int]
    tests: Sequence[Mapping[str, str]]

    @property
    def failures(self) -> list[str]:
        """Name and text of each that failed."""
        failed = (test for test in self.tests if test["outcome"] == "failed")
        return [
            f"{test['test'].rpartition('::')[2] or test['test']}: {' '.join(test['text'].split())}" for test in failed
        ]

    @property
    def text(self) -> str:
        """The outcome in one line."""
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.items() if count)
        failures = self.failures
        more = f"; and {len(failures) - TOLD} more" if len(failures) > TOLD else ""
        return f"standard tests: {counts or 'none ran'}" + "".join(f"; {line}" for line in failures[:TOLD]) + more

    def record(self) -> dict[str, Any]:
        """Return plain JSON values: the evidence that a decision keeps."""
        return {
            "version": self.version,
            "passed": self.passed,
            "seconds": self.seconds,
            "counts": dict(self.counts),
            "failures": self.failures,
        }


def standard_tests(
    version: str,
    *,
    store_root: str,
    store_url: str | None = None,
    endpoint: str | None = None,
    rows: Path | None = None,
    checks: Path | None = None,
    timeout: float | None = None,
    folder: Path | None = None,
) -> StandardReport:
    """Run the standard tests of a version, and the tests that its config names (`tests.paths`), in a child process.

    Args:
        version: a version, an alias or a folder.
        store_root: the store.
        store_url: address of its tables; handed on through the environment, since it may hold a password.
        endpoint: `start` or the address of a server: also test the version behind it.
        rows: labelled rows, for the minimum of groups.
        checks: YAML of expectations over the version's own.
        timeout: most seconds, None for no limit.
        folder: the working directory; where `mlframe_project.py` and paths of tests are looked for.

    Raises:
        UserError: the version cannot be found or opened, or an expectation says something impossible.
        LimitError: the tests took longer than they may.
        StepError: they ended without an outcome.
    """
    environment = {**os.environ, "MLFRAME_HOME": store_root}
    environment.pop("MLFRAME_STORE_URL", None)
    if store_url is not None:
        environment["MLFRAME_STORE_URL"] = store_url
    with tempfile.TemporaryDirectory(prefix="standard-") as place:
        record = Path(place, "record.json")
        options = {"bundle": version, "json": record, "endpoint": endpoint, "rows": rows, "checks": checks}
        given = [f"--mlframe-{key}={value}" for key, value in options.items() if value is not None]
        # A project's own options (parallel runs, coverage) are for its own tests.
        command = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider", *given]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        try:
            out, _ = process.communicate(timeout=timeout)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # a server that the tests started ends with its parent
            process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise LimitError(
                    f"The standard tests of {version} took longer than {timeout:g} s",
                    where="standard tests",
                    hint=f"give them more time, or find the slow one: pytest --mlframe-bundle {version} --durations=5",
                ) from None
            raise
        if record.is_file():
            found = json.loads(record.read_text(encoding="utf-8"))
            return StandardReport(
                found["version"], bool(found["passed"]), found["seconds"], found["counts"], found["tests"]
            )
    said = out.strip().removeprefix("ERROR: ")
    if process.returncode == USAGE:
        what, _, hint = said.partition("\n  do: ")
        raise UserError(what, hint=hint.strip() or f"see python -m pytest --mlframe-bundle {version}")
    raise StepError(
        f"The standard tests of {version} ended with code {process.returncode} and no outcome",
        where="standard tests",
        hint=f"run them to see why: python -m pytest --mlframe-bundle {version}\n{said[-2000:]}",
    )
