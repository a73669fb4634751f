"""The supervisor: takes the port, keeps the workers alive, says which versions they hold, ends them in good order.

It scores nothing and imports no model library. Each worker is a fresh Python process on the same port; one that dies is
replaced while the others answer. Standard output has one JSON object a line: `ready`, then `ended`, or `failed`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlframe.errors import MlframeError, UserError
from mlframe.serving.logs import begin
from mlframe.serving.settings import Settings
from mlframe.serving.worker import tell

__all__ = ["Supervisor", "main"]

log = logging.getLogger("mlframe.serving")

HEARTBEAT = 10.0
"""Seconds between two words to the store."""

PATIENCE = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before a worker is replaced, by how often it has died lately."""

LATELY = 60.0
"""Seconds after which a death is forgotten."""


def main(argv: Sequence[str]) -> int:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        argv: the settings' file; `--worker NUMBER PORT FOLDER` is the supervisor's own business.

    Returns:
        0 ended by SIGTERM, 130 by Ctrl-C, 2 what was asked for cannot be served, 1 the server failed.
    """
    words = list(argv)
    if not words or words[0].startswith("-") or len(words) not in (1, 5):
        sys.stderr.write("usage: python -m mlframe.serving SETTINGS.json\n")
        return 2
    try:
        settings = Settings.read(Path(words[0]))
        if words[1:2] == ["--worker"]:
            from mlframe.serving.worker import main as work

            return work(settings, int(words[2]), int(words[3]), Path(words[4]))
        begin()
        settings.check_tls()
        with tempfile.TemporaryDirectory(prefix="mlframe-serving-") as metrics:
            return asyncio.run(Supervisor(settings, Path(words[0]), Path(metrics)).run())
    except MlframeError as error:
        tell(failed={"what": error.what, "value": error.value, "where": error.where, "hint": error.hint})
        sys.stderr.write(f"mlframe: {error}\n")
        return error.exit_code


class Supervisor:
    """Keeps the workers.

    Args:
        settings: what the server is told.
        file: where they stand, for the workers.
        metrics: folder in which the workers count.

    Raises:
        ConfigError: the port is taken.
        StoreError: there is no store.
    """

    def __init__(self, settings: Settings, file: Path, metrics: Path) -> None:
        self.settings, self.file, self.metrics = settings, file, metrics
        self._held = settings.reserve()
        self.port: int = self._held.getsockname()[1]
        self._workers: list[Child] = []
        self._ending = asyncio.Event()
        self._code = 0
        self._failed: dict[str, Any] | None = None
        self._changed = asyncio.Event()

    @property
    def address(self) -> str:
        """Where the server is found."""
        host = self.settings.host
        return f"{self.settings.scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def run(self) -> int:
        """Start the workers and stay until the end."""
        loop = asyncio.get_running_loop()
        for number, code in ((signal.SIGTERM, 0), (signal.SIGINT, 130)):
            loop.add_signal_handler(number, self._end, code)
        began = time.monotonic()
        self._workers = [Child(self, number) for number in range(self.settings.workers)]
        tasks = [asyncio.create_task(child.keep()) for child in self._workers]
        try:
            await self._first(tasks)
            if self._failed is None and not self._ending.is_set():
                facts = {**self._record(), "seconds": round(time.monotonic() - began, 3)}
                tell(ready=facts)
                log.info("Serving %s at %s", ", ".join(facts["versions"]), self.address, extra={"facts": facts})
                await self._attend()
        finally:
            self._ending.set()
            for child in self._workers:
                child.end()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._held.close()
        if self._failed is not None:
            tell(failed=self._failed)
            sys.stderr.write(f"mlframe: {_error_of(self._failed)}\n")
            return 2 if self._failed.get("what") else 1
        tell(ended={"code": self._code})
        return self._code

    def _end(self, code: int) -> None:
        self._code = code
        self._ending.set()
        self._changed.set()

    def ends(self) -> bool:
        """Whether the server is ending."""
        return self._ending.is_set()

    async def pause(self, seconds: float) -> None:
        """Wait, but not longer than the server runs."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), seconds)

    def failed(self, facts: dict[str, Any]) -> None:
        """Take a worker's word that what is asked for cannot be served; the first start ends with it."""
        self._failed = self._failed or facts
        self._ending.set()
        self._changed.set()

    def changed(self) -> None:
        """A worker has said something new."""
        self._changed.set()

    async def _first(self, tasks: list[asyncio.Task[None]]) -> None:
        """Wait until every worker answers, or one cannot."""
        while not self._ending.is_set() and not all(child.ready for child in self._workers):
            self._changed.clear()
            waiter = asyncio.create_task(self._changed.wait())
            await asyncio.wait([waiter, *tasks], return_when=asyncio.FIRST_COMPLETED)
            waiter.cancel()

    async def _attend(self) -> None:
        """Keep the store's record of this server, until the end."""
        from mlframe.store.store import Store

        with Store.open(self.settings.store, self.settings.url, create=False) as store:
            name, server_id, last = self.settings.name, "", None
            try:
                while not self._ending.is_set():
                    record = self._record()
                    self._changed.clear()
                    try:
                        if not server_id:
                            server_id = await asyncio.to_thread(store.servers.start, name, record)
                        else:
                            await asyncio.to_thread(store.servers.seen, server_id, name, record)
                    except MlframeError as error:
                        log.warning("The store cannot be told that this server runs: %s", error)
                    last = record
                    until = time.monotonic() + HEARTBEAT
                    while time.monotonic() < until and not self._ending.is_set() and self._record() == last:
                        with contextlib.suppress(TimeoutError):
                            await asyncio.wait_for(self._changed.wait(), 1.0)
                        self._changed.clear()
                        if self.settings.parent is not None and os.getppid() != self.settings.parent:
                            log.info("The process that started this server has gone")
                            self._end(0)
            finally:
                if server_id:
                    with contextlib.suppress(MlframeError):
                        await asyncio.to_thread(store.servers.stop, server_id)

    def _record(self) -> dict[str, Any]:
        """Return what the store is told: address, versions in memory, workers."""
        facts = [child.facts for child in self._workers if child.facts]
        return {
            "address": self.address,
            "run": self.settings.run,
            "versions": sorted({version for fact in facts for version in fact.get("versions", ())}),
            "roles": facts[0].get("roles", {}) if facts else {},
            "errors": {key: text for fact in facts for key, text in fact.get("errors", {}).items()},
            "workers": [child.process.pid for child in self._workers if child.process is not None],
        }


