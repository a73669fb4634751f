"""Ensembles from config to bundle: every task, time and groups, the shared step cache, refits, limits, honest scores."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from e2e_tools import JUDGES, QUIET, Workspace, signal

from mlframe import stats

ROWS = 180
FOREST = ("model.n_estimators=10", "model.max_depth=4")
LGBM = ("model.n_estimators=15", "model.min_child_samples=5")
MEMBERS = tuple(
    f"ensembler.members.{name}.{word.removeprefix('model.')}"
    for name, words in (("forest", FOREST), ("lgbm", LGBM))
    for word in words
)
COMBINERS = ("voting", "stacking", "greedy")
WRAPPERS = ("bagging", "boosting")
SPLITTERS = {
    "kfold": ["splitter=kfold"],
    "time": ["splitter=time", "data.columns.day.role=time"],
    "group": ["splitter=group", "data.columns.team.role=group"],
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = Workspace.make(tmp_path_factory.mktemp("ensembles"))
    for task in ("binary", "multiclass", "regression"):
        frame, score = signal(ROWS, seed=11)
        ranks = np.argsort(np.argsort(score)) / ROWS
        label: Any = (10 * score).round(3)
        if task == "binary":
            label = np.where(ranks > 0.6, "yes", "no")
        elif task == "multiclass":
            label = np.where(ranks > 0.66, "high", np.where(ranks > 0.33, "middle", "low"))
        frame["day"] = np.datetime64("2024-01-01") + np.arange(ROWS)
        frame["team"] = np.array([f"team {number}" for number in np.arange(ROWS) % 9])
        pl.DataFrame({**frame, "label": label}).write_parquet(made.folder / f"{task}.parquet")
    return made


def data(task: str, splitter: str = "kfold") -> list[str]:
    """Return the overrides that read a task's table."""
    roles = [f"data.columns.{name}.role=ignore" for name in ("day", "team")]
    cut = SPLITTERS[splitter]
    roles = [role for role in roles if role.rpartition("=")[0] not in " ".join(cut)]
    return [
        "data=parquet",
        f"data.source.path={task}.parquet",
        "data.columns.label.role=target",
        *roles,
        *cut,
        "splitter.folds=3",
        f"goal.task={task}",
        "resources.threads=1",
        *QUIET,
        *JUDGES,
    ]


def served(workspace: Workspace, reference: str) -> dict[str, Any]:
    """Score a version's examples in a process that may only serve."""
    script = Path(__file__).with_name("serving_process.py")
    request = json.dumps({"root": str(workspace.folder / ".mlframe"), "reference": reference})
    done = subprocess.run(
        [sys.executable, str(script)],
        input=request + "\n",
        capture_output=True,
        text=True,
        cwd=workspace.folder,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[0])
    return answer


def check_served(workspace: Workspace, reference: str) -> None:
    """Check that a version predicts the same where only serving is allowed."""
    answer = served(workspace, reference)
    assert "error" not in answer, answer
    assert answer["loaded"] == []
    assert answer["batch"]["difference"] <= 1e-12, answer
    assert answer["single"]["difference"] <= 1e-9, answer
    assert all(answer[way]["labels"] for way in ("batch", "single"))


@pytest.mark.parametrize("ensembler", COMBINERS)
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_members_learn_register_and_are_served(workspace: Workspace, task: str, ensembler: str) -> None:
    name = f"{task}_{ensembler}"
    # A seed of its own: another test may have fitted the same ensemble in this workspace, and a fit from the cache says nothing.
    result = workspace.ok(*data(task), f"ensembler={ensembler}", *MEMBERS, f"name={name}", "seed=3")
    assert "the best member alone" in result.out
    assert f"ensembler={ensembler}" in result.out
    check_served(workspace, f"{name}/1")


@pytest.mark.parametrize("ensembler", WRAPPERS)
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_wrapped_models_learn_register_and_are_served(workspace: Workspace, task: str, ensembler: str) -> None:
    name = f"{task}_{ensembler}"
    wrapped = [f"ensembler={ensembler}", "ensembler.models=4", "model=lgbm", *LGBM]
    result = workspace.ok(*data(task), *wrapped, f"name={name}")
    assert "rounds (median of the folds)" in result.out  # early stopping works inside
    check_served(workspace, f"{name}/1")
    pipeline = workspace.artifact("refit", "pipeline")
    assert len({id(member.featurizer) for member in pipeline.members}) == 1
    assert 1 < len(pipeline.members) <= 4 or ensembler == "boosting"


