"""An endpoint under test: one that answers already, or a server started for the test from a store of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mlframe.errors import UserError

if TYPE_CHECKING:
    from mlframe.testing.bundles import Bundle

__all__ = ["KEY_VARIABLE", "START", "Endpoint", "staged"]

START = "start"
"""Word for an endpoint that is started for the tests and ended after them."""

KEY_VARIABLE = "MLFRAME_API_KEY"
"""Environment variable with the API key that an endpoint wants."""

PATIENCE = 30.0


class Endpoint:
    """A prediction server, asked over one connection that stays open.

    Args:
        address: such as `http://127.0.0.1:8080`.

    Raises:
        UserError: the address is none.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        place = urlsplit(address)
        if place.scheme not in ("http", "https") or not place.hostname:
            raise UserError("This is no address of a server", value=address, hint="such as http://127.0.0.1:8080")
        kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(place.hostname, place.port, timeout=PATIENCE)
        key = os.environ.get(KEY_VARIABLE)
        self._headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}

    def send(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any, float]:
        """Send one request.

        Returns:
            The status, the answer (JSON read, anything else as text), and the seconds that it took.

        Raises:
            UserError: nothing answers there.
        """
        began = time.perf_counter()
        try:
            self._connection.request(method, path, body, self._headers)
            reply = self._connection.getresponse()
            raw = reply.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise UserError(
                f"The endpoint does not answer ({type(error).__name__}: {error})",
                value=self.address,
                hint="start it, or let the tests start one: --mlframe-endpoint start",
            ) from error
        took = time.perf_counter() - began
        is_json = "json" in (reply.getheader("content-type") or "")
        return reply.status, json.loads(raw) if is_json and raw else raw.decode("utf-8", "replace"), took

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextlib.contextmanager
def staged(bundle: Bundle, address: str) -> Iterator[Endpoint]:
    """Give an endpoint that serves a bundle.

    One that is started has a store of its own with nothing but this version: what the tests ask never reaches the
    prediction log that monitors read. It takes a free port, and ends with the tests.

    Args:
        bundle: the version.
        address: where it is served, or `start`.

    Raises:
        MlframeError: the server cannot be started.
    """
    with contextlib.ExitStack() as stack:
        if address == START:
            address = stack.enter_context(_started(bundle))
        endpoint = Endpoint(address)
        stack.callback(endpoint.close)
        yield endpoint


@contextlib.contextmanager
def _started(bundle: Bundle) -> Iterator[str]:
    from mlframe.contracts import Deployment
    from mlframe.store.store import Store

    name, _, number = bundle.reference.rpartition("/")
    with tempfile.TemporaryDirectory(prefix="staging-") as place:
        run = Path(place, "run")
        run.mkdir()
        with Store.open(str(Path(place, "store"))) as store:
            reference = store.register(
                name or str(bundle.manifest["name"]),
                bundle.folder,
                run_id=str(bundle.manifest["run_id"]),
                figures={},
                facts={},
                number=int(number) if name else None,
            )
            order = Deployment(
                name=reference.partition("/")[0],
                reference=reference,
                follows=None,
                bundle=store.open_bundle(reference),
                store_root=store.root,
                store_url=None,
                config=bundle.config,
                folder=run,
                say=lambda text: None,
                opener=lambda: bundle.pipeline,
            )
        node = {"name": "http", "port": 0, "workers": 1, "auth": "none", "access_log": None}
        deployer = bundle.registry.create("deployer", node)
        outside = os.environ.pop("MLFRAME_STORE_URL", None)  # the staging store has its own tables
        try:
            facts = deployer.deploy(order)
        finally:
            if outside is not None:
                os.environ["MLFRAME_STORE_URL"] = outside
        try:
            yield str(facts["address"])
        finally:
            deployer.undo()
