"""A model kept good: server and `operate` at level 1, mail that changes, labels that come late, and a bad promotion.

python keep_it_good.py           an alarm, a retraining, its gate, a promotion; then a bad model that is rolled back
python keep_it_good.py --calm    the same mail in random order, labels at once, no bad model: nothing of that happens
"""

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from mlframe.plugins import load_plugins
from mlframe.store.store import Store

MLFRAME = [sys.executable, "-m", "mlframe"]
CHUNK = 200
"""Messages of a request; one stands for a day's mail."""
COMMON = [
    "data=email",
    # The archive of labelled mail, which grows as labels come.
    "data.source.name=parquet",
    "~data.source.dataset",
    "~data.source.deduplicate",
    "+data.source.path=mail.parquet",
    "model=linear",
    "experiment=quick",
    "splitter=time",
    "splitter.folds=2",
    "fit.threshold=value",
    "reporters=[]",
    "trackers=[]",
]
OPERATE = [
    "operate",
    *COMMON,
    "level=1",
    # A day lasts seconds here: it is looked at everything all the time, after each chunk of mail.
    "monitors=[drift]",
    f"monitor.window={2 * CHUNK}",
    "update.monitor=2s",
    "update.poll=1s",
    "update.cooldown=1h",
    # An alarm of drift, and labels enough to learn from and to compare with, however fast this machine is.
    "update.combine=all",
    "update.triggers.decay=null",
    f"update.triggers.new_data={{rows: {5 * CHUNK}}}",
    "update.watch=10m",
    "update.health.rows=150",
]