@pytest.mark.parametrize("ensembler", COMBINERS)
@pytest.mark.parametrize("splitter", ["time", "group"])
def test_time_and_groups(workspace: Workspace, splitter: str, ensembler: str) -> None:
    overrides = [*data("binary", splitter), f"ensembler={ensembler}", *MEMBERS, f"name={splitter}_{ensembler}"]
    workspace.ok(*overrides)
    oof, holdout = workspace.predictions()
    assert oof["row_id"].is_unique().all()
    assert not set(oof["row_id"]) & set(holdout["row_id"])
    if splitter == "time":
        assert oof["row_id"].max() < holdout["row_id"].min()
    assert workspace.last()["summary"]["score"] > 0.7


def test_passthrough_and_a_featurizer_of_ones_own(workspace: Workspace) -> None:
    workspace.ok(
        *data("binary"),
        "ensembler=stacking",
        *MEMBERS,
        "ensembler.passthrough=true",
        "model@ensembler.final=lgbm",
        "ensembler.final.n_estimators=8",
        "+featurizer@ensembler.members.linear.featurizer=linear",
        "name=through",
    )
    check_served(workspace, "through/1")
    pipeline = workspace.artifact("refit", "pipeline")
    kinds = {type(member.featurizer).__name__ for member in pipeline.members}
    assert kinds == {"AutoFeaturizer", "LinearFeaturizer"}


# ------------------------------------------------------------------------------------------------ the step cache


def test_members_and_runs_of_their_own_share_the_step_cache(tmp_path: Path, workspace: Workspace) -> None:
    alone = Workspace.make(tmp_path / "shared")
    shutil.copyfile(workspace.folder / "binary.parquet", alone.folder / "binary.parquet")
    alone.ok(*data("binary"), "model=linear")
    two = ["ensembler=voting", "~model@ensembler.members.lgbm", *(word for word in MEMBERS if "forest" in word)]
    result = alone.ok(*data("binary"), *two)
    assert "linear: model=linear, 3 folds from the cache" in result.out
    assert "forest: model=forest, 3 folds fitted" in result.out
    result = alone.ok(*data("binary"), "model=forest", *FOREST)
    assert result.steps()["fit"] == result.steps()["refit"] == "cached"
    # The mean is that of the members, row by row, out of fold and on the holdout.
    parts = []
    with alone.store() as store:
        runs = [run["id"] for run in store.runs(limit=3)]
    for run in runs:
        parts.append([frame["p_yes"].to_numpy() for frame in alone.predictions(run)])
    forest, voting, linear = parts
    for a, b, mean in zip(forest, linear, voting, strict=True):
        np.testing.assert_allclose((a + b) / 2, mean)


@pytest.mark.parametrize("cache", ["none", "refresh"])
def test_without_the_cache_members_are_fitted_once_and_give_the_same(workspace: Workspace, cache: str) -> None:
    overrides = [*data("multiclass"), "ensembler=stacking", *MEMBERS, f"name=nocache_{cache}"]
    workspace.ok(*overrides)
    before = workspace.last()["summary"]["figures"]
    result = workspace.ok(*overrides, f"cache={cache}")
    assert workspace.last()["summary"]["figures"] == before
    assert result.out.count("3 folds fitted") == 3


def test_calibration_leaves_the_fit_to_the_cache(workspace: Workspace) -> None:
    base = [*data("binary"), "model=forest", *FOREST, "model.min_samples_leaf=3", "name=calibrated"]
    workspace.ok(*base)
    raw, raw_holdout = workspace.predictions()
    for method in ("sigmoid", "isotonic"):
        result = workspace.ok(*base, f"fit.calibration={method}")
        assert f"{method} calibration: log loss" in result.out
        assert "features" not in result.out.split("refit")[1].splitlines()[0]  # nothing was fitted again
        oof, holdout = workspace.predictions()
        assert oof.select("row_id", "fold", "y").equals(raw.select("row_id", "fold", "y"))
        assert not oof["p_yes"].equals(raw["p_yes"])
        if method == "sigmoid":
            order = raw_holdout["p_yes"].rank("dense")
            assert holdout["p_yes"].rank("dense").equals(order)
            figures = workspace.last()["summary"]["figures"]["holdout"]["roc_auc"]
    with workspace.store() as store:
        first = [run for run in store.runs(limit=50) if run["name"] == "calibrated"][-1]
    assert first["summary"]["figures"]["holdout"]["roc_auc"] == figures
    check_served(workspace, "calibrated/2")


