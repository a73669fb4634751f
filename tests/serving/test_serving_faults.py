"""Real servers under load and attack: killed workers, full disks, slow clients, requests with a few bytes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from server_bench import PATIENCE, Running, rows_of, serving, until
from wire_bench import mutated

from mlframe.contracts import Deployment
from mlframe.store.predictions import scan_predictions, verify
from mlframe.store.store import Store

ROOT = Path(__file__).parent.parent.parent
MUTATED = 2500
AT_ONCE = 100
GROWTH_MB = 40


@pytest.fixture
def root(trained_version: Deployment, tmp_path: Path) -> str:
    """Give a store of one version."""
    shutil.copytree(trained_version.store_root, tmp_path / "store")
    return str(tmp_path / "store")


@pytest.fixture(scope="module")
def rows(trained_version: Deployment) -> list[dict[str, Any]]:
    return rows_of(trained_version.bundle)


def metric(running: Running, name: str) -> float:
    text = running.send("GET", "/metrics")[1].decode()
    return sum(
        float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))
    )


def workers_of(root: str) -> set[int]:
    with Store.open(root, create=False) as store:
        found = store.servers.running("made")
    return set(found[0]["workers"]) if found else set()


# ------------------------------------------------------------------------------------------------ load


@pytest.mark.slow
@pytest.mark.parametrize("kills", ["0", "2"])
def test_every_request_of_a_soak_has_one_answer(kills: str, tmp_path: Path):
    words = ["--requests", "3000", "--moves", "4", "--kills", kills]
    command = [sys.executable, str(ROOT / "benchmarks" / "soak.py"), *words]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = "every request was answered once, by one version, with its own probability, and stands in the log once"
    assert done.stdout.splitlines()[-1] == wanted
    assert f"4 moves of the champion, {kills} workers killed" in done.stdout


class Load:
    """Asks over kept connections until it is ended.

    Args:
        running: the server.
        row: what is asked.
        clients: how many ask at once.
    """

    def __init__(self, running: Running, row: dict[str, Any], clients: int = 4) -> None:
        self.running, self.body = running, json.dumps(row).encode()
        self.answered: list[str] = []
        self.broken = 0
        self.wrong: list[Any] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        connection, count = self.running.connection(), 0
        while not self._ended.is_set():
            count += 1
            request_id = f"load-{number}-{count}"
            try:
                connection.request("POST", "/predict", self.body, {"x-request-id": request_id})
                reply = connection.getresponse()
                told = reply.read()
            except (OSError, HTTPException):  # its worker died; the next one has a connection to another
                self.broken += 1
                connection.close()
                continue
            if reply.status == 200:
                self.answered.append(request_id)
            else:
                self.wrong.append((reply.status, told))
        connection.close()

    def some(self, count: int) -> list[str]:
        """Wait for so many more answers; return the ids of all that were answered before the last of them."""
        wanted = len(self.answered) + count
        until(lambda: len(self.answered) >= wanted, "more answers")
        return list(self.answered)


def test_a_killed_worker_under_load_costs_what_it_had_not_flushed(
    root: str, tmp_path: Path, rows: list[dict[str, Any]]
):
    with (
        Store.open(root, create=False) as store,
        serving(tmp_path / "server", root, workers=2, log={"flush": 0.2}) as running,
        Load(running, rows[0]) as load,
    ):
        kept = set(load.some(300))
        until(
            lambda: kept <= set(scan_predictions(store, "made").select("request_id").collect()["request_id"]),
            "what was answered is in the log after a flush",
        )
        before = until(lambda: workers_of(root), "the store knows the workers")
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{victim}/stat").exists(), "the worker has gone")
        asked = len(load.answered)
        load.some(100)  # by the other one, or by the new one
        now = until(lambda: len(workers_of(root) - {victim}) == 2 and workers_of(root), "a new worker")
        assert before - now == {victim}
        load.some(100)
    with Store.open(root, create=False) as store:
        logged = scan_predictions(store, "made").select("request_id").collect()["request_id"]
        found = verify(store, "predictions", "made")
    assert load.wrong == []
    assert load.broken < len(load.answered)
    assert (found.damaged, found.doubled) == ([], 0)
    lost = set(load.answered) - set(logged)
    assert lost.isdisjoint(kept), "what was flushed is there"
    assert lost.isdisjoint(load.answered[asked:]), "what others answered is there"


def test_a_full_disk_costs_log_rows_that_are_counted_and_no_answer(
    root: str, tmp_path: Path, rows: list[dict[str, Any]]
):
    """No file of the worker may grow, its access log's and metrics' neither; then there is room again."""
    asked, part = 0, {"rows": [rows[0]] * 50}
    with serving(tmp_path / "server", root, log={"flush": 0.05, "queue": 200}) as running:
        (worker,) = running.ready["workers"]
        assert running.ask(rows[0], x_request_id="before")["version"] == "made/1"
        with Store.open(root, create=False) as store:
            until(lambda: len(scan_predictions(store, "made").collect()) == 1, "the log is written")
        _, hard = resource.prlimit(worker, resource.RLIMIT_FSIZE)
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (1, hard))

        def full() -> bool:
            nonlocal asked
            status, told, _ = running.send("POST", "/predict", part, x_request_id=f"full-{asked}")
            assert status == 200, told
            asked += 50
            return metric(running, "mlframe_log_lost_rows_total") >= 500

        until(full, "rows are lost, and counted")
        page = running.send("GET", "/")[1].decode()
        assert "rows of the prediction log could not be kept" in page
        assert "File too large" in page
        assert running.send("GET", "/v2/health/ready")[0] == 200
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (hard, hard))
        until(lambda: b"File too large" not in running.send("GET", "/")[1], "the log is written again")
        assert running.ask(rows[0], x_request_id="after")["version"] == "made/1"
        lost = until(lambda: metric(running, "mlframe_log_lost_rows_total"), "the loss stays counted")
        assert running.process.poll() is None
        assert running.ready["workers"] == [worker]
    with Store.open(root, create=False) as store:
        logged = scan_predictions(store, "made").collect()
        found = verify(store, "predictions", "made")
    assert (found.damaged, found.doubled) == ([], 0)
    assert {"before", "after"} <= set(logged["request_id"])
    assert len(logged) == 2 + asked - lost


def test_logs_that_are_too_old_are_removed(root: str, tmp_path: Path, rows: list[dict[str, Any]]):
    old = [Path(root) / kind / "made" / "2020-02-29" for kind in ("predictions", "feedback")]
    for folder in old:
        folder.mkdir(parents=True)
        (folder / "1200-worker-a.parquet").write_bytes(b"old")
    with serving(tmp_path / "server", root) as running:
        running.ask(rows[0])
    assert all(folder.exists() for folder in old), "keep_days is null: nothing is removed"
    with serving(tmp_path / "server", root, log={"keep_days": 30}):
        until(lambda: not any(folder.exists() for folder in old), "what is older has gone")
    with Store.open(root, create=False) as store:
        assert len(scan_predictions(store, "made").collect()) == 1


# ------------------------------------------------------------------------------------------------ clients


async def _heard(reader: asyncio.StreamReader) -> bytes:
    """Return what was said until the end; a byte sent after the server has closed makes that a reset, not an end."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while part := await reader.read(65536):
            said += part
    return said


