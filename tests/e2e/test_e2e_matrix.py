"""Every registered model learns every kind of task, and its bundle predicts the same where only serving is allowed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from e2e_tools import JUDGES, QUIET, Workspace, columns, signal, small

from mlframe.plugins import load_plugins

MODELS = load_plugins().registry.names("model")
CELLS = ("binary", "multiclass", "regression", "text", "missing", "unseen")
ROWS = 120

EXACT = 0.0
ONE_ROW_TOLERANCE = 1e-9
"""Largest relative difference between one row and a batch: matrix products sum in another order."""
BATCH_TOLERANCE = {"sklearn": 1e-12}
"""Any class by name keeps its own threads, which add in the order in which they finish; all others repeat exactly."""
NEEDS_PANDAS = ("catboost", "online_linear")
"""Models whose own library imports pandas where it is installed."""


def table(cell: str) -> tuple[pl.DataFrame, list[str], str]:
    """Return a cell's rows, its overrides and its learning task."""
    frame, score = signal(ROWS, seed=3)
    task = cell if cell in ("multiclass", "regression") else "binary"
    ranks = np.argsort(np.argsort(score)) / ROWS
    if task == "regression":
        label: Any = (10 * score).round(3)
    elif task == "multiclass":
        label = np.where(ranks > 0.66, "high", np.where(ranks > 0.33, "middle", "low"))
    else:
        label = np.where(ranks > 0.5, "yes", "no")
    kinds = {"x1": "numeric", "x2": "numeric", "colour": "categorical"}
    rng = np.random.default_rng(5)
    extra = ["splitter=stratified" if task != "regression" else "splitter=kfold", "splitter.folds=2"]
    if cell == "text":
        calm, loud = ["lunch", "report", "meeting", "see you"], ["winner", "free", "prize", "urgent"]
        words = [" ".join(rng.choice(loud if rank > 0.5 else calm, 6)) + f" no {i}" for i, rank in enumerate(ranks)]
        frame, kinds = {"note": words, "x2": frame["x2"]}, {"note": "text", "x2": "numeric"}
    if cell == "missing":
        frame = {name: [None if rng.random() < 0.2 else v for v in values.tolist()] for name, values in frame.items()}
    if cell == "unseen":  # the latest fifth, the holdout, has colours that no earlier row has
        frame["colour"] = np.where(np.arange(ROWS) >= 0.8 * ROWS, "ultraviolet", frame["colour"])
        frame["day"] = np.datetime64("2024-01-01") + np.arange(ROWS)
        extra = ["splitter=time", "splitter.folds=2", "data.columns.day.role=time"]
    whole = pl.DataFrame(frame).with_columns(pl.Series("label", label))
    return whole, [*columns(kinds), *extra, f"goal.task={task}"], task


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = Workspace.make(tmp_path_factory.mktemp("matrix"))
    for cell in CELLS:
        table(cell)[0].write_parquet(made.folder / f"{cell}.parquet")
    return made


Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def serve(workspace: Workspace) -> Iterator[Ask]:
    """Start processes that may only serve, one for all models and one for those that need pandas; ask for a version."""
    script = Path(__file__).with_name("serving_process.py")
    processes: dict[bool, subprocess.Popen[str]] = {}

    def ask(reference: str, *, pandas: bool) -> dict[str, Any]:
        if pandas not in processes:
            command = [sys.executable, str(script), *(["pandas"] if pandas else [])]
            processes[pandas] = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=workspace.folder
            )
        process = processes[pandas]
        assert process.stdin is not None
        assert process.stdout is not None
        request = {"root": str(workspace.folder / ".mlframe"), "reference": reference}
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, "the serving process died"
        answer: dict[str, Any] = json.loads(line)
        return answer

    yield ask
    for process in processes.values():
        process.communicate(timeout=20)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("model", MODELS)
def test_learns_registers_and_predicts_the_same_where_only_serving_is_allowed(
    model: str, cell: str, workspace: Workspace, serve: Ask
) -> None:
    _, overrides, task = table(cell)
    name = f"{cell}_{model}"
    source = ["data=parquet", f"data.source.path={workspace.folder / cell}.parquet", f"name={name}"]
    result = workspace.run(*source, *overrides, *small(model, task), *QUIET, *JUDGES)
    assert result.code == 0, result.out + result.err
    answer = serve(f"{name}/1", pandas=model in NEEDS_PANDAS)
    assert "error" not in answer, answer
    assert answer["loaded"] == []
    assert answer["rows"] >= 0.15 * ROWS
    assert all(answer[way]["labels"] for way in ("batch", "single", "backwards")), answer
    assert answer["batch"]["difference"] <= BATCH_TOLERANCE.get(model, EXACT), answer
    assert answer["single"]["difference"] <= ONE_ROW_TOLERANCE, answer
    assert answer["backwards"]["difference"] <= ONE_ROW_TOLERANCE, answer


@pytest.mark.parametrize(
    ("cell", "overrides", "words"),
    [
        ("binary", ["model=sklearn", "model.estimator=Lasso"], "Lasso is a regressor, and the task needs a classifier"),
        (
            "regression",
            ["model=sklearn", "model.estimator=GaussianNB"],
            "is a classifier, and the task needs a regressor",
        ),
        ("text", ["model=linear", "featurizer=none"], "note"),
        ("binary", ["model=linear", "fit.early_stopping=required"], "model=linear cannot stop early"),
        (
            "binary",
            ["model=lgbm", "model.boosting_type=dart", "fit.early_stopping=required"],
            "model=lgbm cannot stop early with these parameters",
        ),
        ("binary", ["model=neighbors", "data.columns.x2.role=weight"], "model=neighbors cannot take row weights"),
    ],
)
def test_what_a_model_cannot_do_is_declined_in_words(
    cell: str, overrides: list[str], words: str, workspace: Workspace
) -> None:
    result = workspace.run(
        "data=parquet",
        f"data.source.path={workspace.folder / cell}.parquet",
        f"name=declined_{cell}",
        *table(cell)[1],
        *overrides,
        *QUIET,
        *JUDGES,
    )
    assert result.code == 2, result.out + result.err
    assert words in result.err
    assert "Traceback" not in result.err
    with workspace.store() as store:
        assert not [item for item in store.versions() if item["name"] == f"declined_{cell}"]
