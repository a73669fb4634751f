"""Small data that has every difficulty once: for the suites, and for a plugin author's own tests."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mlframe.contracts import (
    Chart,
    Deployment,
    Evaluation,
    Exploration,
    Figure,
    Finding,
    Interval,
    Judged,
    Predictions,
    ReportInput,
    RunInfo,
)
from mlframe.contracts import Part as PartName
from mlframe.table import ROW, Table, describe_columns

__all__ = [
    "CLASSES",
    "TablePipeline",
    "make_deployment",
    "make_judged",
    "make_predictions",
    "make_report_input",
    "make_run",
    "make_table",
    "make_target",
]

CLASSES = {"binary": ("no", "yes"), "multiclass": ("high", "low", "middle"), "regression": ()}
"""Learning task to class names, in the order of their codes."""

COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"role": "id"},
    "amount": {"kind": "numeric"},
    "visits": {"kind": "numeric"},
    "colour": {"kind": "categorical"},
    "note": {"kind": "text"},
    "ordered": {"kind": "datetime"},
    "member": {"kind": "boolean", "tags": ["protected"]},
    "at": {"role": "time", "kind": "datetime"},
    "owner": {"role": "group", "kind": "categorical"},
    "weight": {"role": "weight", "kind": "numeric"},
    "label": {"role": "target"},
}
WORDS = (
    "offer",
    "meeting",
    "invoice",
    "parcel",
    "ticket",
    "winner",
    "lunch",
    "report",
    "naïve",
    "東京",
    "free",
    "urgent",
)


def make_table(rows: int = 120, task: str = "binary", seed: int = 0) -> Table:
    """Make a mixed table in which the target can be learned from `amount`, `colour` and `note`.

    Args:
        rows: how many rows; fewer than about 40 leave rare classes thin.
        task: one of `mlframe.contracts.TASKS`; decides the target column `label`.
        seed: equal seeds give equal tables.

    Returns:
        Columns id, amount (with nulls), visits, colour (with nulls), note (text, with nulls), ordered (datetime, with
        nulls), member (Boolean, with nulls), at (role time, distinct), owner (role group, 8 groups), weight, label.
        Rows are not in order of time.
    """
    rng = np.random.default_rng(seed)
    amount = rng.normal(50, 20, rows)
    colour = rng.choice(["red", "green", "blue", "rare"], rows, p=[0.4, 0.3, 0.25, 0.05])
    signal = amount / 20 + 1.5 * (colour == "red") + rng.normal(0, 0.5, rows)
    ranks = np.argsort(np.argsort(signal)) / rows
    if task == "regression":
        label = pl.Series("label", signal * 10)
    elif task == "binary":
        label = pl.Series("label", np.where(ranks > 0.6, "yes", "no"))
    else:
        label = pl.Series("label", np.where(ranks > 0.66, "high", np.where(ranks > 0.33, "middle", "low")))
    start = datetime(2024, 2, 27)
    notes = [
        " ".join([*rng.choice(WORDS, 6), "win a prize" if value > 0.6 else "see you soon", str(number)])
        for number, value in enumerate(ranks)
    ]
    frame = pl.DataFrame(
        {
            ROW: pl.Series(np.arange(rows, dtype=np.uint32)),
            "id": np.arange(1000, 1000 + rows),
            "amount": _holes(amount.tolist(), rng, 0.08),
            "visits": rng.poisson(3, rows),
            "colour": _holes(colour.tolist(), rng, 0.05),
            "note": _holes(notes, rng, 0.05),
            "ordered": _holes([start + timedelta(hours=int(h)) for h in rng.integers(0, 9000, rows)], rng, 0.05),
            "member": _holes((rng.random(rows) > 0.5).tolist(), rng, 0.05),
            "at": [start + timedelta(minutes=int(m)) for m in rng.permutation(rows) * 17],
            "owner": [f"owner {number}" for number in rng.permutation(np.arange(rows) % 8)],
            "weight": np.round(rng.uniform(0.5, 2.0, rows), 3),
            "label": label,
        }
    )
    kinds = {**COLUMNS, "label": {"role": "target", "kind": "numeric" if task == "regression" else "categorical"}}
    return Table(frame, describe_columns(frame, kinds))


def make_target(table: Table, task: str) -> npt.NDArray[Any]:
    """Return the target of a `make_table` as codes (intp) or values (float64), shape (rows,)."""
    if task == "regression":
        return table.frame["label"].to_numpy().astype(np.float64)
    return np.searchsorted(np.array(CLASSES[task]), table.frame["label"].to_numpy().astype(str)).astype(np.intp)


def make_predictions(
    task: str = "binary", rows: int = 200, *, noise: float = 0.5, seed: int = 0, part: PartName = "holdout"
) -> Predictions:
    """Make predictions of known quality.

    Args:
        task: one of `mlframe.contracts.TASKS`.
        rows: how many.
        noise: 0 is perfect (probabilities 0 and 1); the larger, the worse.
        seed: equal seeds give the same truth for every noise.
        part: which rows they pretend to be.
    """
    rng = np.random.default_rng(seed)
    classes = CLASSES[task]
    base: dict[str, Any] = {
        "row_id": np.arange(rows, dtype=np.uint32),
        "fold": np.full(rows, -1, dtype=np.int32),
    }
    weight = np.round(rng.uniform(0.5, 2.0, rows), 3)
    if task == "regression":
        truth = rng.normal(100, 25, rows)
        base |= {"y": truth, "y_pred": truth + noise * rng.normal(0, 20, rows)}
    else:
        codes = rng.permutation(np.arange(rows) % len(classes))
        proba = np.eye(len(classes))[codes]
        if noise:
            blurred = proba + noise * rng.exponential(1.0, proba.shape)
            proba = blurred / blurred.sum(axis=1, keepdims=True)
        names = np.array(classes)
        base |= {"y": names[codes], "y_pred": names[proba.argmax(axis=1)]}
        base |= {f"p_{name}": proba[:, index] for index, name in enumerate(classes)}
    return Predictions(pl.DataFrame({**base, "weight": weight}), task, classes, part)


class TablePipeline:
    """A pipeline in name: it looks up, by row id, what predictions say of a row, whatever the row holds.

    Args:
        predictions: what it says.
    """

    def __init__(self, predictions: Predictions) -> None:
        self.predictions = predictions

    def outputs(self, frame: pl.DataFrame) -> npt.NDArray[Any]:
        """Return probabilities (rows, classes) or values (rows,)."""
        said = self.predictions
        places = {int(row): place for place, row in enumerate(said.frame["row_id"])}
        values = said.proba if said.classes else said.y_pred
        return np.asarray(values[[places[row] for row in frame[ROW]]])

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return y_pred and the probabilities."""
        said = self.predictions.frame.select("row_id", "y_pred", *(f"p_{name}" for name in self.predictions.classes))
        return frame.select(pl.col(ROW).alias("row_id")).join(said, on="row_id", how="left", maintain_order="left")

    def gain(self) -> None:
        """Return None: nothing was trained."""

    def contributions(self, frame: pl.DataFrame) -> None:
        """Return None: nothing was trained."""

    def save(self, folder: Path) -> None:
        """Write what it says."""
        self.predictions.frame.write_parquet(folder / "pipeline.parquet")


