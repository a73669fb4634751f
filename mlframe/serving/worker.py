"""A worker: one process, one event loop, the loaded versions. The supervisor starts it, and it ends with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from mlframe.errors import MlframeError
from mlframe.serving.lean import Absent
from mlframe.serving.logs import begin
from mlframe.serving.settings import Settings

__all__ = ["main"]

log = logging.getLogger("mlframe.serving")

TELL = 1.0
"""Seconds between two words to the supervisor."""


def main(settings: Settings, number: int, port: int, metrics: Path) -> int:
    """Serve until the supervisor says so, or has gone.

    Args:
        settings: what the server is told.
        number: which worker this is, from 0.
        port: the port that the supervisor holds.
        metrics: folder in which the workers count.

    Returns:
        The exit code: 0 ended in good order, 2 what the settings ask for cannot be served (told on standard output).
    """
    begin()
    Absent().install()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor ends us in order
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # until we serve, the closed standard input ends us
    _raise_file_limit()
    os.environ.setdefault("OMP_NUM_THREADS", str(settings.threads))
    os.environ.setdefault("POLARS_MAX_THREADS", str(settings.threads))
    try:
        from mlframe.serving.serve import Worker

        worker = Worker(settings, number, metrics)
    except MlframeError as error:
        tell(failed={"what": error.what, "value": error.value, "where": error.where, "hint": error.hint})
        return 2
    try:
        return _run(worker, settings, port)
    finally:
        worker.close()


def _run(worker: Any, settings: Settings, port: int) -> int:
    try:
        import uvloop
    except ImportError:
        return asyncio.run(serve(worker, settings, port))
    return int(uvloop.run(serve(worker, settings, port)))


async def serve(worker: Any, settings: Settings, port: int) -> int:
    """Listen, tell the supervisor, look for new versions, end in good order."""
    import uvicorn

    from mlframe.serving.connection import Connection, Server

    loop = asyncio.get_running_loop()
    app = worker.app(loop)
    Connection.header_bytes = settings.header_kb << 10
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        loop="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        limit_concurrency=_most_connections(),
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, int(settings.grace)),
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    server = Server(config)

    def end() -> None:
        app.ready = False
        server.should_exit = True

    loop.add_signal_handler(signal.SIGTERM, end)
    threading.Thread(target=_end_with_supervisor, args=(loop, end), daemon=True).start()
    background = asyncio.create_task(_look_after(worker, server, settings))
    try:
        await server.serve(sockets=[listen(settings.address(), port)])
    finally:
        background.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await background
    return 0


def listen(address: str, port: int) -> socket.socket:
    """Return a socket of our own on the shared port: the system spreads connections over the workers."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.bind((address, port))
    sock.listen(2048)
    sock.setblocking(False)
    return sock


async def _look_after(worker: Any, server: Any, settings: Settings) -> None:
    """Every second: tell how we are, end slow connections; every `reload` seconds look for new versions and keys."""
    looked = time.monotonic()
    while not server.started:
        await asyncio.sleep(0.005)
    tell(ready=worker.facts())
    told = time.monotonic()
    while True:
        await asyncio.sleep(min(TELL, settings.reload))
        now = time.monotonic()
        server.close_slow(settings.timeout)
        worker.tick()
        if now - looked >= settings.reload:
            looked = now
            try:
                told = 0.0 if await worker.look() else told
            except Exception as error:  # the store is away: what is loaded goes on answering
                log.error("Nobody could look for new versions and keys: %s: %s", type(error).__name__, error)
        if now - told >= TELL:
            told = now
            tell(alive=worker.facts())


def tell(**facts: Any) -> None:
    """Send the supervisor one line on standard output."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(json.dumps(facts, default=str) + "\n")
        sys.stdout.flush()


def _end_with_supervisor(loop: asyncio.AbstractEventLoop, end: Any) -> None:
    """Wait for the end of standard input: the supervisor has gone, or wants us to go."""
    with contextlib.suppress(OSError, ValueError):
        while os.read(0, 4096):  # not through a buffer, whose lock would be held when the process ends
            pass
    with contextlib.suppress(RuntimeError):  # the loop has ended already
        loop.call_soon_threadsafe(end)


def _raise_file_limit() -> None:
    """Let the process hold as many connections as the system allows."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 65_536 if most == resource.RLIM_INFINITY else min(most, 65_536)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _most_connections() -> int:
    """Return how many connections a worker takes: files are left for the store, logs and bundles."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        return max(64, min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 10_240) - 256)
    return 768
