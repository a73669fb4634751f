"""Requests that wait together are scored together, a bad one fails alone, and the queue is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlframe.serving.batching import ASIDE_ROWS, Batcher, merged
from mlframe.serving.messages import Asked, RequestError

Act = Callable[["Bench"], Awaitable[None]]


class Scorer:
    """Scores a row with twice its value; refuses what is negative."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def outputs(self, columns: dict[str, Any], rows: int) -> Any:
        values = np.asarray(columns["x"], dtype=float)
        assert len(values) == rows
        self.batches.append(rows)
        if (values < 0).any():
            raise ValueError("negative")
        return values * 2

    def labels(self, outputs: Any) -> list[str]:
        return [f"{value:g}" for value in outputs]


class Bench:
    """A batcher in a running loop."""

    def __init__(self, **changes: Any) -> None:
        self.scorer = Scorer()
        self.model: Any = SimpleNamespace(scorer=self.scorer)
        self.counted: list[int] = []
        settings = {"batch_rows": 1024, "wait": 0.0, "queue_rows": 5000, "timeout": 10.0, **changes}
        self.batcher = Batcher(
            asyncio.get_running_loop(), ThreadPoolExecutor(1), counted=self.counted.append, **settings
        )

    def ask(self, *values: float) -> asyncio.Future[Any]:
        return self.submit(self.model, *values)

    def submit(self, model: Any, *values: float) -> asyncio.Future[Any]:
        """Ask, and check that each row has its own label."""
        scored = self.batcher.submit(model, Asked({"x": list(values)}, len(values)))
        outputs: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def done(scored: asyncio.Future[Any]) -> None:
            if outputs.cancelled() or scored.cancelled():
                return
            if scored.exception() is not None:
                outputs.set_exception(scored.exception())  # type: ignore[arg-type]
                return
            assert scored.result()[1] == [f"{value:g}" for value in scored.result()[0]]
            outputs.set_result(scored.result()[0])

        outputs.add_done_callback(lambda found: scored.cancel() if found.cancelled() else None)
        scored.add_done_callback(done)
        return outputs


def with_bench(act: Act, **changes: Any) -> None:
    async def run() -> None:
        await act(Bench(**changes))

    asyncio.run(run())


def test_what_waits_together_is_scored_together():
    async def act(bench: Bench) -> None:
        jobs = [bench.ask(float(number)) for number in range(8)]
        found = await asyncio.gather(*jobs)
        assert [one.tolist() for one in found] == [[2.0 * number] for number in range(8)]
        assert bench.scorer.batches == bench.counted == [8]
        assert bench.batcher.waiting == 0
        await bench.ask(1.0)
        assert bench.scorer.batches == [8, 1]

    with_bench(act)


def test_a_bad_request_fails_alone():
    async def act(bench: Bench) -> None:
        good, bad, other = bench.ask(1.0, 2.0), bench.ask(-1.0), bench.ask(3.0)
        found = await asyncio.gather(good, bad, other, return_exceptions=True)
        assert found[0].tolist() == [2.0, 4.0]
        assert isinstance(found[1], ValueError)
        assert found[2].tolist() == [6.0]
        assert bench.batcher.waiting == 0

    with_bench(act)


def test_batches_have_a_size_and_large_ones_do_not_hold_the_loop():
    async def act(bench: Bench) -> None:
        jobs = [bench.ask(*[float(number)] * 300) for number in range(5)]
        found = await asyncio.gather(*jobs)
        assert [one.tolist() for one in found] == [[2.0 * number] * 300 for number in range(5)]
        assert max(bench.scorer.batches) <= 700
        assert sum(bench.scorer.batches) == 1500

    assert ASIDE_ROWS <= 300
    with_bench(act, batch_rows=700)


def test_a_request_larger_than_a_batch_is_one_of_its_own():
    async def act(bench: Bench) -> None:
        found = await bench.ask(*[1.0] * 50)
        assert found.tolist() == [2.0] * 50
        assert bench.scorer.batches == [50]

    with_bench(act, batch_rows=8)


def test_a_full_queue_refuses_and_says_when_to_come_again():
    async def act(bench: Bench) -> None:
        first = bench.ask(1.0, 2.0, 3.0)
        with pytest.raises(RequestError) as refused:
            bench.ask(4.0)
        assert refused.value.status == 503
        assert refused.value.retry_after == 1
        await first
        assert (await bench.ask(4.0)).tolist() == [8.0]

    with_bench(act, queue_rows=3)


def test_who_waits_for_too_long_is_refused():
    async def act(bench: Bench) -> None:
        job = bench.ask(1.0)
        with pytest.raises(RequestError) as refused:
            await job
        assert refused.value.status == 503
        assert bench.batcher.waiting == 0
        assert bench.scorer.batches == []

    with_bench(act, timeout=-1.0)


def test_who_has_gone_is_not_scored():
    async def act(bench: Bench) -> None:
        gone, there = bench.batcher.submit(bench.model, Asked({"x": [-1.0]}, 1)), bench.ask(1.0)
        gone.cancel()
        assert (await there).tolist() == [2.0]
        assert bench.scorer.batches == [1]
        assert bench.batcher.waiting == 0

    with_bench(act)


def test_waiting_gathers_what_comes_later():
    async def act(bench: Bench) -> None:
        first = bench.ask(1.0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        second = bench.ask(2.0)
        await asyncio.gather(first, second)
        assert bench.scorer.batches == [2]

    with_bench(act, wait=0.05)


def test_a_full_batch_does_not_wait():
    async def act(bench: Bench) -> None:
        first, second = bench.ask(1.0), bench.ask(2.0)
        await asyncio.wait_for(asyncio.gather(first, second), 5.0)
        assert bench.scorer.batches == [2]

    with_bench(act, wait=3600.0, batch_rows=2)


def test_models_are_not_mixed():
    async def act(bench: Bench) -> None:
        other = Scorer()
        model: Any = SimpleNamespace(scorer=other)
        jobs = [bench.ask(1.0), bench.submit(model, 2.0), bench.ask(3.0)]
        assert [one.tolist() for one in await asyncio.gather(*jobs)] == [[2.0], [4.0], [6.0]]
        assert other.batches == [1]

    with_bench(act)


def test_columns_of_lists_and_arrays_go_together():
    parts = [{"a": [1, None], "b": np.array([1.5, 2.5])}, {"a": np.array([3]), "b": [None]}]
    assert merged(parts) == {"a": [1, None, 3], "b": [1.5, 2.5, None]}
