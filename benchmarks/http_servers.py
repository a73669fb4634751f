"""Which HTTP server and which JSON codec a prediction server should stand on: `python benchmarks/http_servers.py`.

Each server runs one process with the smallest program that reads an object of 14 fields and answers with a score; wrk
sends it as fast as it can, over 1 and over 32 connections. Needs wrk on the path, and in the Python that runs this:

    pip install granian uvicorn httptools uvloop robyn msgspec orjson
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from importlib import metadata
from pathlib import Path

ROW = {f"n{index}": index * 1.25 for index in range(10)} | {f"c{index}": f"category {index}" for index in range(4)}
ANSWER = {"request_id": "0123456789abcdef", "version": "made/1", "prediction": "yes", "probabilities": {"no": 0.25}}

HANDLE = """
import msgspec
decode, encode = msgspec.json.decode, msgspec.json.encode
HEADERS = [("content-type", "application/json")]
RAW = [(b"content-type", b"application/json")]
def answer(body):
    row = decode(body)
    return encode({"request_id": "0123456789abcdef", "version": "made/1", "prediction": "yes",
                   "probabilities": {"no": row["n1"] / 10, "yes": 1 - row["n1"] / 10}})
"""
RSGI = """
async def app(scope, proto):
    proto.response_bytes(200, HEADERS, answer(await proto()))
"""
ASGI = """
async def app(scope, receive, send):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": RAW})
    await send({"type": "http.response.body", "body": answer(body)})
"""
PROGRAMS = {
    "granian, RSGI": RSGI
    + """
from granian import Granian
def load(*_): return app
if __name__ == "__main__":
    Granian("app", port=PORT, interface="rsgi", websockets=False, log_enabled=False, http="1", loop="LOOP").serve(target_loader=load)
""",
    "granian, RSGI, embedded": RSGI
    + """
import asyncio, uvloop
from granian.server.embed import Server
from granian.constants import HTTPModes, Interfaces
async def main():
    await Server(app, port=PORT, interface=Interfaces.RSGI, websockets=False, log_enabled=False, http=HTTPModes.http1).serve()
(uvloop.run if "LOOP" == "uvloop" else asyncio.run)(main())
""",
    "uvicorn, ASGI, httptools": ASGI
    + """
import uvicorn
uvicorn.run(app, port=PORT, http="httptools", loop="LOOP", lifespan="off", access_log=False, log_level="error", ws="none")
""",
    "robyn": """
import os
os.environ["ROBYN_HOST"] = "127.0.0.1"
from robyn import Response, Robyn
app = Robyn(__file__)
@app.post("/predict")
async def predict(request):
    body = request.body
    return Response(200, {"content-type": "application/json"}, answer(body.encode() if isinstance(body, str) else body))
