"""Sweeps through the command line: search, ledger, resume after a kill, limits, pruning, workers, repeats, closing run."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import warm
from e2e_tools import Workspace, own, write_table

PROJECT = '''
"""A model that does what a sweep must bear: it hangs, dies, eats memory, fails or predicts nonsense when asked to."""
import os
import time

from sklearn.linear_model import LogisticRegression

from mlframe import Component, hookimpl


class Odd(LogisticRegression):
    def __init__(self, mood="good", C=1.0, random_state=None):
        super().__init__(C=C, random_state=random_state)
        self.mood = mood

    def fit(self, X, y, sample_weight=None):
        if self.mood == "hangs":
            time.sleep(600)
        if self.mood == "slow":
            time.sleep(0.4)
        if self.mood == "dies":
            os._exit(9)
        if self.mood == "fails":
            raise RuntimeError("a bad day")
        if self.mood == "greedy":
            self.hoard = bytearray(600 << 20)
            for place in range(0, len(self.hoard), 4096):
                self.hoard[place] = 1
            time.sleep(600)
        return super().fit(X, y, sample_weight)

    def predict_proba(self, X):
        found = super().predict_proba(X)
        return found * float("nan") if self.mood == "nonsense" else found


@hookimpl
def mlframe_models():
    return [Component("odd", {"classification": "mlframe_project:Odd"}, "A model with moods")]
'''

COUNTING = """

from mlframe.featurizers.auto import AutoFeaturizer


def count(what):
    with open("done.txt", "a") as file:
        file.write(what + "\\n")


class Counted(AutoFeaturizer):
    def fit(self, table, target, wants):
        count("featurized")
        super().fit(table, target, wants)


@hookimpl
def mlframe_featurizers():
    return [Component("counted", "mlframe_project:Counted", "Counts how often it is fitted")]


@hookimpl
def mlframe_before_step(run, step):
    count(step)
