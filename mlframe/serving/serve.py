"""What a worker holds: store, versions, keys, logs; and how its application is wired."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mlframe.errors import MlframeError
from mlframe.plugins import load_plugins
from mlframe.serving.access import Access
from mlframe.serving.app import App, Told
from mlframe.serving.logs import AccessLog
from mlframe.serving.messages import Asked, Request
from mlframe.serving.metrics import Metrics
from mlframe.serving.models import Models, ServedModel
from mlframe.serving.prediction_log import Failure, FailureLog, FeedbackLog, Logged, PredictionLog
from mlframe.serving.routes import SCORING, add_routes
from mlframe.serving.settings import Settings
from mlframe.store.predictions import expire
from mlframe.store.store import Store

__all__ = ["Worker"]

log = logging.getLogger("mlframe.serving")

EXPIRE = 3600.0
"""Seconds between two looks for segments that are too old."""


class Worker:
    """Everything that one process serves with.

    Args:
        settings: what the server is told.
        number: which worker this is.
        metrics: folder in which the workers count.

    Raises:
        MlframeError: the store cannot be opened or the version cannot be served.
    """

    def __init__(self, settings: Settings, number: int, metrics: Path) -> None:
        self.settings, self.number = settings, number
        self._expired = -EXPIRE
        self.threads = ThreadPoolExecutor(1, "score")
        self.shadows = ThreadPoolExecutor(1, "shadow")
        self.looking = ThreadPoolExecutor(1, "look")
        plugins = load_plugins(settings.block, project=Path.cwd())
        self.store = Store.open(settings.store, settings.url, create=False)
        wanted = {"champion": settings.version, "canary": settings.canary.version, "shadow": settings.shadow}
        worker = f"{socket.gethostname()}_{os.getpid()}_{number}"
        self.metrics = Metrics(metrics, worker)
        log = settings.log
        rotation: dict[str, Any] = {
            "flush": log.flush,
            "rotate_bytes": int(log.rotate_mb * (1 << 20)),
            "rotate_seconds": log.rotate_minutes * 60,
            "queue": log.queue,
        }
        self.log = PredictionLog(
            self.store.folder / "predictions" / settings.name,
            worker,
            salt=self.store.pii_salt(),
            pii="drop" if log.pii == "drop" else "hash",
            **rotation,
        )
        self.models = Models(
            self.store,
            plugins.registry,
            settings.name,
            wanted,
            settings.canary,
            settings.rows,
            lambda model: self.log.introduce(model.reference, model.pipeline),
        )
        self.models.refuse_errors()
        numeric = not self.models.roles.champion.learning.classes
        self.feedback = FeedbackLog(self.store.folder / "feedback" / settings.name, worker, numeric=numeric, **rotation)
        self.failed = FailureLog(self.store.folder / "failures" / settings.name, worker, **rotation)
        self._failures: Counter[tuple[str, str, int]] = Counter()
        self.access = Access(self.store.key_table() if settings.keys_needed() else None)
        self.access_log = AccessLog(settings.access_log)
        self._app: App | None = None

    def app(self, loop: asyncio.AbstractEventLoop) -> App:
        """Return the application, wired for an event loop."""
        app = self._app = App(
            self.settings,
            self.models,
            loop,
            self.threads,
            self.shadows,
            self.access,
            self.access_log,
            self._logged,
            self._observed,
            self.metrics.batch,
        )
        add_routes(app, self.metrics, self.feedback, self.store, self.troubles)
        return app

    def _logged(
        self, model: ServedModel, role: str, asked: Asked, outputs: Any, seconds: float, request: Request
    ) -> None:
        """Hand a scored request to the prediction log."""
        moment = time.time() - seconds
        self.log.add(
            Logged(
                request.id, moment, model.reference, role, asked.columns, asked.rows, outputs, seconds, request.caller
            )
        )

    def _observed(self, told: Told, status: int, seconds: float) -> None:
        """Count a request, and those for predictions that got none for their log."""
        self.metrics.request(told.route, status, told.version, seconds, told.rows)
        if status >= 400 and told.route in SCORING:
            version = told.version or self.models.roles.champion.reference
            self._failures[version, told.route, status] += 1

    def troubles(self) -> dict[str, str]:
        """Return what is wrong, by where."""
        found = dict(self.models.errors)
        for name, log in (("prediction log", self.log), ("feedback", self.feedback), ("failures", self.failed)):
            if log.error:
                found[name] = log.error
        return found

    def tick(self) -> None:
        """Write what is counted; called every second."""
        metrics, app, roles = self.metrics, self._app, self.models.roles
        failures, self._failures = self._failures, Counter()
        for (version, route, status), requests in failures.items():
            self.failed.add(Failure(time.time(), version, route, status, requests))
        metrics.lost = self.log.lost + self.feedback.lost + self.failed.lost
        metrics.reload_errors = self.models.failures
        if app is not None:
            metrics.queue, metrics.running = app.batcher.waiting, app.running
        held = {role: getattr(roles, role) for role in ("champion", "canary", "shadow", "previous")}
        metrics.models = [(model.reference, role, model.fast) for role, model in held.items() if model is not None]
        metrics.flush()

    async def look(self) -> bool:
        """Look for moved aliases and new keys, load in a thread, switch between two requests."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self.looking, self._look)
        if found is None:
            return False
        self.models.switch(found)
        gc.freeze()
        return True

    def _look(self) -> Any:
        if self.access.table is not None:
            self.access.table = self.store.key_table()
        self._expire()
        return self.models.look()

    def _expire(self) -> None:
        """Remove logs that are too old, once an hour; one worker does it for all."""
        days = self.settings.log.keep_days
        if days is None or self.number or time.monotonic() - self._expired < EXPIRE:
            return
        self._expired = time.monotonic()
        try:
            removed = expire(self.store, self.settings.name, days)
        except MlframeError as error:  # tried again in an hour; versions and keys are looked at all the same
            log.warning("Old logs could not be removed: %s", error)
        else:
            if removed:
                log.info("%d files of logs older than %d days are removed", removed, days)

    def facts(self) -> dict[str, Any]:
        """Return what the supervisor is told: which versions are held, in which roles, and what is wrong."""
        roles = self.models.roles
        held = {role: getattr(roles, role) for role in ("champion", "canary", "shadow", "previous")}
        return {
            "pid": os.getpid(),
            "versions": [model.reference for model in roles.all()],
            "roles": {role: model.reference for role, model in held.items() if model is not None},
            "fast": roles.champion.fast,
            "errors": self.troubles(),
        }

    def close(self) -> None:
        """Write what is left in the logs, close the store."""
        for pool in (self.threads, self.shadows, self.looking):
            pool.shutdown(wait=True, cancel_futures=True)
        self.log.close()
        self.feedback.close()
        self.access_log.close()
        self.tick()
        self.failed.close()
        self.store.close()