class Stage:
    """A folder, a server and a process that operates the model.

    Args:
        folder: an empty folder.
        calm: whether to take away what makes trouble: the order in time, late labels, the bad model.
    """

    def __init__(self, folder: Path, calm: bool) -> None:
        self.folder, self.calm = folder, calm
        self.environment = {**os.environ, "MLFRAME_HOME": str(folder / ".mlframe"), "WANDB_MODE": "disabled"}
        source = {"name": "bundled", "dataset": "email", "deduplicate": False}
        mail = load_plugins().registry.create("data/source", source).read().sort("received")
        if calm:  # the same messages, each at another's time
            order = list(range(mail.height))
            random.Random(0).shuffle(order)
            mail = mail[order].with_columns(mail["received"])
        half = mail.height // 2
        self.archive, self.coming = mail[:half], mail[half:]
        self.archive.write_parquet(folder / "mail.parquet")
        self.unlabelled: list[tuple[str, pl.DataFrame]] = []
        self.running: list[subprocess.Popen[bytes]] = []
        self.address = ""

    def mlframe(self, *words: str) -> None:
        """Run one command line, as a person would."""
        print("$ python -m mlframe", *(word for word in words if word not in COMMON), flush=True)
        subprocess.run([*MLFRAME, *words], cwd=self.folder, env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        """Start server and operate."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        served = ["serve", "data=email", f"deployer.port={port}", "deployer.reload=0.2", "deployer.access_log=null"]
        served += ["deployer.log.flush=0.2", "deployer.workers=1"]
        print(f"$ python -m mlframe serve data=email deployer.port={port} &")
        print("$ python -m mlframe operate data=email level=1 &", flush=True)
        for words, file in ((served, "serve.log"), (OPERATE, "operate.log")):
            with (self.folder / file).open("wb") as log:
                command = [sys.executable, "-u", "-m", "mlframe", *words]
                self.running.append(
                    subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)
                )
        self.wait(self._ready, "the server")

    def _ready(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.address}/v2/health/ready", timeout=1).close()
        except OSError:
            return False
        return True

    def post(self, path: str, value: Any) -> dict[str, Any]:
        """Post JSON and return the answer."""
        body = json.dumps(value, default=str).encode()
        request = urllib.request.Request(f"{self.address}{path}", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return dict(json.loads(answer.read()))

    def send(self, chunk: pl.DataFrame) -> str:
        """Ask for predictions; what the chunk before it was becomes known now, or its own where nothing is late."""
        answer = self.post("/predict", chunk.drop("id", "received", "label").to_dicts())
        self.unlabelled.append((answer["request_id"], chunk))
        while len(self.unlabelled) > (0 if self.calm else 1):
            self.label(*self.unlabelled.pop(0))
        return str(answer["version"])

    def label(self, request_id: str, chunk: pl.DataFrame) -> None:
        """Tell the truth: to the server, as feedback, and to the archive, which is replaced as a whole."""
        said = [{"request_id": request_id, "row": i, "label": label} for i, label in enumerate(chunk["label"])]
        self.post("/feedback", said)
        self.archive = pl.concat([self.archive, chunk])
        self.archive.write_parquet(self.folder / ".mail.partial")
        os.replace(self.folder / ".mail.partial", self.folder / "mail.parquet")

    def stream(self, chunks: int) -> None:
        """Send chunks of mail, and leave time to look at each."""
        for _ in range(chunks):
            chunk, self.coming = self.coming[:CHUNK], self.coming[CHUNK:]
            print(f"  {chunk.height} messages, answered by {self.send(chunk)}", flush=True)
            time.sleep(1.0)

    def decided(self, kind: str) -> bool:
        """Whether there is a decision of a kind."""
        with Store.open(str(self.folder / ".mlframe"), create=False) as store:
            return bool(store.decisions.many("email", kinds=[kind]))

    def looked(self) -> bool:
        """Whether the monitors have seen all whole windows of what was sent."""
        with Store.open(str(self.folder / ".mlframe"), create=False) as store:
            seen = sum(window["rows"] for window in store.windows.many("email"))
        return seen >= 10 * CHUNK

    def wait(self, until: Callable[[], bool], what: str, seconds: float = 300.0) -> None:
        """Wait for something."""
        end = time.monotonic() + seconds
        while not until():
            if time.monotonic() > end or any(process.poll() is not None for process in self.running):
                logs = "\n".join((self.folder / name).read_text()[-3000:] for name in ("serve.log", "operate.log"))
                raise SystemExit(f"{what} did not come\n{logs}")
            time.sleep(0.2)

    def end(self) -> None:
        """End both processes in good order."""
        for process in reversed(self.running):
            process.send_signal(signal.SIGTERM)
            process.wait(60)

    def tell(self) -> dict[str, Any]:
        """Print what happened, and return it."""
        with Store.open(str(self.folder / ".mlframe"), create=False) as store:
            alarms, decisions, moves = store.alarms.many("email"), store.decisions.many("email"), store.history("email")
        for title, rows in (
            ("alarms", [f"{row['severity']}: {row['key']}: {row['record'].get('text')}" for row in reversed(alarms)]),
            ("decisions", [f"{row['kind']}: {row['record']['text']}" for row in reversed(decisions)]),
            (
                "champions",
                [f"{row['action']} {row['from']} -> {row['to']} by {row['who']}: {row['why']}" for row in moves],
            ),
        ):
            print(f"\n{title}:", *(rows or ["none"]), sep="\n  ")
        return {
            "problems": [row["key"] for row in alarms if row["severity"] == "problem"],
            "decisions": [row["kind"] for row in reversed(decisions)],
            "moves": [(row["action"], row["from"], row["to"], row["who"]) for row in moves],
        }


def play(folder: Path, calm: bool) -> dict[str, Any]:
    """Play it all in an empty folder, and return what happened."""
    stage = Stage(folder, calm)
    stage.mlframe("train", *COMMON, "level=1", "level.tests=none")  # passes the gate, and is the champion
    stage.start()
    try:
        print("\nmail comes in" + ("" if calm else ", and its labels a chunk later"), flush=True)
        stage.stream(6)
        if calm:
            stage.stream(4)
            stage.wait(stage.looked, "a look at all windows")
        else:
            stage.wait(lambda: stage.decided("promote"), "a promotion")
            stage.stream(1)
            print("\nsomebody promotes a model that knows nothing", flush=True)
            stage.mlframe("train", *COMMON[:5], *COMMON[6:], "model=dummy", "fit.threshold=none", "level=manual")
            with Store.open(str(folder / ".mlframe"), create=False) as store:
                bad = store.versions("email")[-1]["reference"]
            stage.mlframe("promote", bad, "--force")
            time.sleep(1.0)
            stage.stream(3)
            stage.wait(lambda: stage.decided("roll_back"), "a rollback")
    finally:
        stage.end()
    return stage.tell()


def main() -> None:
    """Play with trouble, or without."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calm", action="store_true", help="take away what makes trouble")
    arguments = parser.parse_args()
    play(Path(tempfile.mkdtemp(prefix="mlframe-continuous-")), arguments.calm)


if __name__ == "__main__":
    main()