def make_judged(task: str = "binary", rows: int = 200, *, noise: float = 0.5, seed: int = 0) -> Judged:
    """Make all that an evaluator can get in the step `evaluate`: predictions, rows, pipeline, out-of-fold rows.

    The rows are those of `make_table`, whose column `member` has the tag `protected`; arguments as in
    `make_predictions`.
    """
    holdout = make_predictions(task, rows, noise=noise, seed=seed)
    oof = make_predictions(task, rows, noise=noise, seed=seed + 1, part="folds")
    table, oof_table = make_table(rows, task, seed), make_table(rows, task, seed + 1)
    return Judged(holdout, TablePipeline(holdout), table, oof, oof_table, {"metric": None})


def make_run(folder: Path, **changes: Any) -> RunInfo:
    """Make a run's record; `changes` replace single fields."""
    fields: dict[str, Any] = {
        "id": "20240229-101502-4f2a",
        "name": "tiny",
        "task": "train",
        "group": None,
        "config": {"name": "tiny", "seed": 0, "model": {"name": "dummy"}, "goal": {"metric": "roc_auc"}},
        "folder": folder,
        "facts": {"seed": 0, "python": "3.12", "commit": None},
    }
    return RunInfo(**{**fields, **changes})


def make_deployment(folder: Path, model: str = "linear", *overrides: str) -> Deployment:
    """Train a small model, promote it, and return what a deployer gets.

    Training runs in a process of its own, as a user's would.

    Args:
        folder: an empty folder: the working directory and the store.
        model: the model.
        *overrides: more of the command line.
    """
    import os
    import subprocess
    import sys

    from mlframe.pipeline import Pipeline
    from mlframe.plugins import load_plugins
    from mlframe.store.store import Store

    make_table(300).frame.drop(ROW).write_csv(folder / "rows.csv")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFRAME_")}
    words = ["data=csv", "data.source.path=rows.csv", "data.columns.label.role=target", "name=made", f"model={model}"]
    words += ["experiment=quick", "evaluators=[classification]", "reporters=[]", "trackers=[]", *overrides]
    for argv in (words, ["promote", "made/1"]):
        command = [sys.executable, "-m", "mlframe", *argv]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    registry = load_plugins().registry
    with Store.open(str(folder / ".mlframe"), create=False) as store:
        bundle, root = store.open_bundle("made/1"), store.root
    run = folder / "run"
    run.mkdir()
    return Deployment(
        name="made",
        reference="made/1",
        follows="made@champion",
        bundle=bundle,
        store_root=root,
        store_url=None,
        config={"name": "made", "version": None, "input": None, "output": None},
        folder=run,
        say=lambda text: None,
        opener=lambda: Pipeline.load(bundle / "pipeline", registry),
    )