def test_slow_and_idle_clients_keep_nobody_waiting(root: str, tmp_path: Path, rows: list[dict[str, Any]]):
    body = json.dumps(rows[0]).encode()
    head = f"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    whole = head.encode() + body

    async def crawl(place: tuple[str, int], data: bytes) -> bytes:
        """Send a byte every now and then for as long as the server listens; return what it said."""
        reader, writer = await asyncio.open_connection(*place)
        said = asyncio.create_task(_heard(reader))
        for byte in data:
            if said.done():
                break
            with contextlib.suppress(OSError):
                writer.write(bytes([byte]))
                await writer.drain()
            await asyncio.sleep(0.1)
        found = await asyncio.wait_for(said, PATIENCE)
        writer.close()
        return found

    async def attack(running: Running) -> None:
        place = (str(running.place.hostname), int(running.place.port or 0))
        idle = []
        for number in range(50):
            reader, writer = await asyncio.open_connection(*place)
            if number % 2:  # half of them have been answered once
                writer.write(whole)
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            idle.append(writer)
        padded = head.replace("\r\n\r\n", f"\r\nx: {'a' * 5000}\r\n\r\n").encode()
        crawlers = [asyncio.create_task(crawl(place, padded)) for _ in range(10)]
        crawlers += [asyncio.create_task(crawl(place, head.encode() + b" " * 5000)) for _ in range(2)]
        bodies = [asyncio.create_task(_unfinished(place, whole[:-1])) for _ in range(10)]
        answers = 0
        while not all(task.done() for task in (*crawlers, *bodies)):
            told = await asyncio.to_thread(running.ask, rows[0])
            assert told["version"] == "made/1"
            answers += 1
        assert answers > 20
        for task in (*crawlers[:10], *bodies):
            assert task.result().startswith(b"HTTP/1.1 408"), task.result()
        for task in crawlers[10:]:
            assert b" 400 " in task.result() or b" 408 " in task.result() or b" 200 " in task.result()
        for writer in idle:
            writer.close()

    async def _unfinished(place: tuple[str, int], data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*place)
        writer.write(data)
        found = await asyncio.wait_for(_heard(reader), PATIENCE)
        writer.close()
        return found

    with serving(tmp_path / "server", root, timeout=1.0) as running:
        asyncio.run(attack(running))
        until(lambda: metric(running, "mlframe_requests_in_progress") <= 1, "nothing is left of them")


# ------------------------------------------------------------------------------------------------ mutations


