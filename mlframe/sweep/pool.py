"""Worker processes: each runs job after job, and is ended and replaced when a job passes its limits."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

from mlframe.errors import MlframeError

if TYPE_CHECKING:
    from mlframe.sweep.plan import Question

__all__ = ["Event", "Pool", "WorkerProcess"]

LOOK_SECONDS = 0.1
"""How often limits are looked at."""
PATIENCE_SECONDS = 10.0
"""How long an interrupted worker may take to close its trackers and its run."""


@dataclass(frozen=True)
class Event:
    """Something that a worker said, or that happened to it.

    Args:
        kind: `checkpoint`, `done`, `died` or `limit`.
        job: number of the job.
        told: what the worker said; for `limit` and `died`, {"error": text}.
        worker: the worker, to answer a checkpoint.
    """

    kind: str
    job: int
    told: Mapping[str, Any]
    worker: WorkerProcess


@dataclass
class WorkerProcess:
    """One worker and the job that it has.

    Args:
        process: the process; it reads requests from its standard input and answers on its standard output.
        job: number of its job, None while it is idle.
        began: when the job began (monotonic seconds); while plugins are loaded, no job has.
        ready: whether plugins are loaded.
    """

    process: subprocess.Popen[bytes]
    job: int | None = None
    began: float = 0.0
    ready: bool = False
    _rest: bytes = b""

    @classmethod
    def start(cls, setting: Mapping[str, Any]) -> Self:
        """Start a worker; it loads plugins at once and waits for its first job."""
        command = [sys.executable, "-m", "mlframe.sweep.worker", json.dumps(setting)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=setting["folder"])
        return cls(process)

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a request or an answer; a worker that has died is noticed when it is read, one that was ended is not asked."""
        assert self.process.stdin is not None
        if self.process.stdin.closed:  # it passed a limit in the moment in which it asked
            return
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def read(self) -> list[dict[str, Any]] | None:
        """Return what the worker has said by now, None when it has gone."""
        assert self.process.stdout is not None
        data = os.read(self.process.stdout.fileno(), 1 << 16)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def memory(self) -> int:
        """Return the bytes that the worker holds; 0 where the system does not say."""
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    def end(self, *, gently: bool) -> None:
        """End the worker: gently, it closes its run as interrupted; else at once."""
        if self.process.poll() is None:
            if gently:
                self.process.send_signal(signal.SIGINT)
                try:
                    self.process.wait(PATIENCE_SECONDS)
                except subprocess.TimeoutExpired:
                    self.process.kill()
            else:
                self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        self.process.wait()


@dataclass
class Pool:
    """The workers of a sweep. The first one starts at once, and loads plugins while the sweep is still being planned.

    Args:
        setting: what a worker must know: plugins that are blocked, the working directory.
        seconds: most time of a job, None for no limit.
        memory: most bytes of a job, None for no limit.
    """

    setting: Mapping[str, Any]
    seconds: float | None = None
    memory: int | None = None
    workers: list[WorkerProcess] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.workers = [WorkerProcess.start(self.setting)]
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for worker in self.workers:
            if worker.job is None and kind is not None:
                worker.process.kill()  # it has nothing to close, and a mistake is not to be told late
            elif worker.job is None and worker.process.stdin is not None:
                worker.process.stdin.close()  # the end of its input ends an idle worker
                with suppress(subprocess.TimeoutExpired):
                    worker.process.wait(PATIENCE_SECONDS)
            worker.end(gently=True)

    def check(self, questions: Sequence[Question]) -> Callable[[], list[MlframeError]]:
        """Let the first worker check components, whose libraries it needs anyway; return what waits for the answer."""
        worker = self.workers[0]
        worker.send({"check": [asdict(question) for question in questions]})

        def answered() -> list[MlframeError]:
            while True:
                for message in worker.read() or self._gone(worker):
                    if message["kind"] == "checked":
                        return [MlframeError.from_record(record) for record in message["errors"]]
                    worker.ready = True

        return answered

    def warm(self, structure: Sequence[str], group: str) -> None:
        """Let the first worker load what the jobs of a structure need, so that the first job does not pay for it."""
        self.workers[0].send({"warm": list(structure), "group": group})

    def grow(self, size: int) -> None:
        """Start workers until there are so many."""
        self.workers += [WorkerProcess.start(self.setting) for _ in range(size - len(self.workers))]

    def idle(self) -> WorkerProcess | None:
        """Return a worker without a job, None when all are at work."""
        return next((worker for worker in self.workers if worker.job is None), None)

    @property
    def busy(self) -> bool:
        """Whether any worker has a job."""
        return any(worker.job is not None for worker in self.workers)

    def give(self, worker: WorkerProcess, number: int, request: Mapping[str, Any]) -> None:
        """Give an idle worker its next job."""
        worker.job, worker.began = number, time.monotonic()
        worker.send({**request, "job": number})

    def wait(self, until: float | None = None) -> list[Event]:
        """Wait until a worker says something, dies or passes a limit.

        Args:
            until: moment (monotonic seconds) after which to return without an event.
        """
        while True:
            events = [event for worker in self._ready(until) for event in self._heard(worker)]
            events += [event for worker in self.workers if worker.job is not None for event in self._limit(worker)]
            if events or (until is not None and time.monotonic() >= until):
                return events

    def stop(self, worker: WorkerProcess) -> None:
        """End a worker's job with the worker, and put a new one in its place."""
        worker.end(gently=False)
        self.workers[self.workers.index(worker)] = WorkerProcess.start(self.setting)

    def _ready(self, until: float | None) -> list[WorkerProcess]:
        pause = LOOK_SECONDS if self.seconds or self.memory else 1.0
        if until is not None:
            pause = max(0.0, min(pause, until - time.monotonic()))
        with selectors.DefaultSelector() as selector:
            for worker in self.workers:
                assert worker.process.stdout is not None
                selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
            return [key.data for key, _ in selector.select(pause)]

    def _heard(self, worker: WorkerProcess) -> list[Event]:
        told = worker.read()
        if told is None:
            code, job = worker.process.wait(), worker.job
            self.stop(worker)
            if job is None and worker.ready:  # ended from outside between two jobs; the new one takes its place
                return []
            if job is None:
                self._gone(worker)
            reason = (
                f"its process was ended by {signal.Signals(-code).name}"
                if code < 0
                else f"its process exited with {code}"
            )
            if code == -signal.SIGKILL:
                reason += ": usually the system, for want of memory"
            return [Event("died", job, {"error": reason}, worker)]
        events = []
        for message in told:
            if message["kind"] == "ready":
                worker.ready, worker.began = True, time.monotonic()
                continue
            assert worker.job is not None
            events.append(Event(str(message.pop("kind")), worker.job, message, worker))
            if events[-1].kind == "done":
                worker.job = None
        return events

    def _gone(self, worker: WorkerProcess) -> NoReturn:
        code = worker.process.wait()
        raise RuntimeError(f"a worker could not start (exit code {code}); its message stands above")

    def _limit(self, worker: WorkerProcess) -> list[Event]:
        spent = time.monotonic() - worker.began
        reason = None
        if self.seconds and worker.ready and spent > self.seconds:
            reason = f"it took longer than sweep.job_timeout, {self.seconds:g} s"
        elif self.memory and worker.memory() > self.memory:
            reason = f"it held more memory than sweep.job_memory, {self.memory / (1 << 20):,.0f} MB"
        if reason is None:
            return []
        job = worker.job
        assert job is not None
        self.stop(worker)
        return [Event("limit", job, {"error": reason, "seconds": spent}, worker)]
