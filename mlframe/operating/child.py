"""A task in a process of its own, with limits of time and memory."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

__all__ = ["Outcome", "end", "memory_of", "run_child"]

LOOK_SECONDS = 0.2
PATIENCE_SECONDS = 15.0
"""How long a process that was interrupted may take to close its run."""
TAIL = 12
"""Lines of a log that a reader is shown."""


@dataclass(frozen=True)
class Outcome:
    """How a process ended.

    Args:
        code: its exit code, below 0 for a signal.
        limit: the limit that it passed, in words; None where it passed none.
        tail: the last lines that it wrote.
    """

    code: int
    limit: str | None
    tail: str


def run_child(
    words: Sequence[str],
    log: Path,
    *,
    seconds: float | None = None,
    memory: int | None = None,
    beat: Callable[[], None] = lambda: None,
    pause: float = 5.0,
    began: Callable[[int], None] = lambda pid: None,
    environment: Mapping[str, str] | None = None,
) -> Outcome:
    """Run `python -m mlframe …` to its end.

    Args:
        words: the words after `mlframe`.
        log: file that what it writes is added to.
        seconds: most time; None for no limit.
        memory: most bytes; None for no limit.
        beat: called every `pause` seconds; what it raises ends the process in good order.
        pause: seconds between two calls of `beat`.
        began: told the process's id.
        environment: variables beside those of this process.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file, _lock_of(log).open("ab") as lock:
        # The child shares this lock from its first moment to its last, also when this process is killed in between.
        while not _taken(lock):  # a child that another process has left behind goes first
            beat()
            time.sleep(min(pause, 1.0))
        # A session of its own: Ctrl-C is for this process, which ends the child in good order.
        process = subprocess.Popen(
            [sys.executable, "-m", "mlframe", *words],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            pass_fds=(lock.fileno(),),
        )
    started = beaten = time.monotonic()
    limit = None
    try:
        began(process.pid)
        while process.poll() is None:
            with suppress(subprocess.TimeoutExpired):  # its end is seen at once
                process.wait(LOOK_SECONDS)
            now = time.monotonic()
            if seconds is not None and now - started > seconds:
                limit = f"it took longer than {seconds:g} s (update.timeout)"
            elif memory is not None and memory_of(process.pid) > memory:
                limit = f"it held more memory than {memory / (1 << 20):,.0f} MB (update.memory)"
            if limit is not None:
                process.kill()
                process.wait()
            elif now - beaten > pause:
                beat()
                beaten = now
    except BaseException:
        end(process)
        raise
    return Outcome(process.returncode, limit, tail_of(log))


def still_runs(log: Path) -> bool:
    """Whether a child that writes to a log runs, whoever started it."""
    try:
        with _lock_of(log).open("rb") as lock:
            return not _taken(lock)
    except FileNotFoundError:
        return False


def _taken(lock: IO[bytes]) -> bool:
    """Take a lock unless somebody holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_of(log: Path) -> Path:
    return log.with_suffix(".lock")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process: gently first, so that it closes its run."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def memory_of(pid: int) -> int:
    """Return the bytes that a process holds; 0 where the system does not say."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def tail_of(log: Path) -> str:
    """Return the last lines of a log."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-TAIL:])