@app.get("/")
async def ready(): return "ready"
app.start(host="127.0.0.1", port=PORT)
""",
}
PROBE = 'wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\nwrk.body = [==[BODY]==]\n'


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def load(port: int, connections: int, seconds: int, folder: Path) -> dict[str, float]:
    """Run wrk and read what it says: requests a second, latencies in ms."""
    script = folder / "post.lua"
    script.write_text(PROBE.replace("BODY", json.dumps(ROW)))
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script)]
    done = subprocess.run([*words, f"http://127.0.0.1:{port}/predict"], capture_output=True, text=True, check=True)
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise SystemExit(done.stdout)
    units = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    found = {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])}
    for share in ("50", "99"):
        value, unit = re.search(rf"{share}%\s+([\d.]+)(us|ms|s)", done.stdout).groups()
        found[f"p{share}"] = float(value) * units[unit]
    return found


def memory(pid: int) -> float:
    """Return the resident MB of a process and its children."""
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    own = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(own[1]) / 1024 + sum(memory(int(child)) for child in children)


def processor(pid: int) -> float:
    """Return the seconds of processor time that a process and its children have taken."""
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK") + sum(processor(int(child)) for child in children)


def start(text: str, port: int, folder: Path) -> tuple[subprocess.Popen[bytes], float]:
    """Start a server and return it with the seconds to its first answer."""
    file = folder / "served.py"
    file.write_text(HANDLE + text.replace("PORT", str(port)))
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, str(file)], stdout=subprocess.DEVNULL, cwd=folder, start_new_session=True
    )
    body = json.dumps(ROW).encode()
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/predict", data=body, timeout=1) as reply:
                reply.read()
            return process, time.perf_counter() - began
        except OSError as error:
            if process.poll() is not None or time.perf_counter() - began > 20:
                raise SystemExit(f"it did not start: {error}") from error
            time.sleep(0.01)


def measure(text: str, seconds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        process, began = start(text, port, folder)
        try:
            load(port, 32, 1, folder)
            one = load(port, 1, seconds, folder)
            before = processor(process.pid)
            many = load(port, 32, seconds, folder)
            spent = processor(process.pid) - before
            held = memory(process.pid)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return {
        "start": began,
        "memory": held,
        "processor": spent / (many["rate"] * seconds) * 1e6,
        "rate_1": one["rate"],
        "p50_1": one["p50"],
        "rate_32": many["rate"],
        "p50_32": many["p50"],
        "p99_32": many["p99"],
    }


def codecs() -> list[str]:
    """Time both codecs on a request and an answer."""
    import timeit

    import msgspec
    import orjson

    one, many = json.dumps(ROW).encode(), json.dumps({"rows": [ROW] * 1000}).encode()
    typed = msgspec.json.Decoder(dict[str, float | str | None])
    lines = ["| codec | read 14 fields | read 1,000 rows | write an answer |", "| --- | --- | --- | --- |"]
    cases = {
        "msgspec": (msgspec.json.Decoder().decode, msgspec.json.Encoder().encode),
        "msgspec, types stated": (typed.decode, msgspec.json.Encoder().encode),
        "orjson": (orjson.loads, orjson.dumps),
        "json of Python": (json.loads, lambda value: json.dumps(value).encode()),
    }
    for name, (read, write) in cases.items():
        times = []
        for call, count in ((lambda: read(one), 20000), (lambda: read(many), 50), (lambda: write(ANSWER), 20000)):  # noqa: B023
            if call.__code__ and name == "msgspec, types stated" and count == 50:
                times.append("-")
                continue
            best = min(timeit.repeat(call, number=count, repeat=5)) / count
            times.append(f"{best * 1e6:.2f} µs" if best < 1e-4 else f"{best * 1e3:.2f} ms")
        lines.append(f"| {name} | {' | '.join(times)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many is shown")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed")
    cases = {
        f"{name}{f', {loop}' if 'LOOP' in text else ''}": text.replace("LOOP", loop)
        for name, text in PROGRAMS.items()
        for loop in (("uvloop", "asyncio") if "LOOP" in text else ("",))
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in cases}
    for _ in range(arguments.rounds):
        for name, text in cases.items():
            found[name].append(measure(text, arguments.seconds))
            print(name, found[name][-1], file=sys.stderr)
    names = ("granian", "uvicorn", "httptools", "uvloop", "robyn", "msgspec", "orjson")
    print(", ".join(f"{name} {metadata.version(name)}" for name in names), f"Python {sys.version.split()[0]}\n")
    print(
        "| server, one process | requests/s, 1 connection | p50 | requests/s, 32 | p50 | p99 | processor a request | memory | first answer |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, runs in found.items():
        m = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        print(
            f"| {name} | {m['rate_1']:,.0f} | {m['p50_1']:.2f} ms | {m['rate_32']:,.0f} | {m['p50_32']:.2f} ms "
            f"| {m['p99_32']:.2f} ms | {m['processor']:.0f} µs | {m['memory']:.0f} MB | {m['start']:.2f} s |"
        )
    print("\n" + "\n".join(codecs()))


if __name__ == "__main__":
    main()
