"""The step cache: what is answered, what is done again, and that it says which."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
import warm
from e2e_tools import Result, Workspace, own, small, write_table

BEFORE_FIT = ("ingest", "verify", "label", "split")
FITTING = ("fit", "score", "refit", "evaluate")
MODEL = small("lgbm", "binary")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace in which one run is done."""
    made = Workspace.make(tmp_path / "work")
    write_table(made.folder / "rows.csv")
    made.ok(*own(Path("rows.csv")), *MODEL)
    return made


def cached(result: Result, steps: Sequence[str]) -> list[bool]:
    return [result.steps()[step] == "cached" for step in steps]


def again(workspace: Workspace, *overrides: str) -> Result:
    return workspace.ok(*own(Path("rows.csv")), *MODEL, *overrides)


def test_the_same_command_again_is_answered_from_ingest_to_evaluate(workspace: Workspace) -> None:
    first = workspace.predictions()
    result = again(workspace)
    assert all(cached(result, (*BEFORE_FIT, *FITTING))), result.out
    steps = workspace.last()["summary"]["steps"]
    assert [name for name, step in steps.items() if not step["cached"]] == ["gate", "register", "report"]
    for before, now in zip(first, workspace.predictions(), strict=True):
        assert before.equals(now)


def test_a_model_parameter_leaves_everything_up_to_the_featurized_folds(workspace: Workspace) -> None:
    result = again(workspace, "model.learning_rate=0.3")
    assert all(cached(result, BEFORE_FIT)), result.out
    assert not any(cached(result, FITTING))
    assert "featurized folds from the cache: 5 of 5" in result.out


def test_another_seed_does_the_split_again(workspace: Workspace) -> None:
    result = again(workspace, "seed=7")
    assert all(cached(result, ("ingest", "verify", "label")))
    assert not any(cached(result, ("split", *FITTING)))
    assert "featurized folds from the cache" not in result.out


def test_other_content_of_the_data_file_does_everything_again(workspace: Workspace) -> None:
    path = workspace.folder / "rows.csv"
    frame = pl.read_csv(path)
    frame.with_columns(pl.when(pl.int_range(pl.len()) == 5).then(0.125).otherwise("x1").alias("x1")).write_csv(path)
    result = again(workspace)
    assert not any(cached(result, (*BEFORE_FIT, *FITTING))), result.out


def test_the_old_content_is_still_answered_when_it_comes_back(workspace: Workspace) -> None:
    path = workspace.folder / "rows.csv"
    before, times = path.read_bytes(), path.stat()
    path.write_bytes(before.replace(b"red", b"tan"))
    again(workspace)
    path.write_bytes(before)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as an archive or rsync restores it
    assert all(cached(again(workspace), (*BEFORE_FIT, *FITTING)))


@pytest.mark.parametrize(
    "overrides", [["goal.targets.roc_auc=0.5"], ["gate.tolerance=0.1"], ["reporters=html"], ["goal.owner=me"]]
)
def test_keys_that_a_step_does_not_read_change_nothing(overrides: list[str], workspace: Workspace) -> None:
    result = again(workspace, *overrides)
    assert all(cached(result, (*BEFORE_FIT, *FITTING))), result.out


def test_none_neither_asks_nor_keeps(workspace: Workspace) -> None:
    result = again(workspace, "cache=none", "model.learning_rate=0.3")
    assert not any(cached(result, (*BEFORE_FIT, *FITTING)))
    result = again(workspace, "model.learning_rate=0.3")
    assert all(cached(result, BEFORE_FIT))
    assert not any(cached(result, FITTING)), "cache=none must have kept nothing"


def test_refresh_does_all_again_and_keeps_it(workspace: Workspace) -> None:
    refreshed = again(workspace, "cache=refresh", "model.learning_rate=0.3")
    assert not any(cached(refreshed, (*BEFORE_FIT, *FITTING)))
    assert "featurized folds from the cache" not in refreshed.out
    assert all(cached(again(workspace, "model.learning_rate=0.3"), (*BEFORE_FIT, *FITTING)))


def test_deleted_objects_are_made_again(workspace: Workspace) -> None:
    before = workspace.predictions()
    removed = 0
    for path in (workspace.folder / ".mlframe" / "objects").rglob("*"):
        if path.is_file() and ".open" not in path.parts:
            path.unlink()
            removed += 1
    assert removed > 5
    result = again(workspace)
    assert not any(cached(result, (*BEFORE_FIT, *FITTING))), result.out
    for old, new in zip(before, workspace.predictions(), strict=True):
        assert old.equals(new)


def test_eviction_keeps_versions(workspace: Workspace) -> None:
    again(workspace, "store.cache_size=1")  # one byte: everything goes that can
    assert not any(cached(again(workspace, "store.cache_size=1"), BEFORE_FIT))
    scored = ("input=rows.csv", "output=scored.csv")
    for version in ("own/1", "own/2", "own/3"):
        workspace.ok("predict", *own(Path("rows.csv"))[:2], f"version={version}", *scored, "name=own", "trackers=[]")
        assert pl.read_csv(workspace.folder / "scored.csv").height == 160


HELPER = "def factor():\n    return {factor}\n"
FEATURIZER = """
import my_helpers
import numpy as np
from mlframe import Component, hookimpl
from mlframe.contracts import Features, Featurizer


class Scaled(Featurizer):
    def fit(self, table, target, wants):
        return self

    def transform(self, frame):
        return Features(frame.select("x1").to_numpy().astype(float) * my_helpers.factor(), ("x1",), ("x1",))


@hookimpl
def mlframe_featurizers():
    return [Component("scaled", "mlframe_project:Scaled", "One column, scaled by a helper")]
"""


def test_a_changed_helper_of_a_projects_own_file_does_its_steps_again(tmp_path: Path) -> None:
    workspace = Workspace.make(tmp_path / "work")
    write_table(workspace.folder / "rows.csv")
    helper = workspace.folder / "my_helpers.py"
    helper.write_text(HELPER.format(factor=1.0), encoding="utf-8")
    (workspace.folder / "mlframe_project.py").write_text(FEATURIZER, encoding="utf-8")
    command = [*own(Path("rows.csv")), "model=linear", "featurizer=scaled"]
    for change, answered in ((None, False), (None, True), (HELPER.format(factor=2.0), False)):
        if change is not None:
            helper.write_text(change, encoding="utf-8")
        result = workspace.spawn(*command, run=warm.run)
        assert result.code == 0, result.out + result.err
        assert all(cached(result, FITTING)) == answered, result.out
    assert all(cached(result, BEFORE_FIT)), "what does not use the helper stays"