def test_each_fold_is_calibrated_and_decided_by_the_others(workspace: Workspace) -> None:
    base = [*data("binary"), "model=forest", *FOREST, "name=crossfit"]
    workspace.ok(*base)
    raw = workspace.predictions()[0]
    workspace.ok(*base, "fit.calibration=sigmoid", "fit.threshold=f1")
    oof = workspace.predictions()[0]
    proba, y = raw.select("p_no", "p_yes").to_numpy(), (raw["y"] == "yes").to_numpy().astype(int)
    for fold in range(3):
        inside = (raw["fold"] == fold).to_numpy()
        calibration = stats.fit_calibration("sigmoid", proba[~inside], y[~inside])
        expected = stats.calibrate(proba, calibration)[:, 1]
        np.testing.assert_allclose(oof["p_yes"].to_numpy()[inside], expected[inside])
        threshold = stats.best_threshold(expected[~inside], y[~inside] == 1)
        assert ((expected[inside] >= threshold) == (oof["y_pred"].to_numpy()[inside] == "yes")).all()
    result = workspace.ok(*base, "fit.threshold=0.25")
    assert "yes from a probability of 0.25" in result.out
    holdout = workspace.predictions()[1]
    assert ((holdout["p_yes"] >= 0.25) == (holdout["y_pred"] == "yes")).all()
    check_served(workspace, "crossfit/3")


def test_folds_are_kept_and_averaged(workspace: Workspace) -> None:
    overrides = [*data("binary"), "ensembler=greedy", *MEMBERS, "fit.refit=folds", "name=kept"]
    result = workspace.ok(*overrides)
    assert "mean of 3 fold pipelines" in result.out
    check_served(workspace, "kept/1")


@pytest.mark.parametrize(("splitter", "kept"), [("time", True), ("kfold", False), ("group", False)])
def test_auto_keeps_folds_that_are_windows_along_time(workspace: Workspace, splitter: str, kept: bool) -> None:
    result = workspace.ok(*data("binary", splitter), "model=linear", "fit.refit=auto", f"name=auto_{splitter}")
    assert ("mean of 3 fold pipelines" in result.out) == kept
    pipeline = workspace.artifact("refit", "pipeline")
    assert len(pipeline.members) == (3 if kept else 1)


SLEEPY = """
import time
from mlframe import Component, hookimpl
from sklearn.dummy import DummyClassifier

class Sleepy(DummyClassifier):
    def predict_proba(self, X):
        time.sleep(0.15 if X.shape[0] == 1 else 0)
        return super().predict_proba(X)

@hookimpl
def mlframe_models():
    return [Component("sleepy", "mlframe_project:Sleepy", "Takes its time over one row")]
"""


def test_a_latency_limit_drops_members_and_says_which(workspace: Workspace, tmp_path: Path) -> None:
    slow = Workspace.make(tmp_path / "slow")
    shutil.copyfile(workspace.folder / "binary.parquet", slow.folder / "binary.parquet")
    (slow.folder / "mlframe_project.py").write_text(SLEEPY)
    overrides = [
        *data("binary"),
        "ensembler=voting",
        "model@ensembler.members.forest=sleepy",
        "ensembler.latency_ms=100",
    ]
    overrides += [word for word in MEMBERS if "lgbm" in word]
    result = slow.ok(*overrides, "name=quick")
    assert "forest is left out" in result.out
    assert "with lgbm, linear" in result.out
    assert {member.model for member in slow.artifact("refit", "pipeline").members} == {"lgbm", "linear"}
    result = slow.run(*overrides, "ensembler.latency_ms=0.0001")
    assert result.code == 2
    assert "No member predicts a row within 0.0001 ms" in result.err