"""

SMALL = ("splitter.folds=3",)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace.make(tmp_path / "work")
    write_table(made.folder / "rows.csv", rows=90, flip=0.15)
    (made.folder / "mlframe_project.py").write_text(PROJECT, encoding="utf-8")
    return made


def words(*more: str) -> list[str]:
    return ["-m", *own(Path("rows.csv")), *SMALL, *more]


def ledger(workspace: Workspace, sweep: str = "last") -> tuple[dict[str, Any], list[dict[str, Any]]]:
    with workspace.store() as store:
        found = store.sweep(sweep)
        return found, store.sweep_jobs(found["id"])


def statuses(workspace: Workspace) -> list[str]:
    return [job["status"] for job in ledger(workspace)[1]]


def test_a_search_over_two_models_ends_in_one_closing_run(workspace: Workspace) -> None:
    result = workspace.ok(*words("model=linear,neighbors", "sweep=random", "sweep.trials=5"))
    sweep, jobs = ledger(workspace)
    assert (sweep["status"], sweep["sampler"]) == ("finished", "random")
    assert [job["number"] for job in jobs] == list(range(5))
    assert {job["status"] for job in jobs} == {"finished"}
    for job in jobs:
        assert job["score"] == pytest.approx(sum(job["per_fold"]) / 3)
        assert job["latency_ms"] > 0
        assert job["size_bytes"] > 1000
        assert job["fit_seconds"] > 0
        assert ("model.classification.C" in job["values"]) == (job["values"]["model"] == "linear")
    # The first job fits all of its folds itself; a later one that shares some tells how long they took when they were fitted.
    assert jobs[0]["fit_seconds"] <= jobs[0]["seconds"]
    best = max(jobs, key=lambda job: job["score"])
    with workspace.store() as store:
        closing = store.run(sweep["closing"]["run"])
        assert closing["summary"]["version"] == sweep["closing"]["version"] == "own/1"
        assert closing["summary"]["score"] == pytest.approx(best["score"])
        assert [version["number"] for version in store.versions()] == [1]
    assert result.steps()["fit"] == "cached", "the winner's folds were fitted in the sweep"
    resumed = workspace.ok("-m", "sweep.resume=last")
    assert "it was trained for good before, as own/1" in resumed.out
    with workspace.store() as store:
        assert [version["number"] for version in store.versions()] == [1]
    again = workspace.ok("leaderboard", "last", "--html", "board.html")
    assert sweep["id"] in again.out
    assert "<svg" in (workspace.folder / "board.html").read_text(encoding="utf-8")


def test_workers_give_what_one_gives(workspace: Workspace) -> None:
    search = ("model=linear,neighbors", "sweep=random", "sweep.trials=6", "sweep.close=false", "cache=none")
    workspace.ok(*words(*search))
    _, one = ledger(workspace)
    workspace.ok(*words(*search, "sweep.workers=3"))
    sweep, three = ledger(workspace)
    assert [(job["values"], job["score"], job["per_fold"]) for job in one] == [
        (job["values"], job["score"], job["per_fold"]) for job in three
    ]
    with workspace.store() as store:
        assert len({store.run(job["run"])["pid"] for job in three}) > 1
        assert store.sweep(sweep["id"])["closing"] is None


@pytest.mark.slow
def test_a_job_that_hangs_dies_or_eats_memory_is_counted_and_the_others_come_through(workspace: Workspace) -> None:
    result = workspace.run(
        *words(
            "model=odd",
            "model.mood=good,hangs,dies,greedy,nonsense,fails",
            "sweep.job_timeout=20s",
            "sweep.job_memory=550MB",
        )
    )
    assert result.code == 1, result.out + result.err
    sweep, jobs = ledger(workspace)
    assert [job["status"] for job in jobs] == ["finished", "killed", "failed", "killed", "failed", "failed"]
    errors = [job["error"] for job in jobs]
    for error, wanted in zip(
        errors[1:],
        (
            "took longer than sweep.job_timeout, 20 s",
            "exited with 9",
            "more memory than sweep.job_memory, 550 MB",
            "not finite",
            "a bad day",
        ),
        strict=True,
    ):
        assert wanted in error
        assert result.out.count(wanted) >= 2, "told when it happens and at the end"
    assert sweep["status"] == "finished"


def test_fail_fast_ends_the_sweep_at_the_first_failure(workspace: Workspace) -> None:
    result = workspace.run(*words("model=odd", "model.mood=good,fails,slow", "sweep.fail_fast=true"))
    assert result.code == 1
    assert statuses(workspace)[:2] == ["finished", "failed"]
    assert "finished" not in statuses(workspace)[2:]


@pytest.mark.slow
def test_killed_with_all_its_workers_a_sweep_goes_on_where_it_was(workspace: Workspace) -> None:
    environment = {**os.environ, "MLFRAME_HOME": str(workspace.folder / ".mlframe"), "WANDB_MODE": "disabled"}
    argv = words("model=odd", "model.mood=slow", "model.C=0.1,0.2,0.3,0.4", "cache=none")
    with warm.Popen(
        [sys.executable, "-m", "mlframe", *argv],
        cwd=workspace.folder,
        env=environment,
        stdout=warm.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("job 1:"):
                break
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
    sweep, jobs = ledger(workspace)
    assert sweep["status"] == "interrupted"
    kept = {job["number"]: job["run"] for job in jobs if job["status"] == "finished"}
    assert {0, 1} <= set(kept)
    assert len(jobs) - len(kept) <= 1, "at most the job under way is lost"
    result = workspace.ok("-m", f"sweep.resume={sweep['id']}")
    assert f"{len(kept)} already done" in result.out
    after, jobs = ledger(workspace, sweep["id"])
    assert after["status"] == "finished"
    assert [(job["number"], job["status"], job["values"]["model.C"]) for job in jobs] == [
        (number, "finished", value) for number, value in enumerate((0.1, 0.2, 0.3, 0.4))
    ]
    assert {number: run for number, run in kept.items() if jobs[number]["run"] != run} == {}, (
        "what is done is not done again"
    )


def test_resuming_tries_failed_jobs_again_and_a_longer_search_goes_on_with_the_same_draws(workspace: Workspace) -> None:
    search = ("model=linear", "sweep=random", "sweep.close=false")
    workspace.ok(*words(*search, "sweep.trials=6"))
    _, whole = ledger(workspace)
    workspace.ok(*words(*search, "sweep.trials=3"))
    sweep, _ = ledger(workspace)
    workspace.ok("-m", f"sweep.resume={sweep['id']}", "sweep.trials=6")
    _, longer = ledger(workspace, sweep["id"])
    assert [job["values"] for job in longer] == [job["values"] for job in whole]
    project = workspace.folder / "mlframe_project.py"
    workspace.run(*words("model=odd", "model.mood=good,fails"))
    sweep, jobs = ledger(workspace)
    assert [job["status"] for job in jobs] == ["finished", "failed"]
    project.write_text(PROJECT.replace('"fails"', '"never"'), encoding="utf-8")
    workspace.ok("-m", "sweep.resume=last")
    assert [job["status"] for job in ledger(workspace, sweep["id"])[1]] == ["finished", "finished"]


def test_two_processes_cannot_resume_one_sweep(workspace: Workspace) -> None:
    environment = {**os.environ, "MLFRAME_HOME": str(workspace.folder / ".mlframe"), "WANDB_MODE": "disabled"}
    argv = words("model=odd", "model.mood=hangs")
    with warm.Popen(
        [sys.executable, "-m", "mlframe", *argv],
        cwd=workspace.folder,
        env=environment,
        stdout=warm.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        group = re.search(r"multirun (\S+):", line)
        assert group is not None, line
        result = workspace.run("-m", f"sweep.resume={group[1]}")
        assert result.code == 2
        assert "is running" in result.err
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert f"sweep.resume={group[1]}" in process.stdout.read()
    sweep, jobs = ledger(workspace, group[1])
    assert sweep["status"] == "interrupted"
    assert {job["status"] for job in jobs} <= {"waiting"}  # none when it came before the first job


def test_a_sweep_of_another_project_or_config_is_not_taken_up(workspace: Workspace) -> None:
    workspace.ok(*words("model=linear", "seed=1,2"))
    sweep, _ = ledger(workspace)
    result = workspace.run("-m", "sweep.resume=sweep-1999")
    assert result.code == 2
    assert sweep["id"] in result.err
    result = workspace.run("-m", f"sweep.resume={sweep['id']}", "splitter.folds=2")
    assert result.code == 2
    assert "splitter.folds" in result.err
    conf = workspace.folder / "conf" / "splitter"
    conf.mkdir(parents=True)
    conf.joinpath("stratified.yaml").write_text(
        "name: stratified\nfolds: 5\nholdout: 0.3\nbins: 10\nseed: 0\n", encoding="utf-8"
    )
    result = workspace.run("-m", f"sweep.resume={sweep['id']}")
    assert result.code == 2
    assert "splitter.holdout: 0.2 then, 0.3 now" in result.err


def test_hopeless_jobs_are_pruned_by_fold_and_by_round(workspace: Workspace) -> None:
    values = "model.C=1,0.9,1.1,0.000001"
    result = workspace.ok(
        *words(
            "model=linear",
            values.replace("model.C", "model.classification.C"),
            "sweep.prune=median",
            "sweep.prune_after=3",
            "cache=none",
        )
    )
    assert statuses(workspace) == ["finished"] * 3 + ["pruned"], result.out
    assert "pruned at fold 0" in result.out
    lgbm = ("model=lgbm", "model.min_child_samples=5", "fit.stop_rounds=60", "model.n_estimators=60")
    rates = "model.learning_rate=0.1,0.09,0.11,0.000001"
    result = workspace.ok(*words(*lgbm, rates, "sweep.prune=median", "sweep.prune_after=3", "cache=none"))
    assert "pruned at round 25 of lgbm" in result.out, result.out
    with workspace.store() as store:
        pruned = next(job for job in ledger(workspace)[1] if job["status"] == "pruned")
        assert store.run(pruned["run"])["status"] == "pruned"


def test_repeats_are_seeds_that_leave_folds_and_holdout_alone(workspace: Workspace) -> None:
    workspace.ok(*words("model=forest", "model.n_estimators=3,5", "sweep.repeats=2"))
    _, jobs = ledger(workspace)
    assert [(job["trial"], job["repeat"]) for job in jobs] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert len({job["split"] for job in jobs}) == 1
    assert jobs[0]["per_fold"] != jobs[1]["per_fold"]
    with workspace.store() as store:
        configs = [store.run(job["run"])["config"] for job in jobs]
    assert [config["seed"] for config in configs] == [0, 1, 0, 1]
    assert {config["splitter"]["seed"] for config in configs} == {0}


def test_a_search_learns_from_an_older_one(workspace: Workspace) -> None:
    search = ("model=linear", "sweep=bayes", "sweep.close=false", "sweep.prune=none")
    workspace.ok(*words(*search, "sweep.trials=4"))
    older, _ = ledger(workspace)
    result = workspace.ok(*words(*search, "sweep.trials=2", "sweep.warm_start=last"))
    assert "learned from 4 trials" in result.out
    result = workspace.ok("-m", "sweep.resume=last", "sweep.trials=3")
    assert f"learned from 4 trials of {older['id']}" in result.out, "the last one is the sweep itself by now"
    result = workspace.run(*words(*search, "sweep.trials=2", "sweep.warm_start=last", "goal.metric=log_loss"))
    assert result.code == 2
    assert "goal.metric: None there, log_loss here" in result.err


def test_a_resumed_sweep_runs_the_seeds_that_had_not_begun(workspace: Workspace) -> None:
    workspace.run(*words("model=odd", "model.mood=fails,good", "sweep.repeats=3", "sweep.fail_fast=true"))
    assert statuses(workspace) == ["failed"]
    project = workspace.folder / "mlframe_project.py"
    project.write_text(PROJECT.replace('"fails"', '"never"'), encoding="utf-8")
    result = workspace.run("-m", "sweep.resume=last", "sweep.repeats=2")
    assert result.code == 2
    assert "sweep.repeats: 3 then, 2 now" in result.err
    workspace.ok("-m", "sweep.resume=last")
    assert [(job["number"], job["trial"], job["repeat"], job["status"]) for job in ledger(workspace)[1]] == [
        (number, number // 3, number % 3, "finished") for number in range(6)
    ]


def test_a_grid_is_resumed_with_the_space_that_it_was_begun_with(workspace: Workspace) -> None:
    search = ("model=linear", "sweep=grid", "sweep.close=false")
    workspace.ok(*words(*search, "sweep.space.model.classification.C=[0.1,1]", "sweep.trials=1"))
    space = "sweep.space.model.classification.C=[1,2]"
    result = workspace.run("-m", "sweep.resume=last", space, "sweep.trials=2")
    assert result.code == 2
    assert "axis linear: model.classification.C: '0.1, 1, 3 points' then, '1, 2, 3 points' now" in result.err


@pytest.mark.parametrize("other", ["hydra/sweeper=basic", "hydra/launcher=turned"])
def test_hydras_own_launcher_and_sweeper_write_the_ledger_and_rank_the_right_way(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    from hydra._internal.core_plugins.basic_launcher import BasicLauncher
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins

    class Turned(BasicLauncher):
        """Another launcher."""

    place = ModuleType("hydra_plugins.turned")  # Hydra takes launchers of no other package
    place.Turned = Turned  # type: ignore[attr-defined]
    Turned.__module__, Turned.__qualname__ = place.__name__, "Turned"
    above = ModuleType("hydra_plugins")
    above.__path__, above.turned = [], place  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "hydra_plugins", above)
    monkeypatch.setitem(sys.modules, place.__name__, place)
    Plugins.instance().register(Turned)
    node = {"_target_": "hydra_plugins.turned.Turned"}
    ConfigStore.instance().store(group="hydra/launcher", name="turned", node=node)
    result = workspace.ok(*words("model=dummy,linear", other))
    sweep, jobs = ledger(workspace)
    assert [(job["number"], job["values"]["model"], job["status"]) for job in jobs] == [
        (0, "dummy", "finished"),
        (1, "linear", "finished"),
    ]
    assert re.search(r"1 ★\s+1\s+linear", result.out), result.out
    if other.startswith("hydra/sweeper"):
        refused = workspace.run("-m", "sweep.resume=last")
        assert refused.code == 2
        assert "sweep.resume needs mlframe's own sweeper" in refused.err
        refused = workspace.run(*words("model=linear", "sweep=random", "sweep.trials=2", other))
        assert refused.code == 2
        assert "sweep=random, sweep.trials needs" in refused.err
        return
    with workspace.store() as store:
        record = {key: value for key, value in jobs[1].items() if key not in ("number", "status")}
        store.put_sweep_job(sweep["id"], 1, "failed", record)
    workspace.ok("-m", f"sweep.resume={sweep['id']}")
    _, again = ledger(workspace)
    assert again[0] == jobs[0], "its number is not given to another job"
    assert (again[1]["status"], again[1]["score"]) == ("finished", jobs[1]["score"])


def test_a_plural_group_can_be_swept(workspace: Workspace) -> None:
    rest = [word for word in words("model=linear") if not word.startswith("evaluators")]
    workspace.ok(*rest, "reporters=[],[html]",
                 "evaluators=[classification]", "evaluators.classification.bootstrap=0")  # fmt: skip
    assert statuses(workspace) == ["finished", "finished"]


def test_a_tracker_that_fails_does_not_hide_the_leaderboard(workspace: Workspace) -> None:
    with (workspace.folder / "mlframe_project.py").open("a", encoding="utf-8") as file:
        file.write(
            "\n\nfrom mlframe.contracts import Tracker\n\n\n"
            "class Moody(Tracker):\n    def open(self, run):\n        raise RuntimeError('not today')\n\n"
            "    def figures(self, values):\n        pass\n\n    def close(self, status):\n        pass\n\n\n"
            "@hookimpl\ndef mlframe_trackers():\n"
            "    return [Component('moody', 'mlframe_project:Moody', 'Does not want to')]\n"
        )
    plain = [word for word in words("model=linear,dummy") if word != "trackers=[]"]
    result = workspace.ok(*plain, "trackers=[moody]")
    assert "1 ★" in result.out


@pytest.mark.slow
def test_the_time_of_a_sweep_ends_it_and_what_ran_is_no_failure(workspace: Workspace) -> None:
    result = workspace.ok(*words("model=odd", "model.mood=good,hangs", "sweep.timeout=25s"))
    assert "the time of the sweep is up" in result.out
    assert statuses(workspace) == ["finished", "waiting"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["model=linear", "sweep=bayes", "sweep.trials=0"], ["sweep.trials"]),
        (["model=linear", "sweep=bays"], ["'bays'", "'bayes'"]),
        (["model=linear", "sweep=grid", "sweep.space.model.classification.C=[]"], ["no values"]),
        (["model=linear", "sweep=grid", "sweep.space.model.classification.C={low: 2, high: 1}"], ["is empty"]),
        (
            ["model=linear", "sweep=grid", "sweep.space.model.classification.CC=[1]"],
            ["'model.classification.CC'", "'model.classification.C'"],
        ),
        (["model=linear", "sweep=grid", "sweep.space.model.classification.C=[1,-1]"], ["C", "-1"]),
        (["model=linear", "sweep=random", "sweep.timeout=soon"], ["Not a duration", "soon"]),
        (["model=dummy", "sweep=random"], ["nothing to search"]),
        (["model=linear", "model.classification.C=interval(0.1,1)"], ["is a range"]),
        (["model=linear", "sweep=grid", "goal.metric=roc_auk"], ["roc_auk", "'roc_auc'"]),
        (["model=linear", "seed=1,2", "sweep.repeats=2"], ["sweep.repeats"]),
        (["model=linear", "seed=1,x"], ["seed", "'x'"]),
        (["model=linear", "model.classification.C=1,-1"], ["C", "-1"]),
        (["model=linear", "goal.metric=roc_auc,log_loss"], ["by roc_auc", "by log_loss"]),
        (["model=linear", "sweep=random", "sweep.warm_start=last"], ["There is no sweep"]),
    ],
)
def test_a_search_that_cannot_be_is_refused_before_the_first_job(
    workspace: Workspace, more: list[str], told: list[str]
) -> None:
    result = workspace.run(*words(*more))
    assert result.code == 2, result.out + result.err
    assert "Traceback" not in result.err
    for text in told:
        assert text in result.err, result.err
    assert "job 0" not in result.out


def test_folds_larger_than_a_class_fail_each_job_in_words(workspace: Workspace) -> None:
    write_table(workspace.folder / "rows.csv", rows=30, flip=0.0)
    result = workspace.run(*words("model=linear,dummy", "splitter.folds=25", "splitter=stratified"))
    assert result.code == 1
    assert result.out.count("FAILED") == 4
    assert "folds" in result.out


def test_a_users_own_space_comes_first_and_serves_a_plugins_model(workspace: Workspace) -> None:
    space = workspace.folder / "conf" / "sweep" / "space"
    space.mkdir(parents=True)
    space.joinpath("odd.yaml").write_text("model:\n  C: [0.1, 1.0]\n", encoding="utf-8")
    workspace.ok(*words("model=odd", "sweep=grid", "sweep.close=false"))
    assert [job["values"] for job in ledger(workspace)[1]] == [{"model.C": 0.1}, {"model.C": 1.0}]
    space.joinpath("odd.yaml").write_text("model:\n  C: {low: 3, high: 1}\n", encoding="utf-8")
    result = workspace.run(*words("model=odd", "sweep=grid"))
    assert result.code == 2
    assert "odd.yaml" in result.err


def test_fifty_jobs_that_differ_in_the_model_only_share_all_that_comes_before_it(workspace: Workspace) -> None:
    """Steps are counted by a plugin's hook, featurizing by a featurizer of the project's own."""
    with (workspace.folder / "mlframe_project.py").open("a", encoding="utf-8") as file:
        file.write(COUNTING)
    values = ",".join(f"{number / 10:g}" for number in range(1, 51))
    small = ["splitter.folds=2", "featurizer=counted"]
    workspace.ok("-m", *own(Path("rows.csv")), *small, "model=linear", f"model.classification.C={values}")
    done = Counter((workspace.folder / "done.txt").read_text(encoding="utf-8").split())
    once = dict.fromkeys(("ingest", "verify", "label", "split"), 1)
    assert done == {**once, "featurized": 2, "fit": 50, "score": 50}
    _, jobs = ledger(workspace)
    assert [job["status"] for job in jobs] == ["finished"] * 50
    with workspace.store() as store:
        told = [store.run(job["run"])["summary"]["fitting"] for job in jobs]
    # Who comes first makes the features of all; what that costs is told of each, or the first would look slower.
    assert len({fitting["featurize_seconds"] for fitting in told}) == 1
