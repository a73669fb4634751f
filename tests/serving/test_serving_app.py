"""The way of a request through the application, with a model that does as it is told."""

from __future__ import annotations

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from wire_bench import Served

from mlframe.pipeline.learning import Learning
from mlframe.serving.access import Access
from mlframe.serving.app import App, Route, Told
from mlframe.serving.logs import AccessLog
from mlframe.serving.messages import Reply, Request
from mlframe.serving.models import Roles
from mlframe.serving.protocols import native
from mlframe.serving.schema import Schema
from mlframe.serving.settings import Settings
from mlframe.store.keys import key_digest


class Scorer:
    """Fails at -1, and names what it failed at."""

    def outputs(self, columns: dict[str, Any], rows: int) -> Any:
        values = np.asarray(columns["x"], dtype=float)
        if (values == -1).any():
            raise ValueError(f"cannot score {values.tolist()}")
        return values

    def labels(self, outputs: Any) -> list[float]:
        return [float(value) for value in outputs]


def served(number: int) -> Any:
    column = {"name": "x", "dtype": "Float64", "kind": "numeric", "role": "feature", "tags": []}
    model: Any = Served(f"made/{number}", "made", number, Schema([column]), Learning("regression", "y"))
    made = SimpleNamespace(
        **{name: getattr(model, name) for name in ("reference", "name", "number", "schema", "learning")}
    )
    made.scorer, made.takes_what = Scorer(), lambda other: True
    return made


class Bench:
    """An application in a running loop, and what it told its logs."""

    def __init__(self, table: Any = None, roles: Any = None, **changes: Any) -> None:
        settings = Settings.made({"name": "made", "version": "made@champion", "store": "none", **changes}, where="test")
        roles = roles or Roles(served(1))
        models: Any = SimpleNamespace(
            roles=roles,
            name="made",
            choose=lambda key: (roles.canary or roles.champion, "canary" if roles.canary else "champion"),
        )
        self.logged: list[tuple[str, str, int]] = []
        self.observed: list[tuple[str, int]] = []
        self.app = App(
            settings,
            models,
            asyncio.get_running_loop(),
            ThreadPoolExecutor(1),
            ThreadPoolExecutor(1),
            Access(table),
            AccessLog(None),
            lambda model, role, asked, outputs, seconds, request: self.logged.append(
                (model.reference, role, asked.rows)
            ),
            lambda told, status, seconds: self.observed.append((told.route, status)),
            lambda rows: None,
        )

        async def predict(request: Request, told: Told) -> Reply:
            return await self.app.predict(request, told, native.read, native.write)

        self.app.route("POST", "/predict", Route("predict", "predict", predict))

    async def send(
        self, body: bytes, method: str = "POST", path: str = "/predict", parts: int = 1, **headers: str
    ) -> Any:
        sent: list[dict[str, Any]] = []
        size = max(1, -(-len(body) // parts))
        pieces = [body[at : at + size] for at in range(0, len(body), size)] or [b""]

        async def receive() -> dict[str, Any]:
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        named = {name.replace("_", "-"): value for name, value in headers.items()}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        }
        await self.app(scope, receive, send)
        told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        assert int(told["content-length"]) == len(sent[1]["body"])
        return sent[0]["status"], json.loads(sent[1]["body"]), told


def run(act: Any) -> None:
    asyncio.run(act())


def test_a_poisoned_row_fails_alone_and_its_values_are_not_logged(caplog: pytest.LogCaptureFixture):
    async def act() -> None:
        bench = Bench()
        bodies = [json.dumps({"x": value}).encode() for value in (1, -1, 3)]
        found = await asyncio.gather(*(bench.send(body, x_request_id=f"r{n}") for n, body in enumerate(bodies)))
        assert [status for status, *_ in found] == [200, 500, 200]
        assert [found[0][1]["prediction"], found[2][1]["prediction"]] == [1.0, 3.0]
        assert found[1][1]["request_id"] == "r1"
        assert bench.app.running == 0
        assert bench.observed.count(("predict", 500)) == 1

    with caplog.at_level(logging.ERROR, "mlframe.serving"):
        run(act)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == "A request failed: ValueError"
    facts = record.__dict__["facts"]
    assert facts["request_id"] == "r1"
    assert "in outputs" in facts["traceback"]
    assert "-1" not in facts["traceback"].replace("== -1", "")


def test_a_body_in_parts_is_one_body():
    async def act() -> None:
        bench = Bench()
        status, told, _ = await bench.send(b'{"rows": [{"x": 1}, {"x": 2}]}', parts=7)
        assert (status, told["predictions"]) == (200, [1.0, 2.0])
        assert bench.app._reading == 0

    run(act)


def test_large_bodies_are_refused_by_what_they_say_and_by_what_they_are():
    async def act() -> None:
        bench = Bench(body_mb=0.001)
        status, _, headers = await bench.send(b" " * 10, content_length="2000")
        assert (status, headers["connection"]) == (413, "close")
        status, _, _ = await bench.send(b" " * 4000, parts=8)
        assert status == 413
        assert bench.app._reading == 0

    run(act)


def test_all_large_bodies_together_have_a_limit():
    async def act() -> None:
        bench = Bench(body_mb=0.001)
        bench.app._reading = 16 * 1048
        status, _, headers = await bench.send(b" " * 600, parts=3)
        assert (status, headers["retry-after"]) == (503, "1")

    run(act)


def test_a_busy_server_says_when_to_come_again():
    async def act() -> None:
        bench = Bench(queue_rows=1)
        found = await asyncio.gather(*(bench.send(b'{"x": 1}') for _ in range(3)))
        assert sorted(status for status, *_ in found) == [200, 503, 503]
        assert {told["retry-after"] for status, _, told in found if status == 503} == {"1"}

    run(act)


def test_canary_and_shadow_are_logged_with_their_roles():
    async def act() -> None:
        bench = Bench(roles=Roles(served(1), canary=served(2), shadow=served(3)))
        status, told, _ = await bench.send(b'{"x": 1}')
        assert (status, told["version"]) == (200, "made/2")
        while len(bench.logged) < 2:
            await asyncio.sleep(0.001)
        assert bench.logged == [("made/2", "canary", 1), ("made/3", "shadow", 1)]

    run(act)


def test_a_shadow_that_fails_costs_nobody_anything():
    async def act() -> None:
        shadow = served(3)
        shadow.scorer = SimpleNamespace(outputs=lambda columns, rows: 1 / 0)
        bench = Bench(roles=Roles(served(1), shadow=shadow))
        status, told, _ = await bench.send(b'{"x": 1}')
        assert (status, told["version"]) == (200, "made/1")
        while not bench.app.shadow.failed:
            await asyncio.sleep(0.001)
        assert bench.logged == [("made/1", "champion", 1)]

    run(act)


def test_keys_are_known_by_their_digest():
    async def act() -> None:
        bench = Bench(
            table={
                key_digest("right"): ("id-1", frozenset({"predict"})),
                key_digest("other"): ("id-2", frozenset({"admin"})),
            }
        )
        for headers, status in (
            ({}, 401),
            ({"x_api_key": "wrong"}, 401),
            ({"authorization": "Basic right"}, 401),
            ({"x_api_key": "other"}, 403),
            ({"x_api_key": "right"}, 200),
            ({"authorization": "bearer right"}, 200),
        ):
            found, _, told = await bench.send(b'{"x": 1}', **headers)
            assert found == status, headers
            assert ("www-authenticate" in told) == (status == 401)

    run(act)
