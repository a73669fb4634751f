"""Processes that begin with mlframe's libraries loaded: forked from a template, which has imported them and nothing else.

`warm.Popen` and `warm.run` are `subprocess.Popen` and `subprocess.run` for `[sys.executable, "-m", module, …]` and
`[sys.executable, "script.py", …]` (or `"-c", code`). What they start is a process of its own as ever, with its working directory, environment,
streams, signals and exit code; it does without two seconds of imports, and so do the trainings of `operate` and the workers of
a sweep that it starts (`children`). Where the start itself is looked at (what is imported, two hash seeds, the interpreter's
options), a test starts a process by `subprocess`.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import fcntl
import gc
import importlib
import io
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, CompletedProcess, TimeoutExpired
from types import SimpleNamespace
from typing import IO, Any, Self

__all__ = ["Popen", "children", "run"]

PLACE = "WARM_TEMPLATE"
"""The variable that names the socket of the template, also for processes that were started by it."""
STARTERS = ("mlframe.operating.child", "mlframe.operating.standard", "mlframe.sweep.pool")
"""The modules that start mlframe again, through their name `subprocess`."""
LIBRARIES = (
    "alembic",
    "lightgbm",
    "mlframe.config.check",
    "mlframe.config.compose",
    "mlframe.operating.loop",
    "mlframe.runner.run",
    "mlframe.steps.fit",
    "mlframe.store.store",
    "optuna",
    "pandera.polars",
    "scipy.stats",
    "skops.io",
    "sklearn.ensemble",
    "sklearn.linear_model",
)


class Popen:
    """A process, as `subprocess.Popen` describes it."""

    def __init__(
        self,
        args: Sequence[str],
        *,
        stdin: Any = None,
        stdout: Any = None,
        stderr: Any = None,
        cwd: Any = None,
        env: Mapping[str, str] | None = None,
        text: bool = False,
        start_new_session: bool = False,
        pass_fds: Sequence[int] = (),
    ) -> None:
        assert args[0] == sys.executable, args
        self.args, self.returncode = args, None
        given: list[int] = []
        ours: list[int | None] = [None, None, None]
        opened: list[int] = []
        for number, wanted in enumerate((stdin, stdout, stderr)):
            if wanted is None:
                given.append(number)
            elif wanted == STDOUT:
                given.append(given[1])
            elif wanted == DEVNULL:
                opened.append(os.open(os.devnull, os.O_RDWR))
                given.append(opened[-1])
            elif wanted == PIPE:
                read, write = os.pipe()
                theirs, ours[number] = (read, write) if number == 0 else (write, read)
                opened.append(theirs)
                given.append(theirs)
            else:
                given.append(wanted if isinstance(wanted, int) else wanted.fileno())
        request = {
            "words": [str(word) for word in args[1:]],
            "folder": os.path.abspath(cwd or os.curdir),
            "environment": {**(os.environ if env is None else env), PLACE: _template()},
            "session": start_new_session,
            "passed": list(pass_fds),
        }
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(_template())
        body = json.dumps(request).encode()
        fds = array.array("i", [*given, *pass_fds])
        self._line.sendmsg([len(body).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        self._line.sendall(body)
        for number in opened:
            os.close(number)
        self.pid = int.from_bytes(self._line.recv(4, socket.MSG_WAITALL), "big")
        self.stdin, self.stdout, self.stderr = (
            _stream(number, "rb" if index else "wb", text) for index, number in enumerate(ours)
        )

    def poll(self) -> int | None:
        """Return the exit code, None while the process runs."""
        with contextlib.suppress(TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code."""
        if self.returncode is None:
            if not select.select([self._line], [], [], timeout)[0]:
                raise TimeoutExpired(list(self.args), timeout or 0.0)
            said = self._line.recv(4, socket.MSG_WAITALL)
            assert len(said) == 4, "the template has gone"
            self._line.close()
            self.returncode = int.from_bytes(said, "big", signed=True)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to the process, if it still runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[Any, Any]:
        """Read both streams to their ends and wait for the process."""
        end = None if timeout is None else time.monotonic() + timeout
        if self.stdin is not None and not self.stdin.closed:
            self.stdin.close()
        found: dict[str, Any] = {}
        readers = []
        for name in ("stdout", "stderr"):
            stream = getattr(self, name)
            if stream is not None and not stream.closed:
                reader = threading.Thread(target=lambda n=name, s=stream: found.update({n: s.read()}), daemon=True)
                reader.start()
                readers.append((reader, stream))
        for reader, stream in readers:
            reader.join(None if end is None else max(0.0, end - time.monotonic()))
            if reader.is_alive():
                raise TimeoutExpired(list(self.args), timeout or 0.0)
            stream.close()
        self.wait(None if end is None else max(0.0, end - time.monotonic()))
        return found.get("stdout"), found.get("stderr")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        self.wait()