def make_report_input(folder: Path, *, full: bool = True, text: str = "amount") -> ReportInput:
    """Make what a reporter gets.

    Args:
        folder: an empty folder for the report's files.
        full: whether everything is there (explored, gated, registered), or as little as a task can leave.
        text: put wherever data or config can bring a text of their own, such as a column's name.
    """
    table = make_table()
    figures = {part: {"roc_auc": Interval(0.91, 0.88, 0.94), "brier": Interval(0.1)} for part in ("folds", "holdout")}
    declared = {
        "roc_auc": Figure("roc_auc", "higher", summary="How well the ranking separates the classes"),
        "brier": Figure("brier", "lower", summary="Mean squared error of the probabilities"),
    }
    svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><path d="M0 0 L10 10"/></svg>'
    chart = Chart("curve", f"A curve of {text}", f"A line that rises from 0 to 10 with {text}", svg)
    exploration = Exploration(
        [Finding("warning", f"{text} is missing in 8 %", "amount")], [chart], {"top": table.frame.head(3)}
    )
    check = {"name": "roc_auc", "passed": True, "value": 0.91, "wanted": ">= 0.9", "evidence": f"holdout of {text}"}
    evaluated = Evaluation(
        figures["holdout"],
        [chart],
        {"thresholds": table.frame.head(3), "rows/mistakes": table.frame.tail(3)},
        [Finding("warning", f"{text} is where the model is worst", "amount")],
    )
    assessment = {
        "findings": [{"check": "leak", "severity": "problem", "column": text, "text": f"{text} tells the target"}],
        "baselines": [{"name": "majority", "score": 0.5, "low": 0.49, "high": 0.51}],
        "verdict": {"word": "go", "reasons": [f"the model beats {text}"]},
        "charts": [{"name": chart.name, "title": chart.title, "alt": chart.alt, "svg": chart.svg}],
    }
    move = {"when": "2024-02-29T10:15:02+00:00", "who": text, "action": "promote", "alias": "champion", "from": None}
    return ReportInput(
        run=make_run(folder.parent, config={"name": "tiny", "note": text}),
        goal={"problem": f"Too much {text}", "metric": "roc_auc", "targets": {"roc_auc": 0.9}} if full else {},
        data={
            "rows": len(table),
            "columns": table.column_records(),
            "split": {"folds": 5, "development": 100, "holdout": 20},
            "source": {"name": "csv", "path": text},
            "fingerprint": "abc123",
        },
        figures=figures if full else {"folds": figures["folds"]},
        declared=declared,
        exploration=exploration if full else None,
        evaluation=evaluated if full else Evaluation(),
        gate={"passed": True, "checks": [check]} if full else {"passed": None, "checks": []},
        version="tiny/7" if full else None,
        promote="mlframe promote tiny/7" if full else None,
        folder=folder,
        assessment=assessment if full else None,
        history={"aliases": [{**move, "to": "tiny/6", "why": text}], "holdout_uses": 2} if full else {},
        fast="proven on the holdout rows, largest difference 2e-16" if full else None,
    )


def _holes(values: list[Any], rng: np.random.Generator, share: float) -> list[Any]:
    """Return the values with nulls in a share of the places, the first never among them."""
    gone = rng.random(len(values)) < share
    return [None if hole and index else value for index, (value, hole) in enumerate(zip(values, gone, strict=True))]
