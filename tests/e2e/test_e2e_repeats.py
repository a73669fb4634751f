"""Rows that stand in the out-of-fold predictions more than once, and runs without a holdout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from e2e_tools import JUDGES, QUIET, Workspace, signal

ROWS = 150

TWICE = '''
"""A splitter that cuts the same folds twice: every row is validated twice, and nothing new is said."""

import mlframe
from mlframe.contracts import Split
from mlframe.splitters.kfold import KFoldSplitter


class Twice(KFoldSplitter):
    def split(self, table, target, task):
        cut = super().split(table, target, task)
        return Split(cut.folds + cut.folds, cut.holdout, cut.development)


@mlframe.hookimpl
def mlframe_splitters():
    return [mlframe.Component("twice", "mlframe_project:Twice", "The same folds twice")]
'''

DATA = (
    "data=parquet",
    "data.source.path=rows.parquet",
    "data.columns.label.role=target",
    "data.columns.team.tags=[protected]",
    "resources.threads=1",
    *QUIET,
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = Workspace.make(tmp_path_factory.mktemp("repeats"))
    frame, score = signal(ROWS, seed=5)
    noisy = score + np.random.default_rng(2).normal(0, score.std(), ROWS)
    frame["team"] = np.array(["red", "blue"])[np.arange(ROWS) % 2]
    pl.DataFrame({**frame, "label": np.where(noisy > np.median(noisy), "yes", "no")}).write_parquet(
        made.folder / "rows.parquet"
    )
    (made.folder / "mlframe_project.py").write_text(TWICE, encoding="utf-8")
    return made


def last_parts(workspace: Workspace, *overrides: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train, and return the figures of both parts."""
    workspace.ok(*DATA, *JUDGES, "splitter.folds=3", *overrides)
    figures = workspace.last()["summary"]["figures"]
    return tuple({name: found["value"] for name, found in figures[part].items()} for part in ("folds", "holdout"))  # type: ignore[return-value]


@pytest.mark.parametrize(
    "overrides",
    [
        ("model=linear", "fit.calibration=sigmoid", "fit.threshold=f1"),
        ("model=linear", "fit.calibration=isotonic", "fit.threshold=f1"),
        (
            "ensembler=stacking", "ensembler.passthrough=true", "~model@ensembler.members.lgbm",
            "ensembler.members.forest.n_estimators=5",
        ),
        (
            "ensembler=stacking", "model@ensembler.final=neighbors", "~model@ensembler.members.lgbm",
            "ensembler.members.forest.n_estimators=5",
        ),
    ],
    ids=["sigmoid", "isotonic", "stack", "stack of a model without weights"],
)  # fmt: skip
def test_folds_that_are_cut_again_alike_change_nothing(workspace: Workspace, overrides: tuple[str, ...]) -> None:
    once = last_parts(workspace, "splitter=kfold", *overrides)
    twice = last_parts(workspace, "splitter=twice", *overrides)
    for one, two in zip(once, twice, strict=True):
        assert two == pytest.approx(one, abs=1e-6)


def test_repeated_folds_count_each_row_once(workspace: Workspace) -> None:
    result = workspace.ok(
        *DATA, *JUDGES, "splitter=kfold", "splitter.folds=3", "splitter.repeats=2", "model=linear", "fit.threshold=f1"
    )
    assert "(learned from 120 out-of-fold rows, judged fold by fold)" in result.out


def test_without_a_holdout_the_judges_are_asked_about_out_of_fold_rows(workspace: Workspace) -> None:
    judges = "evaluators=[classification,mistakes,slices,fairness,importance,service]"
    result = workspace.ok(
        *DATA, judges, "splitter.folds=3", "splitter.repeats=2", "splitter.holdout=0", "model=linear",
        "goal.targets.fairness_gap=1", "goal.targets.roc_auc=0.5", "goal.value={tp: 1, fp: -1}",
    )  # fmt: skip
    assert "no holdout (splitter.holdout is 0): out-of-fold rows are judged in its place" in result.out
    summary = workspace.last()["summary"]
    assert {"fairness_gap", "roc_auc"} <= set(summary["figures"]["folds"])
    assert not summary["figures"].get("holdout")
    checks = {check["name"]: check for check in summary["gate"]["checks"]}
    assert checks["fairness_gap"]["evidence"].startswith("folds fairness_gap 0.")
    assert checks["worth"]["evidence"].startswith("folds: 1,000 rows gain ")
    assert summary["gate"]["value"]["rows"] == ROWS  # repeated folds say nothing twice
    with workspace.store() as store:
        (version, *_) = [item for item in store.versions() if item["reference"] == summary["version"]]
        assert "fairness_gap" in version["figures"]["folds"]


def test_without_a_holdout_the_report_shows_mistakes(workspace: Workspace) -> None:
    lines = [line for line in DATA if line != "reporters=[]"]
    workspace.ok(*lines, "evaluators=[classification,mistakes]", "splitter.holdout=0", "model=linear")
    (files,) = workspace.last()["summary"]["report"].values()
    assert "The evaluators gave no tables" not in Path(files[0]).read_text(encoding="utf-8")
