"""Real server processes for tests: started on a free port, asked over HTTP, ended."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from mlframe.serving.settings import Settings

PATIENCE = 60.0
"""Seconds after which a test gives up waiting for a server: a busy machine is slow, a stuck one is stuck."""


class Running:
    """A server.

    Args:
        process: its supervisor.
        address: where it answers.
        errors: file with what it logs.
    """

    def __init__(self, process: subprocess.Popen[str], ready: dict[str, Any], errors: Path) -> None:
        self.process, self.ready, self.errors = process, ready, errors
        self.place = urlsplit(ready["address"])

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(str(self.place.hostname), self.place.port, timeout=PATIENCE)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, dict[str, str]]:
        """Send one request over a connection of its own; bodies that are no bytes become JSON."""
        connection = self.connection()
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, data, {"content-type": "application/json", **named})
            reply = connection.getresponse()
            raw = reply.read()
            told = dict(reply.getheaders())
            is_json = "json" in told.get("content-type", "")
            return reply.status, json.loads(raw) if is_json and raw else raw, told
        finally:
            connection.close()

    def ask(self, row: dict[str, Any], **headers: str) -> dict[str, Any]:
        status, told, _ = self.send("POST", "/predict", row, **headers)
        assert status == 200, told
        answer: dict[str, Any] = told
        return answer

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.errors.read_text().splitlines() if line.startswith("{")]


@contextlib.contextmanager
def serving(folder: Path, store: str, **changes: Any) -> Iterator[Running]:
    """Run a server on a free port, one worker unless the test says so."""
    values = {
        "name": "made",
        "version": "made@champion",
        "store": store,
        "port": 0,
        "workers": 1,
        "reload": 0.1,
        **changes,
    }
    process, errors = begun(folder, values)
    line = ""
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        told = json.loads(line) if line else {}
        assert "ready" in told, (line, errors.read_text())
        yield Running(process, told["ready"], errors)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()


def begun(folder: Path, values: dict[str, Any]) -> tuple[subprocess.Popen[str], Path]:
    """Start the supervisor."""
    folder.mkdir(parents=True, exist_ok=True)
    Settings.made(values, where="test").write(folder / "serving.json")
    errors = folder / "errors.txt"
    with errors.open("w") as target:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlframe.serving", str(folder / "serving.json")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=target,
            text=True,
            cwd=folder,
        )
    return process, errors


def until(found: Callable[[], Any], what: str) -> Any:
    """Wait until something is true; a machine that is busy is waited for."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not in time: {what}")


def rows_of(bundle: Path, count: int = 5) -> list[dict[str, Any]]:
    """Return example rows of a bundle as requests spell them."""
    frame = pl.read_ipc(bundle / "examples.arrow").head(count)
    times = [name for name, dtype in frame.schema.items() if dtype == pl.Datetime]
    return frame.with_columns(pl.col(times).dt.to_string("iso:strict")).to_dicts() if times else frame.to_dicts()