def requests_of(running: Running, rows: list[dict[str, Any]]) -> list[bytes]:
    """Give a good request of every route, as bytes."""
    frame = pl.DataFrame(rows)
    arrow = frame.write_ipc_stream(None).getvalue()
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    kinds = {pl.String: "BYTES", pl.Boolean: "BOOL", pl.Int64: "INT64", pl.Float64: "FP64"}
    inputs = [
        {"name": name, "shape": [len(rows)], "datatype": kinds[type(frame[name].dtype)], "data": values}
        for name, values in columns.items()
    ]
    answer = running.ask(rows[0])
    told = {"request_id": answer["request_id"], "label": answer["prediction"], "outcome": {"money": 12}}
    posts: list[tuple[str, str, Any]] = [
        ("/predict", "application/json", rows[0]),
        ("/predict?explain=2", "application/json", {"rows": rows}),
        ("/predict", "text/csv", frame.write_csv().encode()),
        ("/predict", "application/vnd.apache.arrow.stream", arrow),
        ("/feedback", "application/json", told),
        ("/v2/models/made/infer", "application/json", {"inputs": inputs}),
        ("/v2/models/made/versions/1/infer", "application/json", {"id": "a", "inputs": inputs}),
        ("/v1/models/made:predict", "application/json", {"instances": rows}),
        ("/v1/models/made/versions/1:predict", "application/json", {"inputs": columns}),
    ]
    gets = ["/", "/metrics", "/openapi.json", "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/made"]
    gets += ["/v2/models/made/ready", "/v2/models/made/versions/1", "/v1/models/made"]
    made = [f"GET {path} HTTP/1.1\r\nhost: x\r\naccept: */*\r\nx-request-id: a-1\r\n\r\n".encode() for path in gets]
    for number, (path, kind, content) in enumerate(posts * 3):  # more of those than of the others
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        start = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\n"
        if number % 3 == 2:
            first, rest = body[: len(body) // 2], body[len(body) // 2 :]
            parts = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (first, rest, b""))
            made.append(f"{start}transfer-encoding: chunked\r\n\r\n".encode() + parts)
        else:
            made.append(f"{start}content-length: {len(body)}\r\n\r\n".encode() + body)
    return made


def wrong(request: bytes, rng: random.Random) -> bytes:
    """Give a request with something wrong: in its body under a right length, in its head, anywhere, or cut off."""
    head, _, body = request.partition(b"\r\n\r\n")
    match rng.randrange(5):
        case 0 | 1 if body and b"chunked" not in head:
            body = mutated(body, rng)
            lines = [line for line in head.split(b"\r\n") if not line.startswith(b"content-length")]
            return b"\r\n".join([*lines, b"content-length: %d" % len(body)]) + b"\r\n\r\n" + body
        case 2:
            return mutated(head, rng) + b"\r\n\r\n" + body
        case 3:
            return request[: rng.randrange(1, len(request))]
        case _:
            return mutated(request, rng)


async def told(place: tuple[str, int], request: bytes) -> str:
    """Send a request and return the status of the first answer: a server ends what does not come to its end."""
    reader, writer = await asyncio.open_connection(*place)
    try:
        writer.write(request)
        first = await asyncio.wait_for(reader.readline(), PATIENCE)
        return first.split(b" ")[1].decode() if first else "closed"
    except ConnectionResetError:  # more came than was read
        return "closed"
    finally:
        writer.close()


def memory(pid: int) -> float:
    """Return what a process holds for itself, in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private")) / 1024


def batches(good: list[bytes], count: int, rng: random.Random) -> Iterator[list[bytes]]:
    for first in range(0, count, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, count))
        yield [wrong(good[number % len(good)], rng) for number in numbers]


@pytest.mark.slow
def test_mutated_requests_do_no_harm(root: str, tmp_path: Path, rows: list[dict[str, Any]]):
    rng, outcomes = random.Random(7), Counter[str]()

    async def attack(running: Running, good: list[bytes], count: int) -> None:
        place = (str(running.place.hostname), int(running.place.port or 0))
        for batch in batches(good, count, rng):
            outcomes.update(await asyncio.gather(*(told(place, request) for request in batch)))

    with serving(tmp_path / "server", root, timeout=0.5, body_mb=1.0) as running:
        (worker,) = running.ready["workers"]
        good = requests_of(running, rows)
        place = (str(running.place.hostname), int(running.place.port or 0))
        for request in good:
            status = asyncio.run(told(place, request))
            assert status in ("200", "202"), request
        asyncio.run(attack(running, good, 500))
        before = memory(worker)
        asyncio.run(attack(running, good, MUTATED))
        assert memory(worker) - before < GROWTH_MB
        assert running.ask(rows[0])["version"] == "made/1"
        text = running.send("GET", "/metrics")[1].decode()
        assert 'status="500"' not in text
        assert 'status="400"' in text
        (still,) = until(lambda: workers_of(root), "the worker is known")
        assert still == worker
    assert sum(outcomes.values()) == MUTATED + 500
    unknown = set(outcomes) - {"200", "202", "closed", *map(str, range(400, 432)), "505"}
    assert not unknown, outcomes
    assert outcomes["closed"] < MUTATED / 20, outcomes
    assert {"200", "400", "404", "408", "422"} <= set(outcomes), outcomes
    troubles = [line for line in running.log() if line.get("level") == "error"]
    assert troubles == []
    assert "Traceback" not in running.errors.read_text()
