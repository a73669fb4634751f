"""Measures the prediction server beside others; the table is in docs/serving.md.

    python benchmarks/serving.py                                   # every side, about ten minutes on two quiet cores
    python benchmarks/serving.py --only mlframe,fastapi --seconds 5

Every side serves 200 trees of LightGBM behind an encoder, on 10 numbers and 4 categories, one row a request, and keeps
running while `wrk` (32 connections, then one) and `hey` (half of the rate that was reached) ask. mlframe writes its
prediction log meanwhile; the others have none. Each server lives in an environment of its own, made once in a temporary
folder. Needs wrk and hey, which are packages of Debian.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from serving_peers import CATEGORIES, COLUMNS, NUMBERS

HERE = Path(__file__).resolve().parent
HOMES = Path(tempfile.gettempdir()) / "mlframe-bench-serving"
"""The environments of the other sides."""
SHARED = ["lightgbm", "scikit-learn", "pandas"]
CONNECTIONS = 32
BODIES = 256
"""Different rows that a load asks for in turn."""
DATA = """# @package _global_
defaults:
  - /data/source: csv
  - _self_
data:
  source: {{path: {path}}}
  columns:
    target: {{role: target}}
  schema: null
"""


@dataclass
class Side:
    """One server.

    Args:
        packages: what its environment holds.
        address: path that predicts.
        body: a row to the body of a request.
        read: the body of an answer to the probability.
    """

    packages: Sequence[str]
    address: str
    body: Callable[[dict[str, Any]], Any]
    read: Callable[[Any], float]


@dataclass
class Result:
    """What a server did: requests a second, milliseconds, seconds to the first answer, MB of all its processes."""

    rate: float = 0.0
    p50_one: float = 0.0
    p50_half: float = 0.0
    p99_half: float = 0.0
    start: float = 0.0
    memory: float = 0.0
    faults: list[str] = field(default_factory=list)


def v2(row: dict[str, Any]) -> Any:
    """Return a row as the Open Inference Protocol has it; MLServer reads it as a frame."""
    inputs = [{"name": name, "shape": [1], "datatype": "FP64", "data": [row[name]]} for name in NUMBERS]
    inputs += [
        {"name": name, "shape": [1], "datatype": "BYTES", "data": [row[name]], "parameters": {"content_type": "str"}}
        for name in CATEGORIES
    ]
    outputs = [{"name": "predict_proba"}]
    return {"parameters": {"content_type": "pd"}, "inputs": inputs, "outputs": outputs}


SIDES = {
    "mlframe": Side([], "/predict", lambda row: row, lambda said: said["probabilities"]["1"]),
    "fastapi": Side(["fastapi", "uvicorn[standard]"], "/predict", lambda row: row, lambda said: said["probability"]),
    "mlflow": Side(
        ["mlflow"],
        "/invocations",
        lambda row: {"dataframe_split": {"columns": COLUMNS, "data": [[row[name] for name in COLUMNS]]}},
        lambda said: said["predictions"][0][1],
    ),
    "bentoml": Side(["bentoml"], "/predict", lambda row: {"row": row}, lambda said: said),
    "litserve": Side(["litserve"], "/predict", lambda row: row, lambda said: said["probability"]),
    "mlserver": Side(
        ["mlserver", "mlserver-sklearn", "uvloop<0.22"],
        "/v2/models/table/infer",
        v2,
        lambda said: said["outputs"][0]["data"][1],
    ),
}


def table(rows: int = 20_000) -> pl.DataFrame:
    """Return 10 numbers, 4 categories and a target that they tell something about; seeded."""
    random = np.random.default_rng(0)
    numbers = random.normal(size=(rows, len(NUMBERS)))
    codes = [random.integers(0, width, rows) for width in (3, 8, 20, 50)]
    logit = numbers[:, :5].sum(axis=1) * 0.6 + np.sin(2 * numbers[:, 5])
    logit += sum(random.normal(size=50)[code] * 0.4 for code in codes)
    found = {name: numbers[:, index].round(6) for index, name in enumerate(NUMBERS)}
    found |= {name: [f"v{value}" for value in code] for name, code in zip(CATEGORIES, codes, strict=True)}
    return pl.DataFrame(found).with_columns(
        target=pl.Series((random.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int64))
    )


def environment(name: str, packages: Sequence[str]) -> str:
    """Return the Python of a side's environment, made when absent; mlframe's is the one that measures."""
    if not packages:
        return sys.executable
    home = HOMES / name
    python = home / "bin" / "python"
    mark = home / "done"
    if not mark.exists():
        venv.create(home, with_pip=True, clear=not python.exists())
        subprocess.run([python, "-m", "pip", "install", "-q", *packages, *SHARED], check=True)
        mark.touch()
    return str(python)


def prepare(name: str, python: str, folder: Path) -> None:
    """Fit what the side serves."""
    if name != "mlframe":
        subprocess.run([python, HERE / "serving_peers.py", "train", folder], check=True, cwd=folder)
        return
    conf = folder / "conf" / "data"
    conf.mkdir(parents=True)
    (conf / "table.yaml").write_text(DATA.format(path=folder / "rows.csv"))
    words = ["data=table", "model=lgbm", "model.n_estimators=200", "fit.early_stopping=none", "trackers=[]"]
    words += ["~task.steps.explore", "reporters=[]", "splitter=holdout", "resources.threads=2"]
    for command in (words, ["promote", "table/1"]):
        subprocess.run([python, "-m", "mlframe", *command], check=True, cwd=folder, stdout=subprocess.DEVNULL)


def command(name: str, python: str, folder: Path, port: int) -> list[str]:
    """Return the command that serves."""
    if name == "mlframe":
        return [
            python,
            "-m",
            "mlframe",
            "serve",
            "data=table",
            f"deployer.port={port}",
            "deployer.workers=2",
            "trackers=[]",
        ]
    return [python, str(HERE / "serving_peers.py"), name, str(folder), str(port)]


@contextmanager
def served(name: str, python: str, folder: Path, body: bytes) -> Iterator[tuple[str, float, subprocess.Popen[bytes]]]:
    """Run a server; give its address, and the seconds to its first answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("WANDB", "MLFRAME"))}
    log = (folder / f"{name}.log").open("wb")
    began = time.monotonic()
    process = subprocess.Popen(
        command(name, python, folder, port), cwd=folder, stdout=log, stderr=log, env=environ, start_new_session=True
    )
    address = f"http://127.0.0.1:{port}{SIDES[name].address}"
    try:
        while True:
            try:
                answer(address, body)
                break
            except (urllib.error.URLError, OSError):
                if process.poll() is not None or time.monotonic() - began > 120:
                    text = (folder / f"{name}.log").read_text(errors="replace")[-2000:]
                    raise SystemExit(f"{name} does not answer:\n{text}") from None
                time.sleep(0.02)
        yield address, time.monotonic() - began, process
    finally:
        own = family(process.pid)
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        for one in own:  # what a server leaves behind would take part in the next measurement
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        process.wait()


