"""plan, why, --cfg, plugins, compare, doctor, tasks of one's own, steps of one's own, and events in order."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest
import yaml
from e2e_tools import Workspace, lines_of, own, write_table

PROJECT = '''
"""A step of one's own, and every event written down."""
import json
from importlib import resources
from pathlib import Path
from mlframe import Component, hookimpl
from mlframe.contracts import Step


class Count(Step):
    """Counts the rows."""

    summary = "counts the rows"
    reads = ()
    needs = ("verified",)
    gives = {"count": "json"}

    def __init__(self, least=1):
        self.least = least

    def run(self, context, **inputs):
        if len(inputs["verified"]) < self.least:
            raise RuntimeError("too few rows to count")
        context.say(f"counted {len(inputs['verified'])}")
        return {"count": {"rows": len(inputs["verified"])}}

    def summarize(self, **given):
        return {"counted": given["count"]["rows"]}


@hookimpl
def mlframe_steps():
    return [Component("count", "mlframe_project:Count", "Counts the rows")]


def note(**record):
    with Path("events.jsonl").open("a") as file:
        file.write(json.dumps(record) + "\\n")


@hookimpl
def mlframe_before_step(run, step):
    note(event="before", step=step)


@hookimpl
def mlframe_after_step(run, step, seconds, cached):
    note(event="after", step=step, cached=cached)


@hookimpl
def mlframe_on_step_error(run, step, error):
    note(event="error", step=step, text=str(error))


@hookimpl
def mlframe_after_run(run, status, summary):
    note(event="run", status=status, counted=summary.get("counted"))
