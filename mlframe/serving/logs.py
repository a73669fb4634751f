"""What a server writes for people and machines: one JSON object a line, with request ids and no input values."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import traceback
from datetime import UTC, datetime
from typing import Any

__all__ = ["AccessLog", "JsonLines", "begin"]

ATOMIC = 4096
"""Bytes that a pipe takes whole: lines of several processes are not mixed."""

HELD = 50_000
"""Lines that may wait for a slow reader; more are dropped and counted."""


def encode(value: dict[str, Any]) -> bytes:
    """Return one line."""
    import msgspec

    return msgspec.json.encode(value) + b"\n"


class JsonLines(logging.Formatter):
    """Formats log records as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one record as one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": "log",
            "text": record.getMessage(),
            "pid": record.process,
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return encode(line).decode().rstrip("\n")


def begin() -> None:
    """Let everything that this process logs go to standard error as JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.getLogger().handlers[:] = [handler]
    logging.getLogger("mlframe").setLevel(logging.INFO)
    logging.captureWarnings(True)


class AccessLog:
    """One line a request, written by a thread of its own: a request only leaves a tuple.

    Args:
        target: `stderr`, a file that is appended to, or None for no log.
    """

    def __init__(self, target: str | None) -> None:
        self._lines: list[tuple[Any, ...]] = []
        self._open = target is not None
        self.lost = 0
        if target is None:
            return
        self._file = 2 if target == "stderr" else os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="access-log", daemon=True)
        self._thread.start()

    def add(
        self,
        request_id: str,
        method: str,
        path: str,
        status: int,
        seconds: float,
        rows: int,
        version: str | None,
        caller: str | None,
    ) -> None:
        """Log a request; never waits."""
        if not self._open:
            return
        if len(self._lines) >= HELD:
            self.lost += 1
            return
        self._lines.append((time.time(), request_id, method, path, status, seconds, rows, version, caller))

    def close(self) -> None:
        """Write what is left."""
        if self._open:
            self._open = False
            self._ended.set()
            self._thread.join(5.0)

    def _work(self) -> None:
        while not self._ended.wait(0.2):
            self._write()
        self._write()

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        part: list[bytes] = []
        size = 0
        for entry in lines:
            line = _line(*entry)
            if part and size + len(line) > ATOMIC:
                self._out(part)
                part, size = [], 0
            part.append(line)
            size += len(line)
        if part:
            self._out(part)

    def _out(self, part: list[bytes]) -> None:
        with contextlib.suppress(OSError):  # a reader that has gone, a full disk: requests are answered all the same
            os.write(self._file, b"".join(part))
            return
        self.lost += len(part)


def _line(
    when: float,
    request_id: str,
    method: str,
    path: str,
    status: int,
    seconds: float,
    rows: int,
    version: str | None,
    caller: str | None,
) -> bytes:
    line: dict[str, Any] = {
        "time": datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds"),
        "level": "info" if status < 500 else "error",
        "event": "request",
        "request_id": request_id,
        "method": method,
        "path": path,
        "status": status,
        "ms": round(seconds * 1000, 3),
    }
    if rows:
        line["rows"] = rows
    if version is not None:
        line["version"] = version
    if caller is not None:
        line["caller"] = caller
    return encode(line)
