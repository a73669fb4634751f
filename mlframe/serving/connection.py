"""The HTTP server: uvicorn with httptools, held to limits of its own; docs/performance.md tells why this one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["Connection", "Server"]


class Connection(HttpToolsProtocol):
    """One connection; a request's head may take only so many bytes and seconds."""

    header_bytes = 32 << 10
    """Bytes of a request's first line and headers, together."""

    head: int | None = 0
    """Bytes of the head that came so far, None while no head is being read."""
    since = 0.0
    """When the head began to be waited for."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self.since = self.loop.time()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.head, self.since = 0, self.loop.time()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self.head = None
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Take bytes; the parser keeps those of an unfinished head, so they are counted here."""
        super().data_received(data)
        if self.head is not None and not self.transport.is_closing():
            self.head += len(data)
            if self.head > self.header_bytes:
                self.refuse(b"431 Request Header Fields Too Large")

    def refuse(self, status: bytes) -> None:
        """Answer a request that has no whole head, and close; an answer that is under way is not mixed with it."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()


class Server(uvicorn.Server):
    """Serves until `should_exit` is set; signals are the worker's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signal handlers alone."""
        yield

    def close_slow(self, seconds: float) -> None:
        """End connections whose request head takes too long; called every second or so."""
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection) and connection.head is not None and now - connection.since > seconds:
                connection.refuse(b"408 Request Timeout")
