"""Same config, data and seed, same predictions: again, from scratch, and elsewhere."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from e2e_tools import JUDGES, QUIET, Workspace, own, small, write_table

import mlframe

STOCHASTIC = ("lgbm", "forest", "boosting", "mlp")
"""Models that draw random numbers."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = Workspace.make(tmp_path_factory.mktemp("rerun"))
    write_table(made.folder / "rows.csv", flip=0.1)
    made.ok(*own(Path("rows.csv")), *small("forest", "binary"))
    return made


@pytest.mark.parametrize("flags", [[], ["--fresh"]])
def test_rerun_gives_the_same_predictions(flags: list[str], workspace: Workspace) -> None:
    with workspace.store() as store:
        first = store.runs(limit=100)[-1]["id"]
    before = workspace.predictions(first)
    result = workspace.ok("rerun", first, *flags)
    again = workspace.last()
    assert again["id"] != first
    assert (result.steps()["fit"] == "cached") is (not flags), result.out
    assert "note:" not in result.out, result.out
    for old, new in zip(before, workspace.predictions(again["id"]), strict=True):
        assert old.equals(new)
    with workspace.store() as store:
        assert again["config"] | {"cache": "read"} == store.run(first)["config"]


def test_rerun_takes_the_beginning_of_an_id_and_says_what_differs(workspace: Workspace) -> None:
    with workspace.store() as store:
        first = store.runs(limit=100)[-1]["id"]
        facts = store.run(first)["facts"]
        store.update_run(first, facts={**facts, "packages": {**facts["packages"], "numpy": "0.1"}})
    result = workspace.ok("rerun", first)
    assert "numpy 0.1 then" in result.out
    refused = workspace.run("rerun", "19990101-000000-0000")
    assert refused.code == 2
    assert "There is no run '19990101-000000-0000'" in refused.err


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 400 rows of the churn data."""
    path = tmp_path_factory.mktemp("sample") / "churn.parquet"
    frame = pl.read_parquet(Path(mlframe.__file__).parent / "datasets" / "churn" / "data.parquet")
    frame.sample(400, seed=1).write_parquet(path)
    return path


def test_two_processes_in_two_folders_predict_the_same(sample: Path, tmp_path: Path) -> None:
    """This process and another one, whose hashes begin with another seed."""
    found = []
    for name in ("here", "there"):
        workspace = Workspace.make(tmp_path / name)
        source = ["data=parquet", f"data.source.path={sample}", "data.columns.churn.role=target", "name=churn"]
        models = ["-m", f"model={','.join(STOCHASTIC)}"] if name == "there" else []
        if models:  # as jobs of a multirun that share what is cached
            result = workspace.spawn(*models, *source, "splitter.folds=2", *QUIET, *JUDGES)
            assert result.code == 0, result.out + result.err
            with workspace.store() as store:
                runs = {run["config"]["model"]["name"]: run["id"] for run in store.runs(limit=10)}
        else:  # one by one
            runs = {}
            for model in STOCHASTIC:
                workspace.ok(f"model={model}", *source, "splitter.folds=2", *QUIET, *JUDGES)
                runs[model] = workspace.last()["id"]
        found.append({model: workspace.artifact("fit", "oof", runs[model]) for model in STOCHASTIC})
    for model in STOCHASTIC:
        assert found[0][model].equals(found[1][model]), model
