"""A challenger scores the same requests, off the answer path; its scores are logged and nobody sees them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlframe.serving.batching import merged
from mlframe.serving.messages import Asked, Request

if TYPE_CHECKING:
    from mlframe.serving.models import ServedModel

__all__ = ["Shadow", "Shadowed"]

log = logging.getLogger("mlframe.serving")


@dataclass(slots=True)
class Shadowed:
    """A request that the shadow scores too.

    Args:
        model: the shadow.
        request: the request.
        asked: its rows, when the shadow has the same input columns; else they are read again.
        read: reads it.
    """

    model: ServedModel
    request: Request
    asked: Asked | None
    read: Callable[[Any, Request], Asked]


class Shadow:
    """Scores what it can keep up with, in a thread; the rest is dropped and counted.

    Args:
        loop: the event loop; `add` is called in it.
        threads: one thread of its own.
        logged: takes version, asked, outputs, seconds and request of each scored request.
        queue: requests that may wait.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        threads: Executor,
        logged: Callable[[ServedModel, Asked, Any, float, Request], None],
        queue: int = 2_000,
    ) -> None:
        self._loop, self._threads, self._logged, self._queue = loop, threads, logged, queue
        self._waiting: deque[Shadowed] = deque()
        self._busy = False
        self.scored = 0
        self.lost = 0
        """Requests that were not scored because too many waited."""
        self.failed = 0
        """Requests that the shadow could not score."""

    def add(self, item: Shadowed) -> None:
        """Let a request be scored some time soon."""
        if len(self._waiting) >= self._queue:
            self.lost += 1
            return
        self._waiting.append(item)
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        items = list(self._waiting)
        self._waiting.clear()
        self._loop.run_in_executor(self._threads, self._score, items).add_done_callback(self._done)

    def _done(self, _: Any) -> None:
        self._busy = bool(self._waiting)
        if self._busy:
            self._begin()

    def _score(self, items: list[Shadowed]) -> None:
        began = time.perf_counter()
        asked: list[tuple[Shadowed, Asked]] = []
        for item in items:
            try:
                asked.append((item, item.asked or item.read(item.model, item.request)))
            except Exception:  # its schema refuses what the champion's takes
                self.failed += 1
        for model in {id(item.model): item.model for item, _ in asked}.values():
            mine = [(item, rows) for item, rows in asked if item.model is model]
            try:
                columns = merged([rows.columns for _, rows in mine])
                outputs = model.scorer.outputs(columns, sum(rows.rows for _, rows in mine))
            except Exception as error:
                self.failed += len(mine)
                log.warning("The shadow %s failed: %s", model.reference, type(error).__name__)
                continue
            seconds = (time.perf_counter() - began) / len(mine)
            first = 0
            for item, rows in mine:
                self._logged(model, rows, outputs[first : first + rows.rows], seconds, item.request)
                first += rows.rows
            self.scored += len(mine)
