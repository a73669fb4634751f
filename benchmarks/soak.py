"""Asks a server as fast as it answers while the champion changes, and checks every single answer.

    python benchmarks/soak.py                                 # 100,000 requests, 20 promotions and rollbacks
    python benchmarks/soak.py --requests 3000 --moves 4
    python benchmarks/soak.py --requests 1000000 --moves 20   # does memory stay flat?
    python benchmarks/soak.py --kills 5                       # a worker is killed (-9) now and then

Two versions that answer differently are registered. Each request has an id and one row. At the end: every request was
answered with 200, by one of the two versions, with that version's own probability; every id stands in the prediction log
exactly once, under the version that answered it. With --kills, requests whose connection died are counted and asked again.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from serving import DATA, family, memory, table
from serving_peers import COLUMNS

import mlframe

MLFRAME = [sys.executable, "-m", "mlframe"]
ROWS = 256
"""Different rows that are asked in turn."""
CONNECTIONS = 16


@dataclass
class Seen:
    """What the clients have seen."""

    answered: dict[str, str] = field(default_factory=dict)
    """Request id to the version that answered."""
    faults: list[str] = field(default_factory=list)
    broken: int = 0
    """Connections that ended before an answer came."""
    slowest: float = 0.0
    memory: list[float] = field(default_factory=list)


def run(folder: Path, *words: str) -> str:
    """Run the command line; its output is returned."""
    done = subprocess.run([*MLFRAME, *words], cwd=folder, capture_output=True, text=True, env=environment())
    if done.returncode:
        raise SystemExit(f"mlframe {' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def environment() -> dict[str, str]:
    """Return the surroundings of every process."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFRAME", "WANDB"))}
    return {**kept, "WANDB_MODE": "disabled"}


def prepare(folder: Path) -> None:
    """Register two versions and promote the first."""
    table(4000).write_csv(folder / "rows.csv")
    conf = folder / "conf" / "data"
    conf.mkdir(parents=True)
    (conf / "table.yaml").write_text(DATA.format(path=folder / "rows.csv"))
    words = ["data=table", "model=lgbm", "fit.early_stopping=none", "trackers=[]", "reporters=[]", "splitter=holdout"]
    for trees in (100, 30):
        run(folder, *words, "~task.steps.explore", f"model.n_estimators={trees}")
    run(folder, "promote", "table/1", "--force")


class Connection:
    """One HTTP/1.1 connection that is kept open."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, body: bytes, request_id: str) -> tuple[int, Any]:
        """Post one row; return status and answer."""
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        head = (
            f"POST /predict HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\nX-Request-Id: {request_id}\r\n"
        )
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        found = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(found.partition("content-length:")[2].partition("\r\n")[0])
        answer = json.loads(await reader.readexactly(length))
        if "connection: close" in found:
            self.close()
        return int(found.split(None, 2)[1]), answer

    def close(self) -> None:
        """Close; the next request opens another one."""
        if self.streams is not None:
            self.streams[1].close()
        self.streams = None


async def client(port: int, numbers: Any, bodies: list[bytes], truth: dict[str, list[float]], seen: Seen) -> None:
    """Ask until the numbers are used up."""
    connection = Connection(port)
    for number in numbers:
        request_id, place = f"soak-{number}", number % len(bodies)
        while True:
            began = time.monotonic()
            try:
                status, answer = await asyncio.wait_for(connection.ask(bodies[place], request_id), 30)
                break
            except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
                seen.broken += 1
                connection.close()
                await asyncio.sleep(0.05)
        seen.slowest = max(seen.slowest, time.monotonic() - began)
        version = answer.get("version")
        if status != 200 or answer.get("request_id") != request_id or version not in truth:
            seen.faults.append(f"{request_id}: {status} {str(answer)[:200]}")
        elif abs(answer["probabilities"]["1"] - truth[version][place]) > 1e-9:
            seen.faults.append(
                f"{request_id}: {version} answered {answer['probabilities']['1']}, not {truth[version][place]}"
            )
        else:
            seen.answered[request_id] = version
    connection.close()


async def move(folder: Path, moves: int, total: int, seen: Seen) -> None:
    """Promote and roll back, evenly over the requests."""
    words = {True: ["promote", "table/2", "--force"], False: ["rollback", "table"]}
    for number in range(moves):
        while len(seen.answered) + len(seen.faults) < total * (number + 0.5) / moves:
            await asyncio.sleep(0.02)
        await asyncio.to_thread(run, folder, *words[number % 2 == 0])


def listening(port: int) -> int:
    """Return how many workers take connections."""
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(words[1].endswith(f":{port:04X}") and words[3] == "0A" for words in sockets)


async def kill(pid: int, port: int, workers: int, kills: int, total: int, seen: Seen) -> None:
    """Kill a worker now and then, when all of them serve: the supervisor's children with the models in them."""
    for number in range(kills):
        while len(seen.answered) + len(seen.faults) < total * (number + 0.5) / kills or listening(port) < workers:
            await asyncio.sleep(0.02)
        alive = [one for one in family(pid) if b"--worker" in Path(f"/proc/{one}/cmdline").read_bytes()]
        os.kill(alive[number % len(alive)], signal.SIGKILL)


