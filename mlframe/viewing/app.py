"""The application (ASGI): who may look, which path is which page, headers that keep pages harmless."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from mlframe.charts.document import Document, Section
from mlframe.errors import MlframeError, UnknownNameError
from mlframe.serving.access import Access
from mlframe.serving.messages import RequestError
from mlframe.viewing.lineage import Lineage
from mlframe.viewing.pages import PLACES, Pages

if TYPE_CHECKING:
    from mlframe.store import Store

__all__ = ["Viewer"]

log = logging.getLogger("mlframe.viewing")

HEADERS = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; "
        b"frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
LOCAL = frozenset(("localhost", "127.0.0.1", "[::1]"))
AT_ONCE = 4
"""So many pages are made at once; more wait."""
LONGEST = 2048


class Viewer:
    """Answers GET requests with pages over a store; nothing is ever written to it.

    Args:
        store: the open store.
        keys: whether a key with the scope `admin` is needed, as the password of HTTP Basic or as a server takes it.
    """

    def __init__(self, store: Store, *, keys: bool) -> None:
        self._store, self._keys = store, keys
        self._pages, self._lineage = Pages(store), Lineage(store)
        self._room = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        more: list[tuple[bytes, bytes]] = []
        try:
            async with self._room:
                status, document = await asyncio.to_thread(self._answer, scope, headers)
        except RequestError as error:
            status, document = error.status, _told(f"{error.status}", f"{error}.")
            if status == 401:
                more = [(b"www-authenticate", b'Basic realm="mlframe: the password is an API key", charset="UTF-8"')]
        body = document.html().text.encode()
        start = [*HEADERS, *more, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": start})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _answer(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[int, Document]:
        self._check(scope, headers)
        words = [unquote(word) for word in scope["raw_path"].decode("latin-1").split("/") if word]
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        try:
            found = self._find(words)
            if found is None:
                return 404, _told("Not here", "There is no such page; the overview leads to all that there are.")
            return 200, found(query)
        except UnknownNameError as error:
            return 404, _told("Not in the store", f"{error.what}. {error.hint or ''}")
        except MlframeError as error:
            return 503, _told("The store does not answer", f"{error.what}. {error.hint or ''}")
        except Exception as error:
            log.exception("A page failed: %s", scope["path"][:200])
            return 500, _told("This page failed", f"{type(error).__name__}; what this command prints says where.")

    def _check(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        """Refuse who may not look, and what is no question."""
        if scope["method"] not in ("GET", "HEAD"):
            raise RequestError(405, "This page is for looking: it takes GET only")
        if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST:
            raise RequestError(414, "The address is too long")
        if self._keys:
            Access(self._store.key_table()).caller(_with_key(headers), "admin")
            return
        host = headers.get("host", "").rpartition(":")[0] if ":" in headers.get("host", "") else headers.get("host", "")
        if host.lower() not in LOCAL:  # another site's name that was made to point here (DNS rebinding)
            raise RequestError(421, "This page is for this machine: ask it as localhost or 127.0.0.1")

    def _find(self, words: list[str]) -> Callable[[Mapping[str, str]], Document] | None:
        """Return what makes the page of a path."""
        pages, lineage = self._pages, self._lineage
        match words:
            case []:
                return pages.overview
            case ["models", name]:
                return lambda query: pages.model(name, query)
            case ["models", name, "monitor"]:
                return lambda query: pages.monitor(name, query)
            case ["models", name, "decisions"]:
                return lambda query: pages.decisions(name, query)
            case ["runs"]:
                return pages.runs
            case ["runs", run]:
                return lambda query: lineage.run(run)
            case ["versions", name, number]:
                return lambda query: lineage.version(name, number)
            case ["predictions"]:
                return lineage.prediction
        return None


def _with_key(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return headers in which the password that a browser sends stands as a key."""
    kind, _, text = headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return headers
    try:
        password = base64.b64decode(text, validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        password = ""
    return {**headers, "authorization": f"Bearer {password}"}


def _told(title: str, text: str) -> Document:
    return Document(title, "mlframe", [Section("what", "What happened", lambda: [text])], places=PLACES)
