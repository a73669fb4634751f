"""What a worker holds: store, versions, keys, logs; and how its application is wired."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mlframe.plugins import load_plugins
from mlframe.serving.access import Access
from mlframe.serving.app import App, Route, Told
from mlframe.serving.logs import AccessLog
from mlframe.serving.messages import Asked, Reply, Request
from mlframe.serving.models import Models, ServedModel
from mlframe.serving.protocols import native
from mlframe.serving.settings import Settings
from mlframe.store.store import Store

__all__ = ["Worker"]


class Worker:
    """Everything that one process serves with.

    Args:
        settings: what the server is told.
        number: which worker this is.

    Raises:
        MlframeError: the store cannot be opened or the version cannot be served.
    """

    def __init__(self, settings: Settings, number: int) -> None:
        self.settings, self.number = settings, number
        self.began = time.time()
        self.threads = ThreadPoolExecutor(1, "score")
        self.shadows = ThreadPoolExecutor(1, "shadow")
        self.looking = ThreadPoolExecutor(1, "look")
        plugins = load_plugins(settings.block, project=Path.cwd())
        self.store = Store.open(settings.store, settings.url, create=False)
        wanted = {"champion": settings.version, "canary": settings.canary.version, "shadow": settings.shadow}
        self.models = Models(self.store, plugins.registry, settings.name, wanted, settings.canary)
        self.models.refuse_errors()
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
            self._observe,
        )

        async def predict(request: Request, told: Told) -> Reply:
            return await app.predict(request, told, native.read, native.write)

        app.route("POST", "/predict", Route("predict", "predict", predict))
        return app

    def _logged(self, model: ServedModel, role: str, asked: Asked, outputs: Any, seconds: float, request: Request) -> None:
        """Hand a scored request to the prediction log."""

    def _observe(self, told: Told, status: int, seconds: float) -> None:
        """Count a request."""

    async def look(self) -> bool:
        """Look for moved aliases and new keys, load in a thread, switch between two requests."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self.looking, self._look)
        if found is None:
            return False
        self.models.switch(found)
        return True

    def _look(self) -> Any:
        if self.access.table is not None:
            self.access.table = self.store.key_table()
        return self.models.look()

    def facts(self) -> dict[str, Any]:
        """Return what the supervisor is told: which versions are held, in which roles, and what is wrong."""
        roles = self.models.roles
        held = {role: getattr(roles, role) for role in ("champion", "canary", "shadow", "previous")}
        return {
            "pid": os.getpid(),
            "versions": [model.reference for model in roles.all()],
            "roles": {role: model.reference for role, model in held.items() if model is not None},
            "fast": roles.champion.fast,
            "errors": self.models.errors,
        }

    def close(self) -> None:
        """Write what is left in the logs, close the store."""
        for pool in (self.threads, self.shadows, self.looking):
            pool.shutdown(wait=True, cancel_futures=True)
        self.access_log.close()
        self.store.close()
