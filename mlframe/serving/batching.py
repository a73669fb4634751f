"""Micro-batches: requests that wait at the same moment are scored together, in a bounded queue."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlframe.serving.messages import Asked, RequestError

if TYPE_CHECKING:
    from mlframe.contracts.learning import Array
    from mlframe.serving.models import ServedModel

    Scored = tuple[Array, list[Any]]

__all__ = ["ASIDE_ROWS", "Batcher", "merged"]

ASIDE_ROWS = 256
"""Rows from which a batch is scored in a thread: fewer are done before a thread would have begun, more would keep the
event loop from answering health checks."""


@dataclass(slots=True, eq=False)
class _Job:
    """Rows of one request that wait for their scores."""

    model: ServedModel
    asked: Asked
    future: asyncio.Future[Scored]
    since: float


class Batcher:
    """Scores requests together that wait at the same moment.

    While nothing is scored a request waits for nobody: what came in with the same turn of the event loop goes together.
    While a batch is scored, the next one grows.

    Args:
        loop: the event loop; every method is called in it.
        threads: scores large batches, one at a time.
        batch_rows: rows of a batch at most; a single larger request is a batch of its own.
        wait: seconds that a request may wait for others, 0 to take what is there.
        queue_rows: rows that may wait; above that requests are refused.
        timeout: seconds after which a waiting request is refused.
        counted: told of each batch's rows.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        threads: Executor,
        *,
        batch_rows: int,
        wait: float,
        queue_rows: int,
        timeout: float,
        counted: Callable[[int], None],
    ) -> None:
        self._loop, self._threads = loop, threads
        self._batch_rows, self._wait, self._queue_rows, self._timeout = batch_rows, wait, queue_rows, timeout
        self._counted = counted
        self._jobs: deque[_Job] = deque()
        self._planned: asyncio.Handle | None = None
        self._aside = False
        self.waiting = 0
        """Rows that wait or are being scored."""

    def submit(self, model: ServedModel, asked: Asked) -> asyncio.Future[Scored]:
        """Let rows wait for their scores.

        Returns:
            Gives probabilities (rows, classes) or values (rows,), and one label a row; raises what scoring these rows
            raised.

        Raises:
            RequestError: 503, too many rows wait already.
        """
        if self.waiting and self.waiting + asked.rows > self._queue_rows:
            raise RequestError(503, f"The server is busy: {self.waiting:,} rows wait", retry_after=1)
        job = _Job(model, asked, self._loop.create_future(), self._loop.time())
        self._jobs.append(job)
        self.waiting += asked.rows
        if not self._aside:
            self._plan()
        return job.future

    def _plan(self) -> None:
        full = self.waiting >= self._batch_rows
        if self._planned is not None:
            if not full or self._wait == 0:
                return
            self._planned.cancel()
        if self._wait == 0 or full:
            self._planned = self._loop.call_soon(self._score)
        else:
            self._planned = self._loop.call_later(self._wait, self._score)

    def _score(self) -> None:
        """Score all that waits, until a batch is so large that a thread takes it."""
        self._planned = None
        for model, jobs, rows in self._batches():
            self._counted(rows)
            if rows < ASIDE_ROWS:
                self._deliver(model, jobs, _scored(model, jobs, rows))
                continue
            self._aside = True
            work = self._loop.run_in_executor(self._threads, _scored, model, jobs, rows)
            work.add_done_callback(lambda done, model=model, jobs=jobs: self._delivered(model, jobs, done))  # type: ignore[misc]
            return

    def _batches(self) -> Iterator[tuple[ServedModel, list[_Job], int]]:
        """Take jobs of one model after the other from the queue, in the order in which they came."""
        late = self._loop.time() - self._timeout
        while self._jobs:
            jobs: list[_Job] = []
            model, rows = self._jobs[0].model, 0
            while self._jobs and self._jobs[0].model is model:
                job = self._jobs[0]
                if jobs and rows + job.asked.rows > self._batch_rows:
                    break
                self._jobs.popleft()
                if job.future.done() or job.since < late:  # the caller has gone, or waits for too long
                    self.waiting -= job.asked.rows
                    if not job.future.done():
                        job.future.set_exception(RequestError(503, "The server was busy for too long", retry_after=1))
                    continue
                jobs.append(job)
                rows += job.asked.rows
            if jobs:
                yield model, jobs, rows

    def _delivered(self, model: ServedModel, jobs: list[_Job], done: asyncio.Future[Any]) -> None:
        self._aside = False
        self._deliver(model, jobs, done.exception() or done.result())
        if self._jobs:
            self._plan()

    def _deliver(self, model: ServedModel, jobs: list[_Job], scored: Scored | BaseException) -> None:
        """Give each request its part; where a batch failed, score each request alone, so that only a bad one fails."""
        first = 0
        for job in jobs:
            rows = job.asked.rows
            found = scored
            if isinstance(scored, BaseException):
                found = scored if len(jobs) == 1 else _scored(model, [job], rows)
            elif len(jobs) > 1:
                found = scored[0][first : first + rows], scored[1][first : first + rows]
            first += rows
            self.waiting -= rows
            if job.future.done():
                continue
            if isinstance(found, BaseException):
                job.future.set_exception(found)
            else:
                job.future.set_result(found)


def _scored(model: ServedModel, jobs: list[_Job], rows: int) -> Scored | BaseException:
    """Score a batch; what that raised is returned, so that the batch can be tried one by one."""
    try:
        columns = jobs[0].asked.columns if len(jobs) == 1 else merged([job.asked.columns for job in jobs])
        outputs = model.scorer.outputs(columns, rows)
        if len(outputs) != rows:
            raise ValueError(f"the model gave {len(outputs)} scores for {rows} rows")
        return outputs, model.scorer.labels(outputs)
    except Exception as error:
        return error


def merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Put the columns of several requests together, in order."""
    whole: dict[str, Any] = {}
    for name in parts[0]:
        values: list[Any] = []
        extend: Callable[[Any], None] = values.extend
        for part in parts:
            column = part[name]
            extend(column if isinstance(column, list) else column.tolist())
        whole[name] = values
    return whole