def run(
    args: Sequence[str], *, capture_output: bool = False, check: bool = False, timeout: float | None = None, **more: Any
) -> CompletedProcess[Any]:
    """Run a process to its end, as `subprocess.run` does."""
    if capture_output:
        more |= {"stdout": PIPE, "stderr": PIPE}
    process = Popen(args, **more)
    try:
        out, err = process.communicate(timeout)
    except BaseException:
        process.kill()
        process.wait()
        raise
    done = CompletedProcess(list(args), process.wait(), out, err)
    if check:
        done.check_returncode()
    return done


def children(put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Let what this process starts of itself begin warm: trainings of `operate`, workers of a sweep.

    Args:
        put: sets an attribute, as `monkeypatch.setattr` does.
    """
    for name in STARTERS:
        put(importlib.import_module(name), "subprocess", SimpleNamespace(**{**vars(subprocess), "Popen": Popen}))


def _stream(number: int | None, mode: str, text: bool) -> IO[Any] | None:
    if number is None:
        return None
    stream: IO[Any] = open(number, mode)  # noqa: SIM115
    return io.TextIOWrapper(stream, encoding="utf-8", write_through=True) if text else stream  # type: ignore[arg-type]


def _template() -> str:
    """Return the socket of the template; the first who asks starts it, and it ends with that process."""
    if PLACE not in os.environ:
        folder = tempfile.mkdtemp(prefix="warm-")
        path = os.path.join(folder, "socket")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFRAME_", "WANDB_"))}
        process = subprocess.Popen(
            [sys.executable, __file__, path],
            stdin=PIPE,
            stdout=PIPE,
            env={"GOMP_SPINCOUNT": "10000", **kept},
            cwd=folder,
        )
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.read(1) == b"!", "the template did not start"
        process.stdout.close()
        os.environ[PLACE] = path
        mine = os.getpid()

        def end() -> None:
            if os.getpid() == mine:
                process.stdin.close()
                process.wait(10)

        atexit.register(end)
    return os.environ[PLACE]


# ------------------------------------------------------------------------------------------------------- the template


def _serve(path: str) -> list[str]:
    """Fork a process for each request until the input ends; in the forked process, return its words."""
    gc.disable()
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()  # what is imported stays: forked processes neither look at it nor copy it
    assert threading.active_count() == 1
    warnings.filterwarnings(
        "ignore", "This process .* is multi-threaded", DeprecationWarning
    )  # of polars and OpenBLAS, idle
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for what was forked
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    os.write(1, b"!")
    os.dup2(2, 1)
    lines: dict[int, tuple[int, socket.socket]] = {}
    while True:
        ready, _, _ = select.select([0, listener, *lines], [], [])
        if 0 in ready:  # who started it has gone
            shutil.rmtree(Path(path).parent, ignore_errors=True)
            os._exit(0)
        for pidfd in [item for item in ready if item in lines]:
            pid, line = lines.pop(pidfd)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            with contextlib.suppress(OSError):  # who asked has gone
                line.sendall(code.to_bytes(4, "big", signed=True))
            line.close()
            os.close(pidfd)
        if listener in ready:
            line, _ = listener.accept()
            head, fds, _, _ = socket.recv_fds(line, 4, 64)
            if len(head) < 4:  # who asked has gone
                line.close()
                continue
            request = json.loads(line.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
            pid = os.fork()
            if pid == 0:
                return _become(request, fds)
            for number in fds:
                os.close(number)
            line.sendall(pid.to_bytes(4, "big"))
            lines[os.pidfd_open(pid)] = (pid, line)


def _become(request: Mapping[str, Any], fds: Sequence[int]) -> list[str]:
    """Be the process that was asked for, up to its first line."""
    gc.enable()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if request["session"]:
        os.setsid()
    wanted = [0, 1, 2, *request["passed"]]
    aside = [fcntl.fcntl(number, fcntl.F_DUPFD, 500) for number in fds]
    os.closerange(0, 500)  # nothing of the template stays open
    for number, place in zip(wanted, aside, strict=True):
        os.dup2(place, number)
    os.closerange(500, 600)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    return list(request["words"])


def _begin(words: list[str]) -> None:
    """Run a module or a script as the interpreter would."""
    if words[0] == "-u":
        words = words[1:]
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(write_through=True)  # type: ignore[union-attr]
    first = os.getcwd() if words[0] in ("-m", "-c") else str(Path(words[0]).resolve().parent)
    added = [item for item in os.environ.get("PYTHONPATH", "").split(os.pathsep) if item]
    sys.path[0:1] = [first, *added]
    importlib.invalidate_caches()
    children()
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    _begin(_serve(sys.argv[1]))
