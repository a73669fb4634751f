"""Shows the store in a browser: read-only, on this machine unless keys guard it."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import socket

from mlframe.errors import UserError

SUMMARY = "show the store in a browser: models, versions, monitors, decisions, where a prediction comes from"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; any but loopback needs an API key")
    parser.add_argument("--port", type=int, default=8090, help="port; 0 takes a free one (default: 8090)")


def run(arguments: argparse.Namespace) -> int:
    """Listen until Ctrl-C."""
    import uvicorn

    from mlframe.viewing.app import Viewer

    with arguments.door.open_store() as store, _listening(arguments.host, arguments.port) as sock:
        keys = not _loopback(sock)
        if keys and not any("admin" in scopes for _, scopes in store.key_table().values()):
            hint = (
                "make one: python -m mlframe keys create me --scope admin; it is the password that the browser asks for"
            )
            raise UserError(
                "On an address that others reach this page wants an API key, and the store has none for admin",
                value=arguments.host,
                where="--host",
                hint=hint,
            )
        config = uvicorn.Config(
            Viewer(store, keys=keys),
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            interface="asgi3",
            ws="none",
            limit_concurrency=64,
            timeout_graceful_shutdown=5,
        )
        host, port = sock.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        print(f"the store at http://{shown}:{port} (Ctrl-C ends it)", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[sock])
    return 0


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        UserError: one cannot listen there.
    """
    try:
        if not 0 <= port < 65536:
            raise OSError("ports go from 0 to 65535")
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(place)
            sock.listen(128)  # who reads the address that is printed can ask at once
        except OSError:
            sock.close()
            raise
    except OSError as error:
        raise UserError(
            f"Nobody can listen there: {error.strerror or error}",
            value=f"{host}:{port}",
            where="--host, --port",
            hint="name another port, or 0 for a free one",
        ) from error
    return sock


def _loopback(sock: socket.socket) -> bool:
    return ipaddress.ip_address(sock.getsockname()[0].partition("%")[0]).is_loopback
