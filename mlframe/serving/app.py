"""A worker's application (ASGI): routes, limits, keys, batching, logs. A request is read, scored and written here."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from mlframe.serving.access import Access
from mlframe.serving.batching import Batcher
from mlframe.serving.messages import Answer, Asked, Reply, Request, RequestError
from mlframe.serving.shadow import Shadow, Shadowed

if TYPE_CHECKING:
    from mlframe.serving.logs import AccessLog
    from mlframe.serving.models import Models, ServedModel
    from mlframe.serving.settings import Settings

__all__ = ["App", "Route", "Told"]

log = logging.getLogger("mlframe.serving")

SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}")
"""Request ids of callers that are taken over; others get a new one."""

BODIES = 16
"""So many bodies of the largest size may be read at once."""

Read = Callable[[Any, Request], Asked]
Write = Callable[[Any, Asked, Answer], Reply]


_random = random.Random()


def new_id() -> str:
    """Return a request id that no other request has, as good as surely."""
    return f"{_random.getrandbits(128):032x}"


@dataclass(slots=True)
class Told:
    """What the access log and the metrics are told of a request, as it becomes known."""

    route: str = "unknown"
    rows: int = 0
    version: str | None = None
    caller: str | None = None
    error: Callable[[RequestError, Request], Reply] = lambda fault, request: fault.reply(request)


@dataclass(frozen=True, slots=True)
class Route:
    """What answers a method and a path.

    Args:
        name: name in the metrics.
        scope: scope that a key must have, None for everybody.
        answer: gives the reply.
        error: writes a fault in the form of the route's protocol.
    """

    name: str
    scope: str | None
    answer: Callable[[Request, Told], Awaitable[Reply]]
    error: Callable[[RequestError, Request], Reply] = lambda fault, request: fault.reply(request)


class App:
    """Answers requests.

    Args:
        settings: what the server is told.
        models: the loaded versions.
        loop: the event loop.
        threads: scores large batches and explains.
        shadows: one thread for the shadow.
        access: checks keys.
        access_log: one line a request.
        logged: takes version, role, asked, outputs, seconds and request of each scored request.
        observe: told of each request for the metrics: what is known, status, seconds.
        counted: told of each batch's rows.
    """

    def __init__(
        self,
        settings: Settings,
        models: Models,
        loop: asyncio.AbstractEventLoop,
        threads: Executor,
        shadows: Executor,
        access: Access,
        access_log: AccessLog,
        logged: Callable[[ServedModel, str, Asked, Any, float, Request], None],
        observe: Callable[[Told, int, float], None],
        counted: Callable[[int], None],
    ) -> None:
        self.settings, self.models, self.access = settings, models, access
        self._loop, self._threads, self._access_log, self._logged, self._observe = (
            loop,
            threads,
            access_log,
            logged,
            observe,
        )
        self.batcher = Batcher(
            loop,
            threads,
            batch_rows=settings.batch_rows,
            wait=settings.wait_ms / 1000,
            queue_rows=settings.queue_rows,
            timeout=settings.timeout,
            counted=counted,
        )
        self.shadow = Shadow(
            loop,
            shadows,
            lambda model, asked, outputs, seconds, request: logged(model, "shadow", asked, outputs, seconds, request),
        )
        self._body_limit = int(settings.body_mb * (1 << 20))
        self._head_limit = settings.header_kb << 10
        kind, _, name = settings.canary.by.partition(":")
        self._canary_by, self._canary_name = kind, name.lower() if kind == "header" else name
        self._exact: dict[str, dict[str, Route]] = {}
        self._find: list[Callable[[str, str], Route | None]] = []
        self._reading = 0
        self.running = 0
        """Requests that are being answered."""
        self.ready = True
        """Whether new requests are welcome; not while the server ends."""

    # ------------------------------------------------------------------------------------------ routes

    def route(self, method: str, path: str, route: Route) -> None:
        """Let a path be answered."""
        self._exact.setdefault(path, {})[method] = route

    def routes(self, find: Callable[[str, str], Route | None]) -> None:
        """Let paths with names in them be answered: `find(method, path)` gives a route, None for not mine."""
        self._find.append(find)

    def _route(self, method: str, path: str) -> Route:
        known = self._exact.get(path)
        if known is not None:
            found = known.get(method)
            if found is None:
                raise RequestError(405, f"{path} takes {', '.join(sorted(known))}, not {method}")
            return found
        for find in self._find:
            found = find(method, path)
            if found is not None:
                return found
        raise RequestError(404, f"There is nothing at {path[:200]}")

    # ------------------------------------------------------------------------------------------ requests

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        began = time.perf_counter()
        told = Told()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        given = headers.get("x-request-id")
        request_id = given if given is not None and SANE_ID.fullmatch(given) else new_id()
        request = Request(scope["method"], scope["path"], headers=headers, id=request_id)
        self.running += 1
        try:
            try:
                reply = await self._answer(request, told, scope, receive)
            except RequestError as error:
                reply = told.error(error, request)
                if error.status in (408, 413, 431):  # what is left of the body is not worth reading
                    reply.headers = [*reply.headers, ("connection", "close")]
                elif error.status == 401:
                    reply.headers = [*reply.headers, ("www-authenticate", "Bearer")]
            except Exception as error:
                # Where it failed, but not the error's text: that may quote what was asked.
                facts = {"request_id": request_id, "path": request.path[:200], "version": told.version}
                facts["traceback"] = "".join(traceback.format_tb(error.__traceback__))
                log.error("A request failed: %s", type(error).__name__, extra={"facts": facts})
                reply = told.error(RequestError(500, "The server failed at this request; its log says why"), request)
            raw = [
                (name.encode("latin-1"), value.encode("latin-1"))
                for name, value in reply.headers
                if name != "x-request-id"
            ]
            raw.append((b"x-request-id", request_id.encode("latin-1")))
            raw.append((b"content-length", b"%d" % len(reply.body)))
            await send({"type": "http.response.start", "status": reply.status, "headers": raw})
            await send({"type": "http.response.body", "body": reply.body})
        finally:
            self.running -= 1
        seconds = time.perf_counter() - began
        self._access_log.add(
            request_id, request.method, request.path[:200], reply.status, seconds, told.rows, told.version, told.caller
        )
        self._observe(told, reply.status, seconds)

    async def _answer(self, request: Request, told: Told, scope: Mapping[str, Any], receive: Any) -> Reply:
        head = sum([len(name) + len(value) for name, value in scope["headers"]]) + len(scope["raw_path"])
        if head + len(scope["query_string"]) > self._head_limit:
            raise RequestError(431, f"The request's head has more than {self._head_limit >> 10} KB")
        route = self._route(request.method, request.path)
        told.route, told.error = route.name, route.error
        request.caller = told.caller = self.access.caller(request.headers, route.scope)
        if scope["query_string"]:
            request.query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        if request.method in ("POST", "PUT"):
            request.body = await self._body(request, receive)
        return await route.answer(request, told)

    async def _body(self, request: Request, receive: Any) -> bytes:
        """Read the whole body, not more than may be and not for longer than may be."""
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._body_limit:
            raise self._too_large()
        if not getattr(getattr(receive, "__self__", None), "more_body", True):  # uvicorn has it: nothing to wait for
            return bytes((await receive()).get("body", b""))
        try:
            async with asyncio.timeout(self.settings.timeout):
                message = await receive()
                body: bytes = message.get("body", b"")
                if not message.get("more_body"):
                    return body
                return await self._long_body(body, receive)
        except TimeoutError:
            raise RequestError(408, f"The body did not come within {self.settings.timeout:g} seconds") from None

    async def _long_body(self, first: bytes, receive: Any) -> bytes:
        """Read a body that comes in parts; all bodies together may only be so large."""
        parts, size = [first], len(first)
        try:
            self._reading += size
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestError(400, "The connection ended before the body did")
                part = message.get("body", b"")
                parts.append(part)
                size += len(part)
                self._reading += len(part)
                if size > self._body_limit:
                    raise self._too_large()
                if self._reading > BODIES * self._body_limit:
                    raise RequestError(503, "The server is busy: too many large requests come in", retry_after=1)
                if not message.get("more_body"):
                    return b"".join(parts)
        finally:
            self._reading -= size

    def _too_large(self) -> RequestError:
        return RequestError(413, f"The body has more than {self.settings.body_mb:g} MB; send fewer rows at once")

    # ------------------------------------------------------------------------------------------ predictions

    async def predict(
        self, request: Request, told: Told, read: Read, write: Write, model: ServedModel | None = None
    ) -> Reply:
        """Answer a request for predictions.

        Args:
            request: the request.
            told: what its log is told.
            read: reads its rows.
            write: writes the answer.
            model: the version that was asked for; None lets the roles decide.
        """
        began = time.perf_counter()
        roles = self.models.roles
        role = "champion"
        if model is not None:
            asked = read(model, request)
            role = "canary" if model is roles.canary else "champion" if model is roles.champion else "named"
        else:
            model = roles.champion
            asked = read(model, request)
            if roles.canary is not None:
                model, role = self.models.choose(self._canary_key(request, asked))
                if role == "canary" and not model.takes_what(roles.champion):
                    asked = read(model, request)
        told.rows, told.version = asked.rows, model.reference
        outputs, labels = await self.batcher.submit(model, asked)
        answer = Answer(model.reference, outputs, labels, request.id)
        if asked.explain:
            answer.reasons = await self._loop.run_in_executor(self._threads, model.reasons, asked, outputs)
            if answer.reasons is None:
                raise RequestError(422, f"Predictions of {model.reference} cannot be explained; leave explain out")
        reply = write(model, asked, answer)
        self._logged(model, role, asked, outputs, time.perf_counter() - began, request)
        if roles.shadow is not None and role in ("champion", "canary"):
            same = roles.shadow.takes_what(model)
            self.shadow.add(Shadowed(roles.shadow, request, asked if same else None, read))
        return reply

    def _canary_key(self, request: Request, asked: Asked) -> str:
        if self._canary_by == "header":
            return request.headers.get(self._canary_name, request.id)
        if self._canary_by == "field" and asked.rows and self._canary_name in asked.columns:
            return str(asked.columns[self._canary_name][0])
        return request.id
