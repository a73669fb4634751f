"""Many jobs from one command: shared cache, one group, failures told twice, the best one's command."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from e2e_tools import Result, Workspace, lines_of, own, write_table

PROJECT = '''
"""A tracker that writes what it is told into a file; a step's component that fails when asked to."""
import json
from pathlib import Path
from mlframe import Component, hookimpl
from mlframe.contracts import Tracker


class Diary(Tracker):
    def __init__(self, path):
        self.path = path

    def _write(self, **record):
        with Path(self.path).open("a") as file:
            file.write(json.dumps(record) + "\\n")

    def open(self, run):
        self.run = run
        self._write(event="open", run=run.id, group=run.group)

    def figures(self, values):
        self._write(event="figures", run=self.run.id, names=sorted(values))

    def close(self, status):
        self._write(event="close", run=self.run.id, status=status)


@hookimpl
def mlframe_trackers():
    return [Component("diary", "mlframe_project:Diary", "Writes into a file")]


@hookimpl
def mlframe_before_step(run, step):
    leaves = run.config["model"].get("num_leaves")
    if step == "fit" and leaves in (13, 17):
        raise RuntimeError(f"{leaves} leaves bring bad luck")
'''

LGBM = ("model=lgbm", "model.n_estimators=10", "splitter.folds=3")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = Workspace.make(tmp_path_factory.mktemp("multirun"))
    write_table(made.folder / "rows.csv", flip=0.15)
    (made.folder / "mlframe_project.py").write_text(PROJECT, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def swept(workspace: Workspace) -> Result:
    """Four jobs, of which two fail inside."""
    diary = ["trackers=[diary]", "trackers.diary.path=diary.jsonl"]
    words = [word for word in own(Path("rows.csv")) if word != "trackers=[]"]
    return workspace.run("-m", *words, *LGBM, *diary, "model.num_leaves=4,7,17,13")


def test_failing_jobs_are_told_when_they_happen_and_at_the_end_and_others_finish(
    swept: Result, workspace: Workspace
) -> None:
    assert swept.code == 1, swept.out + swept.err
    assert swept.out.count("num_leaves") >= 4
    for words in ("17 leaves bring bad luck", "13 leaves bring bad luck"):
        assert swept.out.count(words) >= 2, swept.out
    happened, _, end = swept.out.partition("page: ")
    for part in (happened, end):
        assert len(re.findall("FAILED", part)) == 2, swept.out
    group = re.search(r"multirun (\S+): 4 jobs", swept.out)
    assert group is not None
    with workspace.store() as store:
        runs = [run for run in store.runs(limit=100, group=group[1]) if run["task"] == "train"]
        assert sorted(run["status"] for run in runs) == ["failed", "failed", "finished", "finished"]
        listed = workspace.ok("runs", "--group", group[1]).out
    assert all(run["id"] in listed for run in runs)


def test_jobs_share_the_cache(swept: Result) -> None:
    assert swept.out.count("from the cache: ingest, verify, label, split") == 1, swept.out


def test_trackers_are_closed_job_by_job(swept: Result, workspace: Workspace) -> None:
    told = lines_of(workspace.folder / "diary.jsonl")
    opened = [record["run"] for record in told if record["event"] == "open"]
    closed = {record["run"]: record["status"] for record in told if record["event"] == "close"}
    assert len(opened) == len(set(opened)) == 5  # the last one is the sweep's own record
    assert set(opened) == set(closed)
    assert sorted(closed.values()) == ["failed", "failed", "finished", "finished", "finished"]
    for number, record in enumerate(told):  # one job is closed before the next one opens
        if record["event"] == "open" and number:
            assert told[number - 1]["event"] == "close"
    assert len({record["group"] for record in told if record["event"] == "open"}) == 1


def test_a_job_ends_at_its_out_of_fold_score(swept: Result, workspace: Workspace) -> None:
    with workspace.store() as store:
        done = [run for run in store.runs(limit=100, status="finished") if run["task"] == "train"]
        assert done
        for run in done:
            assert [step["step"] for step in store.steps(run["id"])] == [
                "ingest",
                "verify",
                "label",
                "split",
                "fit",
                "score",
            ]
            assert "holdout" not in run["summary"]["figures"]
            assert store.holdout_uses(_artifact_key(store, run["id"])) == 0
        assert store.versions() == []


def _artifact_key(store: object, run: str) -> str:
    from mlframe.runner.keys import digest

    key = next(step["key"] for step in store.steps(run) if step["step"] == "split")  # type: ignore[attr-defined]
    return digest([key, "split"])


def test_the_printed_command_trains_the_best_for_good(swept: Result, workspace: Workspace) -> None:
    with workspace.store() as store:
        jobs = [run for run in store.runs(limit=100, status="finished") if run["task"] == "train"]
        key = _artifact_key(store, jobs[0]["id"])
    best = max(jobs, key=lambda run: run["summary"]["score"])
    line = swept.out.strip().splitlines()[-1].strip()
    assert line.startswith("python -m mlframe ")
    result = workspace.ok(*shlex.split(line)[3:])
    run = workspace.last()
    assert run["summary"]["score"] == best["summary"]["score"]
    assert result.steps()["fit"] == "cached", result.out
    assert run["summary"]["version"] == "own/1"
    with workspace.store() as store:
        assert store.holdout_uses(key) == 1


def test_a_sweep_over_data_and_model_scores_each_pair(tmp_path: Path) -> None:
    workspace = Workspace.make(tmp_path / "work")
    conf = workspace.folder / "conf" / "data"
    conf.mkdir(parents=True)
    for name in ("first", "second"):
        write_table(workspace.folder / f"{name}.csv", rows=80, seed=len(name))
        conf.joinpath(f"{name}.yaml").write_text(
            "# @package _global_\ndefaults:\n  - /data/source: csv\n  - _self_\ndata:\n"
            f"  source: {{path: {name}.csv}}\n  schema: null\n  columns:\n    label: {{role: target}}\n",
            encoding="utf-8",
        )
    words = ["trackers=[]", "evaluators=[classification]", "evaluators.classification.bootstrap=0", "splitter.folds=2"]
    result = workspace.ok("-m", "data=first,second", "model=linear,dummy", "hydra/launcher=basic", *words)
    assert "4 jobs" in result.out
    with workspace.store() as store:
        runs = store.runs(limit=10)
    pairs = {(run["name"], run["config"]["model"]["name"]) for run in runs}
    assert pairs == {(data, model) for data in ("first", "second") for model in ("linear", "dummy")}
    assert len({run["group"] for run in runs}) == 1
    assert not (workspace.folder / "multirun").exists()
    assert not (workspace.folder / "outputs").exists()


def test_mistakes_of_all_choices_are_found_before_the_first_job(swept: Result, workspace: Workspace) -> None:
    with workspace.store() as store:
        before = len(store.runs(limit=1000))
    result = workspace.run("-m", *own(Path("rows.csv")), "model=lgbm,lnear,forst", "goal.metric=roc_auk")
    assert result.code == 2
    for words in ("'lnear'", "'linear'", "'forst'", "'forest'", "roc_auk"):
        assert words in result.err, result.err
    with workspace.store() as store:
        assert len(store.runs(limit=1000)) == before


def test_data_sets_that_are_scored_by_different_figures_are_refused_before_the_first_job(workspace: Workspace) -> None:
    result = workspace.run("-m", "data=churn,diamonds", "model=dummy", "trackers=[]")
    assert result.code == 2, result.out + result.err
    for text in ("data=churn by roc_auc", "data=diamonds by rmse", "goal.metric"):
        assert text in result.err, result.err
    assert "job 0" not in result.out


def test_hydras_own_refusal_is_passed_on(workspace: Workspace) -> None:
    result = workspace.run("-m", *own(Path("rows.csv")), "model=linear,dummy", "hydra/launcher=nosuch")
    assert result.code == 2, result.out + result.err
    assert "nosuch" in result.out + result.err
    assert "Traceback" not in result.err


def test_each_job_is_a_wandb_run_of_its_own(tmp_path: Path) -> None:
    workspace = Workspace.make(tmp_path / "work")
    write_table(workspace.folder / "rows.csv", rows=80)
    words = [word for word in own(Path("rows.csv")) if word != "trackers=[]"]
    result = workspace.spawn("-m", *words, "model=linear,dummy", "splitter.folds=2", WANDB_MODE="offline")
    assert result.code == 0, result.out + result.err
    found: dict[str, list[str]] = {}
    for path in (workspace.folder / ".mlframe").rglob("offline-run-*"):
        found.setdefault(path.name.rsplit("-", 1)[-1], []).append(str(path))
    assert len(found) == 3, found  # the third is the sweep's own, with the leaderboard
    with workspace.store() as store:
        runs = [run["id"] for run in store.runs(limit=10)]
    assert {run for run in runs for paths in found.values() if any(run in path for path in paths)} == set(runs)
