"""The door, in this process or in one of its own, from a folder of its own; and tiny tables."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlframe.testing.plugin import _forget_hydra, _own_logging, _own_modules

QUIET = ("trackers=[]", "reporters=[]", "~task.steps.explore")
"""Leaves out what only people look at."""

JUDGES = (
    "evaluators=[classification,regression]",
    "evaluators.classification.bootstrap=50",
    "evaluators.regression.bootstrap=50",
)

SMALL: dict[str, tuple[str, ...]] = {
    "lgbm": ("model.n_estimators=25", "model.num_leaves=7", "model.min_child_samples=5"),
    "xgboost": ("model.n_estimators=25",),
    "catboost": ("model.n_estimators=25",),
    "extra_trees": ("model.n_estimators=20",),
    "forest": ("model.n_estimators=20",),
    "boosting": ("model.max_iter=25",),
    "sklearn": ("model.estimator=ExtraTrees{Kind}", "+model.params.n_estimators=10"),
}
"""What keeps a model quick, or what it cannot do without; any other model runs as shipped."""


@dataclass(frozen=True)
class Result:
    """What one command gave."""

    code: int
    out: str
    err: str

    def steps(self) -> dict[str, str]:
        """Return each step's word in the run's lines: `cached` or a duration."""
        found = {}
        for line in self.out.splitlines():
            words = line.split()
            if line.startswith("  ") and not line.startswith("   ") and len(words) > 1:
                found[words[0]] = words[1]
        return found


@dataclass(frozen=True)
class Workspace:
    """A working directory with a store of its own.

    Args:
        folder: the working directory.
    """

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Workspace:
        """Make the directory."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder)

    def run(self, *argv: str, **environment: str) -> Result:
        """Run the door in this process."""
        from mlframe.cli import main

        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            patch.setenv("MLFRAME_HOME", str(self.folder / ".mlframe"))
            patch.setenv("WANDB_MODE", environment.pop("WANDB_MODE", "disabled"))
            for name, value in environment.items():
                patch.setenv(name, value)
            with _own_modules(), _own_logging(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(list(argv))
            _forget_hydra()
        return Result(code, out.getvalue(), err.getvalue())

    def ok(self, *argv: str, **environment: str) -> Result:
        """Run the door and insist that it comes through."""
        result = self.run(*argv, **environment)
        assert result.code == 0, f"{argv}\n{result.out}\n{result.err}"
        return result

    def spawn(self, *argv: str, run: Callable[..., Any] = subprocess.run, **environment: str) -> Result:
        """Run the door in a process of its own; by `warm.run` in one that has the libraries loaded."""
        values = {**os.environ, "MLFRAME_HOME": str(self.folder / ".mlframe"), "WANDB_MODE": "disabled", **environment}
        command = [sys.executable, "-m", "mlframe", *argv]
        done = run(command, cwd=self.folder, env=values, capture_output=True, text=True, check=False, timeout=300)
        return Result(done.returncode, done.stdout, done.stderr)

    @contextlib.contextmanager
    def store(self) -> Any:
        """Open the store with the codecs of a run."""
        from mlframe.door import Door

        with (
            pytest.MonkeyPatch.context() as patch,
            Door([f"store.root={self.folder / '.mlframe'}"], folder=self.folder).open_store() as store,
        ):
            patch.chdir(self.folder)
            yield store

    def last(self) -> dict[str, Any]:
        """Return the latest run's record."""
        with self.store() as store:
            found: dict[str, Any] = store.runs(limit=1)[0]
        return found

    def artifact(self, step: str, name: str, run: str | None = None) -> Any:
        """Return an artifact of a run (the latest one) from the step cache."""
        from mlframe.runner.keys import digest

        with self.store() as store:
            run_id = run or store.runs(limit=1)[0]["id"]
            key = next(item["key"] for item in store.steps(run_id) if item["step"] == step)
            entry = store.artifact(digest([key, name]))
            assert entry is not None, f"{step} of {run_id} kept no {name}"
            return store.load_artifact(entry)

    def predictions(self, run: str | None = None) -> list[pl.DataFrame]:
        """Return a run's out-of-fold and holdout predictions."""
        return [self.artifact("fit", "oof", run), self.artifact("evaluate", "holdout", run)]


def small(model: str, task: str) -> list[str]:
    """Return the overrides that keep a model quick on a learning task."""
    kind = "Regressor" if task == "regression" else "Classifier"
    return [f"model={model}", *(word.replace("{Kind}", kind) for word in SMALL.get(model, ()))]


def columns(kinds: dict[str, str], target: str = "label") -> list[str]:
    """Return the overrides that declare columns."""
    declared = [f"data.columns.{name}.kind={kind}" for name, kind in kinds.items()]
    return [*declared, f"data.columns.{target}.role=target"]


def signal(rows: int, seed: int) -> tuple[dict[str, Any], Any]:
    """Return columns `x1`, `x2`, `colour`, and a score that depends on them."""
    rng = np.random.default_rng(seed)
    x1, x2 = rng.normal(0, 1, rows), rng.normal(5, 2, rows)
    colour = rng.choice(["red", "green", "blue"], rows)
    score = 1.5 * x1 + 0.4 * (x2 - 5) + (colour == "red") + rng.normal(0, 0.4, rows)
    return {"x1": x1.round(4), "x2": x2.round(4), "colour": colour}, score


def write_table(path: Path, rows: int = 160, seed: int = 0, *, flip: float = 0.0) -> Path:
    """Write a table of two classes as CSV; `flip` is the share of labels that are wrong."""
    frame, score = signal(rows, seed)
    rng = np.random.default_rng(seed + 1)
    label = (score > np.median(score)) ^ (rng.random(rows) < flip)
    pl.DataFrame({**frame, "label": np.where(label, "yes", "no")}).write_csv(path)
    return path


def own(path: Path) -> list[str]:
    """Return the overrides that read a `write_table`."""
    return [
        "data=csv",
        f"data.source.path={path}",
        *columns({"x1": "numeric", "x2": "numeric", "colour": "categorical"}),
        "name=own",
        "resources.threads=1",
        *QUIET,
        *JUDGES,
    ]


def lines_of(path: Path) -> list[Any]:
    """Return the documents of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