async def watch(pid: int, seen: Seen) -> None:
    """Note the memory of the server's processes, once a second."""
    while True:
        seen.memory.append(memory(pid))
        await asyncio.sleep(1.0)


async def ask(folder: Path, port: int, pid: int, arguments: argparse.Namespace, seen: Seen) -> None:
    """Ask everything while the champion moves."""
    rows = pl.read_csv(folder / "rows.csv").select(COLUMNS).head(ROWS)
    bodies = [json.dumps(row).encode() for row in rows.to_dicts()]
    versions = ("table/1", "table/2")
    truth = {name: mlframe.load(name, store=folder / ".mlframe").predict(rows)["p_1"].to_list() for name in versions}
    if not any(abs(one - other) > 1e-3 for one, other in zip(*truth.values(), strict=True)):
        raise SystemExit("Both versions answer alike: nothing would be shown")
    numbers = iter(range(arguments.requests))
    watching = asyncio.create_task(watch(pid, seen))
    moving = asyncio.create_task(move(folder, arguments.moves, arguments.requests, seen))
    killing = asyncio.create_task(kill(pid, port, arguments.workers, arguments.kills, arguments.requests, seen))
    await asyncio.gather(*(client(port, numbers, bodies, truth, seen) for _ in range(CONNECTIONS)))
    await asyncio.gather(moving, killing)
    watching.cancel()


def check_log(folder: Path, seen: Seen, exact: bool) -> None:
    """Compare what clients saw with what the log holds; rows of a killed worker's last second may be missing."""
    from mlframe.store.predictions import scan_predictions
    from mlframe.store.store import Store

    with Store.open(str(folder / ".mlframe"), create=False) as store:
        logged = scan_predictions(store, "table").select("request_id", "version").collect()
    logged = logged.filter(pl.col("request_id").str.starts_with("soak-"))
    known = dict(logged.iter_rows())
    missing = seen.answered.keys() - known.keys()
    if exact and (missing or len(logged) != len(known)):
        seen.faults.append(f"log: {len(missing)} requests are missing, {len(logged) - len(known)} stand there twice")
    wrong = [name for name, version in seen.answered.items() if known.get(name, version) != version]
    if wrong:
        seen.faults.append(f"log: {len(wrong)} requests stand under another version, such as {wrong[0]}")


def main() -> None:
    """Prepare, serve, ask, check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--moves", type=int, default=20, help="promotions and rollbacks (default 20)")
    parser.add_argument("--kills", type=int, default=0, help="workers that are killed (default none)")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    seen = Seen()
    with tempfile.TemporaryDirectory() as text, socket.socket() as free:
        folder = Path(text)
        prepare(folder)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        words = ["serve", "data=table", f"deployer.port={port}", f"deployer.workers={arguments.workers}"]
        words += ["deployer.reload=0.2", f"deployer.access_log={folder / 'access.log'}"]
        server = subprocess.Popen([*MLFRAME, *words], cwd=folder, env=environment(), stdout=subprocess.DEVNULL)
        try:
            while True:
                with socket.socket() as knock:
                    if knock.connect_ex(("127.0.0.1", port)) == 0:
                        break
                if server.poll() is not None:
                    raise SystemExit("The server did not start")
                time.sleep(0.05)
            time.sleep(1.0)
            began = time.monotonic()
            asyncio.run(ask(folder, port, server.pid, arguments, seen))
            seconds = time.monotonic() - began
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
        check_log(folder, seen, exact=not arguments.kills)
    counts = {version: list(seen.answered.values()).count(version) for version in sorted(set(seen.answered.values()))}
    print(
        f"{arguments.requests:,} requests in {seconds:.0f} s ({arguments.requests / seconds:,.0f} a second), ", end=""
    )
    print(f"{arguments.moves} moves of the champion, {arguments.kills} workers killed")
    print(f"answered by {counts}; slowest {seen.slowest * 1000:.0f} ms; connections that broke: {seen.broken}")
    if seen.memory:
        fifth = max(1, len(seen.memory) // 5)
        early, late = seen.memory[fifth : 2 * fifth] or seen.memory, seen.memory[-fifth:]
        print(
            f"memory of all processes: {sum(early) / len(early):,.0f} MB early, {sum(late) / len(late):,.0f} MB at the end"
        )
    for fault in seen.faults[:20]:
        print(f"FAULT {fault}")
    if seen.faults or len(seen.answered) != arguments.requests:
        raise SystemExit(
            f"{len(seen.faults)} faults, {arguments.requests - len(seen.answered)} requests without an answer"
        )
    print("every request was answered once, by one version, with its own probability, and stands in the log once")


if __name__ == "__main__":
    main()