def test_members_for_which_there_is_no_time_are_left_out_and_named(workspace: Workspace) -> None:
    overrides = [*data("binary"), "ensembler=voting", *MEMBERS, "ensembler.seconds=0.001", "name=hurry", "seed=5"]
    result = workspace.ok(*overrides)
    for name in ("forest", "linear"):
        assert f"{name} is left out: the 0.001 s are over (ensembler.seconds)" in result.out
    assert {member.model for member in workspace.artifact("refit", "pipeline").members} == {"lgbm"}
    again = workspace.ok(*overrides)  # the cache answers what was found the first time, without a look at the clock
    assert again.steps()["fit"] == "cached"


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_experiment_best_does_any_task(workspace: Workspace, task: str) -> None:
    boosted = ("lgbm", "small", "large", "random_cuts", "random_deep", "stumps", "slow", "random_shallow")
    forests = ("extra_trees", "smooth_trees")
    small = [f"ensembler.members.{name}.n_estimators=10" for name in (*boosted, *forests)]
    result = workspace.ok(*data(task), "experiment=best", *small, "name=best")
    for name in (*boosted, *forests, "linear", "mlp", "deep_mlp", "firm_linear", "neighbors"):
        assert f"{name}: model=" in result.out
    assert "best/" in result.out


def test_a_multirun_over_ensemblers_shares_members(workspace: Workspace) -> None:
    result = workspace.ok("-m", *data("regression"), "ensembler=voting,greedy", *MEMBERS, "name=many")
    assert "ensembler=greedy" in result.out
    assert "FAILED" not in result.out


def test_a_sweep_ends_in_an_ensemble_of_its_jobs(workspace: Workspace) -> None:
    jobs = ["model=linear,bayes", "sweep.ensemble=greedy", "sweep.space={}", "name=swept"]
    result = workspace.ok("-m", *data("binary"), *jobs)
    assert "the sweep's ensemble (greedy) of trial_" in result.out
    assert result.out.count("3 folds from the cache") == 2  # nothing is fitted again but for good
    assert "swept/1" in result.out
    check_served(workspace, "swept/1")
    with workspace.store() as store:
        closing = store.run(store.sweep("last")["closing"]["run"])
    again = workspace.ok(*closing["facts"]["command"])  # what `show` prints can be typed
    fit = next(line for line in again.out.splitlines() if line.split()[:1] == ["fit"])
    assert "cached" in fit, again.out
    with workspace.store() as store:
        latest = store.run(store.version("swept/2")["run_id"])
    assert latest["config"]["ensembler"] == closing["config"]["ensembler"]
    assert latest["summary"]["score"] == closing["summary"]["score"]


def test_explanations_of_a_mean(workspace: Workspace) -> None:
    overrides = [*data("binary"), "ensembler=voting", *MEMBERS, "~model@ensembler.members.forest"]
    overrides = [word for word in overrides if "members.forest." not in word]
    workspace.ok(*overrides, "name=why")
    files = ["input=binary.parquet", "trackers=[]", "name=why", "version=why/1", *data("binary")[:6]]
    workspace.ok("predict", *files, "output=plain.parquet")
    workspace.ok("predict", *files, "output=told.parquet", "explain=2")
    told = pl.read_parquet(workspace.folder / "told.parquet")
    assert told.drop("why").equals(pl.read_parquet(workspace.folder / "plain.parquet"))
    assert told["why"].str.contains(r"^x1: [+-]").mean() > 0.5
    assert told["why"].str.count_matches(";").max() == 1
    workspace.ok(*data("binary"), "model=forest", *FOREST, "name=mute")
    result = workspace.run("predict", *(w.replace("why", "mute") for w in files), "output=no.parquet", "explain=2")
    assert result.code == 2
    assert "cannot be explained: it is made of forest" in result.err
    assert not (workspace.folder / "no.parquet").exists()


def test_the_threshold_that_pays_calls_more_rows_when_a_miss_costs_more(workspace: Workspace) -> None:
    base = [*data("binary"), "model=linear", "name=pays"]

    def worth(miss: float, threshold: str) -> tuple[float, float]:
        workspace.ok(*base, f"goal.value={{tp: 5, fp: -5, fn: {miss}}}", f"fit.threshold={threshold}")
        oof = workspace.predictions()[0]
        called, true = (oof["y_pred"] == "yes").to_numpy(), (oof["y"] == "yes").to_numpy()
        return (5 * (called & true) - 5 * (called & ~true) + miss * (~called & true)).sum(), called.mean()

    (_, few), (paid, many) = worth(0, "value"), worth(-20, "value")
    assert many > few
    assert paid > worth(-20, "none")[0]
    refused = workspace.run(*base, "fit.threshold=value")
    assert refused.code == 2
    assert "goal.value" in refused.err
