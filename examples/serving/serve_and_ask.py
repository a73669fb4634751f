"""Trains, serves, asks, promotes, rolls back and reads the log: everything of docs/serving.md in one file."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import polars as pl

from mlframe.store.predictions import scan_predictions
from mlframe.store.store import Store

HERE = Path(tempfile.mkdtemp(prefix="mlframe-serving-"))
MLFRAME = [sys.executable, "-m", "mlframe"]
SURROUNDINGS = {**os.environ, "MLFRAME_HOME": str(HERE / ".mlframe"), "WANDB_MODE": "disabled"}


def mlframe(*words: str) -> None:
    """Run one command line, as a person would."""
    print("$ python -m mlframe", *words, flush=True)
    subprocess.run([*MLFRAME, *words], cwd=HERE, env=SURROUNDINGS, check=True, stdout=subprocess.DEVNULL)


def ask(address: str, body: bytes, kind: str = "application/json") -> bytes:
    """Post a body and return the answer's, whatever its status."""
    request = urllib.request.Request(address, body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        return bytes(error.read())


def main() -> None:
    """Do it all."""
    quick = ["data=email", "experiment=quick", "trackers=[]", "reporters=[]", "~task.steps.explore"]
    mlframe(*quick)
    mlframe(*quick, "model=linear")
    mlframe("promote", "email/1", "--force")

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    print(f"$ python -m mlframe serve data=email deployer.port={port} &")
    words = [
        "serve",
        "data=email",
        f"deployer.port={port}",
        "deployer.reload=0.2",
        f"deployer.access_log={HERE / 'access.log'}",
    ]
    server = subprocess.Popen([*MLFRAME, *words], cwd=HERE, env=SURROUNDINGS, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                urllib.request.urlopen(f"{address}/v2/health/ready", timeout=1)
                break
            except OSError:
                if server.poll() is not None:
                    raise SystemExit("the server ended") from None
                time.sleep(0.1)

        example = json.loads(urllib.request.urlopen(f"{address}/openapi.json", timeout=5).read())
        row = example["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["examples"]["one"][
            "value"
        ]
        print("\none row:       ", ask(f"{address}/predict", json.dumps(row).encode()).decode())
        rows = pl.DataFrame([row] * 3)
        print("three as CSV:  ", ask(f"{address}/predict", rows.write_csv().encode(), "text/csv").decode()[:200])
        wrong = {**row, next(iter(row)): {"not": "a value"}, "extra": 1}
        print("a wrong one:   ", ask(f"{address}/predict", json.dumps(wrong).encode()).decode()[:400])

        answer: dict[str, str] = {}
        for move in (("promote", "email/2", "--force"), ("rollback", "email")):
            mlframe(*move)
            before = answer["version"] if move[0] == "rollback" else "email/1"
            while True:  # the server looks where the champion points every deployer.reload seconds
                answer = json.loads(ask(f"{address}/predict", json.dumps(row).encode()))
                if answer["version"] != before:
                    break
                time.sleep(0.1)
            print(f"now {answer['version']} answers: {answer['prediction']}")
        label = {"request_id": answer["request_id"], "label": answer["prediction"]}
        print("feedback:      ", ask(f"{address}/feedback", json.dumps(label).encode()).decode())
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)

    with Store.open(str(HERE / ".mlframe"), create=False) as store:
        log = scan_predictions(store, "email").select("time", "version", "y_pred", "latency_ms").collect()
    print("\nthe prediction log, written while it served:")
    print(log)


if __name__ == "__main__":
    main()
