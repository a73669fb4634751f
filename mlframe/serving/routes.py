"""Which path is answered by what: mlframe's own form, two protocols of others, metrics, status."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from mlframe.serving import openapi, status
from mlframe.serving.app import App, Route, Told
from mlframe.serving.messages import Reply, Request, RequestError
from mlframe.serving.metrics import CONTENT_TYPE, Metrics
from mlframe.serving.prediction_log import Feedback, FeedbackLog
from mlframe.serving.protocols import native, tensorflow, v2
from mlframe.serving.watched import Watched

if TYPE_CHECKING:
    import polars as pl

    from mlframe.serving.models import ServedModel
    from mlframe.store import Store

__all__ = ["SCORING", "add_routes"]

SCORING = frozenset({"predict", "v2_infer", "tensorflow_predict"})
"""Names of the routes that predict."""

RECENT_MINUTES, RECENT_ROWS = 15, 5_000
"""Rows of the prediction log that the status page compares with training."""

PAGE = 5.0
"""Seconds for which a status page is good: it reads the log."""


def add_routes(
    app: App, metrics: Metrics, feedback: FeedbackLog, store: Store, troubles: Callable[[], dict[str, str]]
) -> None:
    """Let the application answer every path.

    Args:
        app: the application.
        metrics: what the workers count.
        feedback: takes what turned out to be true.
        store: the open store.
        troubles: says what is wrong, by where.
    """
    models = app.models

    async def predict(request: Request, told: Told) -> Reply:
        return await app.predict(request, told, native.read, native.write)

    async def learn(request: Request, told: Told) -> Reply:
        champion = models.roles.champion
        entries = native.read_feedback(champion, request)
        told.rows = len(entries)
        lost = sum([not feedback.add(_feedback(champion, entry, request.caller)) for entry in entries])
        if lost:
            raise RequestError(503, f"{lost:,} of {len(entries):,} entries cannot be kept now", retry_after=5)
        return native.write_feedback(entries, request)

    async def count(request: Request, told: Told) -> Reply:
        return Reply(200, metrics.text() + await watched.metrics(), [("content-type", CONTENT_TYPE)])

    async def describe(request: Request, told: Told) -> Reply:
        return openapi.reply(models.roles.champion, keys=app.access.table is not None)

    watched = Watched(store, models.name)
    page = _Page(app, metrics, store, troubles, watched)
    app.route("POST", "/predict", Route("predict", "predict", predict))
    app.route("POST", "/feedback", Route("feedback", "feedback", learn))
    app.route("GET", "/metrics", Route("metrics", "admin", count))
    app.route("GET", "/openapi.json", Route("openapi", "predict", describe))
    app.route("GET", "/", Route("status", "admin", page.answer))
    app.route("GET", "/monitor", Route("monitor", "admin", watched.page))
    app.routes(lambda method, path: _v2(app, method, path))
    app.routes(lambda method, path: _tensorflow(app, method, path))


def _v2(app: App, method: str, path: str) -> Route | None:
    """Return what answers a path of the Open Inference Protocol."""
    if path != "/v2" and not path.startswith("/v2/"):
        return None
    models = app.models
    if method == "POST":

        async def infer(request: Request, told: Told) -> Reply:
            wanted = v2.target(request.path)
            if wanted.verb != "infer":
                raise RequestError(405, f"{request.path[:200]} is asked with GET")
            model = _named(app, wanted.name, wanted.version)
            return await app.predict(request, told, v2.read, v2.write, model)

        return Route("v2_infer", "predict", infer, v2.error)

    async def get(request: Request, told: Told) -> Reply:
        model: ServedModel | None = models.roles.champion
        if request.path.startswith("/v2/models/"):
            wanted = v2.target(request.path)
            model = _named(app, wanted.name, wanted.version) or model
        numbers = sorted(model.number for model in models.roles.all())
        return v2.get(model, request, ready=app.ready, versions=numbers)

    if method != "GET":
        raise RequestError(405, f"{path[:200]} takes GET and POST, not {method}")
    open_to_all = path.rstrip("/") in ("/v2", "/v2/health/live", "/v2/health/ready") or path.rstrip("/").endswith(
        "/ready"
    )
    return Route("v2", None if open_to_all else "predict", get, v2.error)


def _tensorflow(app: App, method: str, path: str) -> Route | None:
    """Return what answers a path of TensorFlow Serving's REST form."""
    if not path.startswith("/v1/models/"):
        return None
    if method == "POST":

        async def predict(request: Request, told: Told) -> Reply:
            name, version, verb = tensorflow.target(request.path)
            if verb != "predict":
                raise RequestError(405, f"{request.path[:200]} is asked with GET")
            model = _named(app, name, version)
            return await app.predict(request, told, tensorflow.read, tensorflow.write, model)

        return Route("tensorflow_predict", "predict", predict, tensorflow.error)

    async def get(request: Request, told: Told) -> Reply:
        name, version, _ = tensorflow.target(request.path)
        model = _named(app, name, version) or app.models.roles.champion
        return tensorflow.status(model, request, ready=app.ready)

    if method != "GET":
        raise RequestError(405, f"{path[:200]} takes GET and POST, not {method}")
    return Route("tensorflow", "predict", get, tensorflow.error)