def answer(address: str, body: bytes) -> Any:
    """Ask once."""
    asked = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=10) as reply:
        return json.loads(reply.read())


def wrk(address: str, script: Path, connections: int, seconds: float) -> dict[str, float]:
    """Ask as fast as the server answers; return requests a second, latencies in ms and answers that are no 200."""
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "10s", "-s", str(script), address]
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return dict(json.loads(out[out.index("{") : out.rindex("}") + 1]))


def hey(address: str, body: Path, rate: float, seconds: float) -> tuple[float, float]:
    """Ask at a steady rate; return p50 and p99 in ms."""
    each = max(1.0, rate / CONNECTIONS)
    words = ["hey", "-z", f"{seconds:g}s", "-c", str(CONNECTIONS), "-q", f"{each:.2f}", "-m", "POST", "-o", "csv"]
    words += ["-T", "application/json", "-D", str(body), address]
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    times = [float(line.split(",")[0]) for line in out.splitlines()[1:] if line[:1].isdigit()]
    return float(np.percentile(times, 50)) * 1000, float(np.percentile(times, 99)) * 1000


def family(pid: int) -> list[int]:
    """Return a process and all that it started."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, IndexError):
            if entry.name.isdigit():
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def memory(pid: int) -> float:
    """Return the proportional set size of a server's processes, in MB."""
    total = 0
    for one in family(pid):
        with suppress(OSError):
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local bodies = {{}}
for line in io.lines("{bodies}") do bodies[#bodies + 1] = line end
local at = 0
request = function()
  at = at % #bodies + 1
  return wrk.format(nil, nil, nil, bodies[at])
end
done = function(summary, latency, requests)
  local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format('{{"rate": %f, "p50": %f, "p99": %f, "bad": %d}}\\n',
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000, bad))
end
"""


def measure(name: str, folder: Path, seconds: float, repeats: int) -> Result:
    """Fit, serve and ask one side."""
    side = SIDES[name]
    python = environment(name, side.packages)
    prepare(name, python, folder)
    rows = pl.read_csv(folder / "rows.csv").select(COLUMNS).tail(BODIES).to_dicts()
    lines = [json.dumps(side.body(row)) for row in rows]
    (folder / f"{name}.bodies").write_text("\n".join(lines) + "\n")
    (folder / f"{name}.body").write_text(lines[0])
    script = folder / f"{name}.lua"
    script.write_text(LUA.format(bodies=folder / f"{name}.bodies"))
    result = Result()
    with served(name, python, folder, lines[0].encode()) as (address, start, process):
        result.start = start
        probability = side.read(answer(address, lines[0].encode()))
        if not 0 <= probability <= 1:
            result.faults.append(f"the first answer is {probability}")
        wrk(address, script, CONNECTIONS, min(3.0, seconds))  # not counted
        many = [wrk(address, script, CONNECTIONS, seconds) for _ in range(repeats)]
        one = [wrk(address, script, 1, seconds) for _ in range(repeats)]
        result.rate = statistics.median(item["rate"] for item in many)
        result.p50_one = statistics.median(item["p50"] for item in one)
        bad = int(sum(item["bad"] for item in [*many, *one]))
        if bad:
            result.faults.append(f"{bad} requests were not answered with 200")
        result.p50_half, result.p99_half = hey(address, folder / f"{name}.body", result.rate / 2, seconds)
        result.memory = memory(process.pid)
    return result


def versions(names: Sequence[str]) -> str:
    """Return the versions of the other sides."""
    found = []
    for name in names:
        if SIDES[name].packages:
            python = environment(name, SIDES[name].packages)
            code = f"from importlib.metadata import version; print(version({name!r}))"
            said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
            found.append(f"{name} {said.strip()}")
    return ", ".join(found)


def show(results: dict[str, Result]) -> str:
    """Return the table."""
    head = "| server | requests/s, 32 connections | p50, one connection | p50 / p99 at half that rate | first answer after | memory |"
    lines = [head, "| --- | --- | --- | --- | --- | --- |"]
    for name, item in results.items():
        lines.append(
            f"| {name} | {item.rate:,.0f} | {item.p50_one:.2f} ms | {item.p50_half:.2f} / {item.p99_half:.2f} ms "
            f"| {item.start:.1f} s | {item.memory:,.0f} MB |"
        )
    lines += [f"- {name}: {fault}" for name, item in results.items() for fault in item.faults]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(SIDES), help="sides, separated by commas")
    parser.add_argument("--seconds", type=float, default=10.0, help="seconds of each load (default 10)")
    parser.add_argument("--repeats", type=int, default=3, help="loads of each kind; medians count (default 3)")
    arguments = parser.parse_args()
    results: dict[str, Result] = {}
    for name in arguments.only.split(","):
        with tempfile.TemporaryDirectory() as text:
            folder = Path(text)
            table().write_csv(folder / "rows.csv")
            results[name] = measure(name, folder, arguments.seconds, arguments.repeats)
        print(f"{name}: {results[name]}", file=sys.stderr)
    print(show(results))
    print(f"\nVersions: {versions(list(results))}.")


if __name__ == "__main__":
    main()