'''

DATA_FILE = """# @package _global_
defaults:
  - /data/source: csv
  - _self_
data:
  source: {path: rows.csv}
  schema: null
  columns:
    label: {role: target}
goal:
  targets: {roc_auc: 0.6}
"""

TASK_FILE = """# Reads and counts.
name: tally
steps:
  # In any order: it follows from what steps need and give.
  count: {least: 10}
  verify: {}
  ingest: {}
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A project with a data file, a task file, a plugin of its own and two runs."""
    made = Workspace.make(tmp_path_factory.mktemp("commands"))
    write_table(made.folder / "rows.csv", flip=0.1)
    for name, text in (("data/mine", DATA_FILE), ("task/tally", TASK_FILE)):
        path = made.folder / "conf" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (made.folder / "mlframe_project.py").write_text(PROJECT, encoding="utf-8")
    made.ok(*TRAIN, "model=linear")
    made.ok(*TRAIN, "model=linear", "model.classification.C=0.02")
    return made


TRAIN = ("data=mine", "trackers=[]", "reporters=[]", "splitter.folds=3", "evaluators=[classification]")


def runs(workspace: Workspace) -> int:
    with workspace.store() as store:
        return len(store.runs(limit=1000))


# ------------------------------------------------------------------------------------------------ plan


def planned(out: str) -> dict[str, str]:
    """Return each step's last word in a plan: `cached` or `runs`."""
    return dict(re.findall(r"^ ?(\w+) .*\b(cached|runs) *$", out, flags=re.MULTILINE))


def test_plan_trains_nothing_and_names_what_the_cache_answers(workspace: Workspace) -> None:
    before = runs(workspace)
    same = planned(workspace.ok("plan", *TRAIN, "model=linear").out)
    assert {name for name, word in same.items() if word == "runs"} == {"gate", "register", "report"}
    other = planned(workspace.ok("plan", *TRAIN, "model=linear", "model.classification.C=3.0").out)
    assert {name for name, word in other.items() if word == "cached"} == {
        "ingest",
        "verify",
        "label",
        "split",
        "explore",
        "assess",
    }
    assert runs(workspace) == before
    # What a plan says is what a run does.
    done = workspace.ok(*TRAIN, "model=linear", "model.classification.C=3.0").steps()
    assert {name: word == "cached" for name, word in done.items() if name in other} == {
        name: word == "cached" for name, word in other.items()
    }


def test_plan_in_an_empty_folder_makes_no_run(tmp_path: Path) -> None:
    workspace = Workspace.make(tmp_path / "work")
    result = workspace.ok("plan", "data=churn", "model=lgbm")
    assert set(planned(result.out).values()) == {"runs"}
    assert "1 job planned, no mistake found, nothing trained" in result.out
    assert runs(workspace) == 0


def test_plan_finds_the_mistakes_of_every_job(workspace: Workspace) -> None:
    words = ["plan", "-m", *TRAIN, "model=lgbm", "model.num_leaves=4,-3", "model.learning_rate=0.1,-1.0"]
    result = workspace.run(*words)
    assert result.code == 2
    assert "num_leaves" in result.err
    assert "learning_rate" in result.err
    assert "3 jobs planned" in workspace.ok("plan", "-m", *TRAIN, "model=lgbm,linear,dummy").out


def test_plan_reads_a_sample(workspace: Workspace) -> None:
    out = workspace.ok("plan", *TRAIN).out
    assert re.search(r"x1\s+feature\s+numeric\s+Float64\s+inferred", out), out
    assert re.search(r"label\s+target", out)
    refused = workspace.run("plan", *TRAIN, "data.columns.nosuch.role=id")
    assert refused.code == 2
    assert "'nosuch'" in refused.err


# ------------------------------------------------------------------------------------------------ why and --cfg


def test_why_names_file_override_and_what_was_replaced(workspace: Workspace) -> None:
    out = workspace.ok("why", "model.learning_rate", *TRAIN, "model=lgbm", "model.learning_rate=0.33").out
    line = next(line for line in out.splitlines() if "model.learning_rate" in line)
    assert "0.33" in line
    assert "model.learning_rate=0.33" in line  # set by this override
    assert "model/lgbm" in line  # and what this file had said
    default = workspace.ok("why", "seed", *TRAIN).out
    assert "mlframe_root" in default
    target = workspace.ok("why", "goal.targets.roc_auc", *TRAIN).out
    assert "data/mine" in target
    wrong = workspace.run("why", "model.lerning_rate", *TRAIN, "model=lgbm")
    assert wrong.code == 2
    assert "learning_rate" in wrong.err


def test_a_file_of_ones_own_that_replaces_a_shipped_one_is_shown(tmp_path: Path) -> None:
    workspace = Workspace.make(tmp_path / "work")
    write_table(workspace.folder / "rows.csv", rows=80)
    path = workspace.folder / "conf" / "model" / "dummy.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("name: dummy\nclassification: {strategy: stratified}\nrandom_state: ${seed}\n", encoding="utf-8")
    words = [*own(Path("rows.csv")), "model=dummy"]
    replaced = "conf/model/dummy.yaml of this folder replaces the shipped"
    assert replaced in workspace.ok("why", "model.classification.strategy", *words).out
    assert replaced in workspace.ok(*words).out
    assert workspace.last()["config"]["model"]["classification"]["strategy"] == "stratified"


def test_in_a_checkout_the_folder_conf_replaces_nothing(tmp_path: Path) -> None:
    workspace = Workspace.make(tmp_path / "work")
    (workspace.folder / "conf").symlink_to(Path(str(resources.files("mlframe.conf"))))
    assert "replaces" not in workspace.ok("why", "seed", "data=churn").out


def test_cfg_prints_the_config_and_runs_nothing(workspace: Workspace) -> None:
    before = runs(workspace)
    found = yaml.safe_load(workspace.ok("--cfg", *TRAIN, "model=lgbm", "seed=3").out)
    assert found["model"]["name"] == "lgbm"
    assert found["seed"] == 3
    assert found["goal"]["targets"] == {"roc_auc": 0.6}
    assert "hydra" not in found
    assert runs(workspace) == before


# ------------------------------------------------------------------------------------------------ plugins, compare, doctor


def test_plugins_lists_and_shows(workspace: Workspace) -> None:
    out = workspace.ok("plugins").out
    for words in ("project", "step/count", "model/lgbm", "data/source/csv", "trackers/wandb"):
        assert words in out
    shown = workspace.ok("plugins", "show", "model/lgbm").out
    assert re.search(r"num_leaves\s+int\s+31", shown), shown
    wrong = workspace.run("plugins", "show", "model/lgmb")
    assert wrong.code == 2
    assert "'lgbm'" in wrong.err
    without = workspace.ok("plugins", "plugins.block=[project]").out
    assert "step/count" not in without
    assert "blocked" in without


def test_compare_shows_what_differs_and_says_what_does_not(workspace: Workspace) -> None:
    with workspace.store() as store:
        second, first = [run["id"] for run in store.runs(limit=1000)][-2:]
    out = workspace.ok("compare", first, second).out
    line = next(line for line in out.splitlines() if "model.classification.C" in line)
    assert "1.0" in line
    assert "0.02" in line
    for part in ("data: equal", "code: equal", "environment: equal"):
        assert part in out
    assert "holdout roc_auc" in out
    assert "seed" not in out.partition("metrics")[0]


def test_doctor_is_well_here_and_names_what_is_broken(workspace: Workspace, tmp_path: Path) -> None:
    well = workspace.ok("doctor")
    assert "all is well" in well.out
    broken = Workspace.make(tmp_path / "broken")
    (broken.folder / "mlframe_project.py").write_text("import nosuchlibrary\n", encoding="utf-8")
    ill = broken.run("doctor")
    assert ill.code == 1
    assert "nosuchlibrary" in ill.out
    assert "1 problem found" in ill.out


# ------------------------------------------------------------------------------------------------ tasks, steps, events


def events(workspace: Workspace) -> list[tuple[str, str]]:
    path = workspace.folder / "events.jsonl"
    told = lines_of(path)
    path.unlink()
    return [(record["event"], record.get("step") or record["status"]) for record in told]


def test_a_task_of_ones_own_runs_a_step_of_ones_own_and_tells_its_events(workspace: Workspace) -> None:
    (workspace.folder / "events.jsonl").unlink(missing_ok=True)
    result = workspace.ok("tally", "data=mine", "trackers=[]", "cache=none")
    assert "counted 160" in result.out
    run = workspace.last()
    assert (run["task"], run["summary"]["counted"]) == ("tally", 160)
    expected = [(event, step) for step in ("ingest", "verify", "count") for event in ("before", "after")]
    assert events(workspace) == [*expected, ("run", "finished")]

    workspace.ok("task=tally", "data=mine", "trackers=[]")
    events(workspace)
    cached = workspace.ok("tally", "data=mine", "trackers=[]")
    assert {cached.steps()[step] for step in ("ingest", "verify", "count")} == {"cached"}
    assert workspace.last()["summary"]["counted"] == 160
    assert events(workspace) == [("after", "ingest"), ("after", "verify"), ("after", "count"), ("run", "finished")]


def test_a_failing_step_tells_its_event_before_the_end_and_keeps_the_traceback(workspace: Workspace) -> None:
    (workspace.folder / "events.jsonl").unlink(missing_ok=True)
    result = workspace.run("tally", "data=mine", "trackers=[]", "task.steps.count.least=1000")
    assert result.code == 1
    assert "The step count failed: RuntimeError: too few rows to count" in result.err
    assert "plugin 'project'" in result.err
    assert "Traceback" not in result.err
    told = events(workspace)
    assert told[-3:] == [("before", "count"), ("error", "count"), ("run", "failed")]
    run = workspace.last()
    assert run["status"] == "failed"
    log = workspace.folder / ".mlframe" / "runs" / run["id"] / "error.log"
    assert "too few rows to count" in log.read_text(encoding="utf-8")
    assert 'mlframe_project.py", line' in log.read_text(encoding="utf-8")


def test_a_mistake_in_a_steps_options_is_found_before_anything_runs(workspace: Workspace) -> None:
    before = runs(workspace)
    result = workspace.run("tally", "data=mine", "trackers=[]", "+task.steps.count.most=3")
    assert result.code == 2
    assert "no parameter 'most'" in result.err
    assert runs(workspace) == before


def test_tasks_of_ones_own_stand_in_the_help(workspace: Workspace) -> None:
    assert "tally" in workspace.ok("--help").out
    wrong = workspace.run("tallly", "data=mine")
    assert wrong.code == 2
    assert "'tally'" in wrong.err


def test_a_step_that_is_missing_is_named_with_the_step_to_add(workspace: Workspace) -> None:
    result = workspace.run("tally", "data=mine", "trackers=[]", "~task.steps.verify")
    assert result.code == 2
    assert "verify" in result.err