class Child:
    """One worker process, replaced when it dies.

    Args:
        supervisor: whose it is.
        number: which one, from 0.
    """

    def __init__(self, supervisor: Supervisor, number: int) -> None:
        self.supervisor, self.number = supervisor, number
        self.process: asyncio.subprocess.Process | None = None
        self.ready = False
        self.facts: dict[str, Any] = {}
        self._deaths: list[float] = []

    async def keep(self) -> None:
        """Start the worker, listen to it, start another when it dies; return after `end`."""
        while not self.supervisor.ends():
            code = await self._once()
            self.facts = {}
            if self.supervisor.ends():
                return
            if not self.ready:
                self.supervisor.failed({"text": f"Worker {self.number} ended with code {code} before it could answer"})
                return
            now = time.monotonic()
            self._deaths = [at for at in self._deaths if now - at < LATELY] + [now]
            pause = PATIENCE[min(len(self._deaths), len(PATIENCE)) - 1]
            log.error("Worker %s ended with code %s; another one starts in %g s", self.number, code, pause)
            await self.supervisor.pause(pause)

    async def _once(self) -> int:
        settings, supervisor = self.supervisor.settings, self.supervisor
        self.process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "mlframe.serving",
            str(supervisor.file),
            "--worker",
            str(self.number),
            str(supervisor.port),
            str(supervisor.metrics),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
            env={**os.environ, "OMP_NUM_THREADS": str(settings.threads), "POLARS_MAX_THREADS": str(settings.threads)},
        )
        if supervisor.ends():
            self.end()
        assert process.stdout is not None
        while line := await process.stdout.readline():
            with contextlib.suppress(ValueError):
                self._told(json.loads(line))
        code = await process.wait()
        self.process = None
        return code

    def _told(self, message: dict[str, Any]) -> None:
        if "failed" in message:
            if not self.ready:
                self.supervisor.failed(message["failed"])
            else:  # it served before: the store is away, or the version has gone; tried again
                log.error("Worker %s cannot start again: %s", self.number, _error_of(message["failed"]))
        for word in ("ready", "alive"):
            if word in message:
                self.ready = True
                if self.facts != message[word]:
                    self.facts = message[word]
                    self.supervisor.changed()

    def end(self) -> None:
        """Ask the worker to answer what it has accepted and end; one that takes too long is killed."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        # A worker that serves ends by itself after `grace`; this is for one that does nothing any more.
        asyncio.get_running_loop().call_later(self.supervisor.settings.grace + 10.0, _kill, process)


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


def _error_of(facts: dict[str, Any]) -> MlframeError | str:
    if not facts.get("what"):
        return str(facts.get("text", facts))
    given = {key: facts[key] for key in ("value", "where", "hint") if facts.get(key) is not None}
    return UserError(facts["what"], **given)
