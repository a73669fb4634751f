"""A folder with a small dated table, a champion that can be beaten, and real processes that operate it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import warm

from mlframe.store.store import Store

NAME = "small"
WORDS = (
    "data=csv",
    "data.source.path=rows.csv",
    "data.source.times={moment: '%Y-%m-%dT%H:%M:%S%.6f'}",
    "data.columns.moment.role=time",
    "data.columns.label.role=target",
    f"name={NAME}",
    "experiment=quick",
    "evaluators=[classification]",
    "reporters=[]",
    "trackers=[]",
)
QUICK = ("update.monitor=null", "update.poll=1s", "update.lease=10s", "update.cooldown=null", "update.tests=none")
HERE = Path(__file__).parent


def table(rows: int = 600, seed: int = 0, shift: float = 0.0) -> pl.DataFrame:
    """Make rows whose label follows from `a`; with a shift, from another place on."""
    random = np.random.default_rng(seed)
    a, b = random.normal(size=rows), random.normal(size=rows)
    label = np.where(a + 0.5 * random.normal(size=rows) > shift, "yes", "no")
    moments = [datetime(2026, 1, 1) + timedelta(minutes=i) for i in range(rows)]
    return pl.DataFrame({"moment": moments, "a": a, "b": b, "label": label})


@dataclass
class Place:
    """The folder, and the command line in it."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("MLFRAME_")}
        return {**kept, "WANDB_MODE": "disabled", "PYTHONPATH": str(HERE)}

    def cli(self, *words: str, code: int = 0, timeout: float = 300) -> str:
        """Run a command line to its end."""
        command = [sys.executable, "-m", "mlframe", *words]
        done = warm.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=timeout)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def train(self, *words: str, promote: int | None = None) -> None:
        """Train a version; promote one."""
        self.cli("train", *WORDS, *words)
        if promote is not None:
            self.cli("promote", f"{NAME}/{promote}", "--force")

    def dying(self, task: str, after: int, *words: str) -> tuple[int, str]:
        """Run a task that kills itself after so many things that it has done to the store; return code and what it said."""
        command = [sys.executable, str(HERE / "operate_and_die.py"), str(after), task, *WORDS, *QUICK, *words]
        done = warm.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout + done.stderr

    def start(self, *words: str) -> warm.Popen:
        """Start a task that goes on."""
        return warm.Popen(
            [sys.executable, "-u", "-m", "mlframe", *words],
            cwd=self.folder,
            env=self.environment,
            stdout=warm.PIPE,
            stderr=warm.STDOUT,
            text=True,
        )

    @contextmanager
    def store(self) -> Iterator[Store]:
        with Store.open(str(self.folder / ".mlframe"), create=False) as store:
            yield store

    def moves(self) -> list[tuple[str, str | None, str]]:
        """Return the champion's moves that `operate` made: action, from, to."""
        with self.store() as store:
            return [
                (row["action"], row["from"], row["to"])
                for row in store.history(NAME)
                if row["alias"] == "champion" and row["who"] == "operate"
            ]

    def decisions(self) -> list[str]:
        """Return the kinds of the decisions, the first one first."""
        with self.store() as store:
            return [row["kind"] for row in reversed(store.decisions.many(NAME))]

    def record(self) -> dict[str, Any]:
        with self.store() as store:
            return dict(store.operations.get(NAME)["record"])


def end(process: warm.Popen, number: int = signal.SIGTERM) -> str:
    """End a process in good order and return what it said."""
    process.send_signal(number)
    said, _ = process.communicate(timeout=240)
    return said


def log_rows(
    store: Store,
    version: str,
    rows: int,
    *,
    right: float,
    since: datetime,
    seed: int = 0,
    role: str = "champion",
    model: bool = False,
) -> None:
    """Log predictions of a version, a share of them right, and tell their truth; with `model` it follows from `a`."""
    random = np.random.default_rng(seed)
    a = random.normal(size=rows)
    truth = np.where((a if model else random.normal(size=rows)) > 0, "yes", "no")
    correct = random.random(rows) < right
    said = np.where(correct, truth, np.where(truth == "yes", "no", "yes"))
    sure = random.uniform(0.6, 0.9, rows)
    p_yes = np.where(said == "yes", sure, 1 - sure)
    times = [since + timedelta(milliseconds=i) for i in range(rows)]
    ids = [f"{version}-{seed}-{i}".replace("/", "-") for i in range(rows)]
    moment = pl.Datetime("us", "UTC")
    number = pl.Series([0] * rows, dtype=pl.UInt32)
    predictions = pl.DataFrame(
        {
            "request_id": ids,
            "row": number,
            "time": pl.Series(times, dtype=moment),
            "version": [version] * rows,
            "role": [role] * rows,
            "caller": ["test"] * rows,
            "latency_ms": pl.Series(random.uniform(1, 2, rows), dtype=pl.Float32),
            "a": a,
            "b": random.normal(size=rows),
            "y_pred": said,
            "p_no": 1 - p_yes,
            "p_yes": p_yes,
        }
    )
    feedback = pl.DataFrame(
        {
            "request_id": ids,
            "row": number,
            "time": pl.Series(times, dtype=moment),
            "label": truth,
            "outcome": pl.Series([None] * rows, dtype=pl.String),
            "caller": ["test"] * rows,
        }
    )
    day = times[0].astimezone(UTC).date().isoformat()
    assert times[-1].astimezone(UTC).date().isoformat() == day, "the test crosses midnight; run it again"
    for kind, frame in (("predictions", predictions), ("feedback", feedback)):
        folder = store.folder / kind / NAME / day
        folder.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(folder / f"{day}-test-{'0' * 12}-{version.replace('/', '_')}_{seed}.parquet")