def _named(app: App, name: str, version: str | None) -> ServedModel | None:
    """Return the loaded version that a path names, None where it names none: the roles decide then.

    Raises:
        RequestError: 404, the model or version is not loaded here.
    """
    if name != app.models.name:
        raise RequestError(404, f"There is no model {name[:100]!r} here, only {app.models.name!r}")
    if version is None:
        return None
    found = app.models.held(int(version)) if version.isdecimal() and len(version) < 10 else None
    if found is None:
        held = ", ".join(str(model.number) for model in app.models.roles.all())
        raise RequestError(404, f"The version {version[:20]!r} of {name!r} is not loaded here, only {held}")
    return found


def _feedback(model: ServedModel, entry: native.Feedback, caller: str | None) -> Feedback:
    """Turn what was read into what is logged: a class by its name, an outcome as a value."""
    label = entry.label
    if label is not None and model.learning.classes:
        label = model.learning.classes[list(model.learning.values).index(label)]
    outcome = None if entry.outcome is None else msgspec.json.decode(entry.outcome)
    return Feedback(entry.request_id, entry.time, label, outcome, entry.row, caller)


class _Page:
    """The status page; it is made in a thread, and good for a few seconds."""

    def __init__(
        self, app: App, metrics: Metrics, store: Store, troubles: Callable[[], dict[str, str]], watched: Watched
    ) -> None:
        self._app, self._metrics, self._store, self._troubles = app, metrics, store, troubles
        self._watched = watched
        self._made = 0.0
        self._reply: Reply | None = None
        self._lock = asyncio.Lock()

    async def answer(self, request: Request, told: Told) -> Reply:
        """Return the page."""
        async with self._lock:
            if self._reply is None or time.monotonic() - self._made > PAGE:
                self._reply = await asyncio.to_thread(self._make)
                self._made = time.monotonic()
            return Reply(self._reply.status, self._reply.body, list(self._reply.headers))

    def _make(self) -> Reply:
        roles, settings = self._app.models.roles, self._app.settings
        facts: dict[str, Any] = {}
        if roles.champion.why_slow:
            facts["why no fast path"] = roles.champion.why_slow
        if roles.canary is not None:
            facts["canary"] = f"{roles.canary.reference}, {settings.canary.share:.1%} of the requests"
        shadow = self._app.shadow
        if roles.shadow is not None:
            facts["shadow"] = (
                f"{roles.shadow.reference}; requests not scored: {shadow.lost:,}, failed: {shadow.failed:,}"
            )
        rows = None
        kept: Sequence[str] = ()
        troubles = self._troubles()
        try:
            rows = self._recent()
            versions = self._store.versions(self._app.models.name)
            kept = [str(version["reference"]) for version in reversed(versions)][:10]
        except Exception as error:  # the page is there to show what is wrong
            troubles["store"] = f"{type(error).__name__}: {error}"
        look = self._watched.look()
        if not look.up:
            troubles.setdefault("monitoring", "the store could not be asked for what monitors saw")
        found = status.Status(
            roles.champion, self._metrics.counts(), rows, kept, troubles, facts, look.health(), look.alarms
        )
        return status.reply(found)

    def _recent(self) -> pl.DataFrame:
        """Return rows that callers asked lately, with input columns by name."""
        import polars as pl

        from mlframe.serving.prediction_log import logged_names
        from mlframe.store.predictions import scan_predictions

        model = self._app.models.roles.champion
        since = datetime.now(UTC) - timedelta(minutes=RECENT_MINUTES)
        scanned = scan_predictions(self._store, model.name, since)
        names = logged_names(model.pipeline.inputs, model.learning.classes)
        known = set(scanned.collect_schema().names())
        wanted = [pl.col(logged).alias(name) for name, logged in names.items() if logged in known]
        return scanned.filter(pl.col("role") != "shadow").tail(RECENT_ROWS).select(wanted).collect()
