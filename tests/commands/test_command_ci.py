"""The workflow of a model: valid by GitHub's schema, careful, and of commands that really run, in order, from an empty folder."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mlframe.testing import make_table

WORDS = ("data=csv", "data.source.path=rows.csv", "data.columns.label.role=target", "name=made", "model=linear")
QUICK = ("experiment=quick", "evaluators=[classification]", "reporters=[]", "trackers=[]", "~task.steps.explore")
PATIENT = ("tests.endpoint.latency_ms=60000", "tests.endpoint.throughput=0.001")
FILE = Path(".github/workflows/made.yaml")


@pytest.fixture
def table(run_cli):
    make_table(300).frame.drop("__row__").write_csv("rows.csv")


def written(run_cli, *words: str) -> dict:
    done = run_cli("ci", *WORDS, *words)
    assert done.code == 0, done.err
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def commands(workflow: dict, job: str) -> list[str]:
    return [step["run"].strip() for step in workflow["jobs"][job]["steps"] if "run" in step]


@pytest.mark.parametrize("schema", ["vendor.github-workflows", "custom.github-workflows-require-timeout"])
def test_the_workflow_is_valid_by_its_schema(run_cli, schema):
    written(run_cli)
    check = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run([check, "--builtin-schema", schema, FILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    FILE.write_text(
        FILE.read_text().replace("runs-on: ubuntu-latest", "run-on: ubuntu-latest").replace("timeout", "time")
    )
    spoiled = subprocess.run([check, "--builtin-schema", schema, FILE], capture_output=True, text=True)
    assert spoiled.returncode != 0, "this check cannot fail"


def test_actions_are_pinned_and_permissions_least(run_cli):
    workflow = written(run_cli)
    assert workflow["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in workflow["jobs"].values())
    used = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", name) for name in used)
    checkouts = [s for job in workflow["jobs"].values() for s in job["steps"] if "checkout" in s.get("uses", "")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    for name in ("check", "trial"):  # what a pull request runs knows no secret
        assert "secrets" not in str(workflow["jobs"][name])
        assert "environment" not in workflow["jobs"][name]


def test_a_promotion_waits_for_everything_and_for_a_person(run_cli):
    jobs = written(run_cli)["jobs"]
    assert [job.get("needs") for job in jobs.values()] == [None, "check", "trial", "train"]
    assert jobs["promote"]["environment"] == "production"
    assert "pull_request" in jobs["promote"]["if"]
    assert "refs/heads/main" in jobs["train"]["if"]
    assert commands({"jobs": jobs}, "promote")[-1].startswith("python -m mlframe promote made@challenger")
    assert "gate.strict=true" in " ".join(commands({"jobs": jobs}, "train"))


def test_overrides_reach_the_shell_as_they_were_typed(run_cli):
    words = ('goal.problem="it\'s; rm -rf $HOME `x` & done"', "evaluators=[classification]")
    workflow = written(run_cli, *words)
    for job in ("check", "trial", "train"):
        for command in commands(workflow, job)[1:]:
            if "data=csv" in command:
                assert set(words) <= set(shlex.split(command))


@pytest.mark.slow
def test_the_commands_of_the_workflow_run_from_a_clean_folder(run_cli, table, capfd):
    """Those in the file are those that `--run` runs, and each does its part."""
    workflow = written(run_cli, *QUICK, *PATIENT)
    listed = run_cli("ci", *WORDS, *QUICK, *PATIENT, "--list").out
    for job in workflow["jobs"]:
        for command in commands(workflow, job)[1:]:
            assert command in listed.splitlines()
    done = run_cli("ci", *WORDS, *QUICK, *PATIENT, "--run")
    said = capfd.readouterr().out
    assert done.code == 0, done.out + said
    assert "made/1: passed" in said
    assert "300 rows, 11 columns (a sample: task.steps.ingest.sample)" in said
    assert "made/1 is made@challenger now" in said
    assert list(Path("dist").glob("*.whl"))
    assert "promote waits for an approval" in done.out
    assert "made/1" in run_cli("versions").out
    assert "champion" not in run_cli("versions").out
    assert run_cli("ci", *WORDS, *QUICK, "--run", "--jobs", "promote", "--approve").code == 0
    assert "champion" in run_cli("versions").out


@pytest.mark.slow
def test_what_fails_ends_it_with_its_code_and_nothing_is_promoted(run_cli, table, capfd):
    bad = run_cli("ci", *WORDS, *QUICK, *PATIENT, "tests.size_mb=0.0001", "--run")
    said = capfd.readouterr().out
    assert bad.code == 3
    assert "failed: test_size" in said
    assert "trial: 'Standard tests' ended with code 3; nothing after it was run" in bad.out
    assert "made@challenger" not in said
    # A gate that says no to all of the rows: the sample has no targets, so the trial passes.
    refused = run_cli("ci", *WORDS, *QUICK, *PATIENT, "goal.targets.log_loss=0.000001", "--run", "--jobs", "train")
    assert refused.code == 3
    assert "train: 'Train, judge, gate, test, register' ended with code 3" in refused.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("level=2",), "The workflow decides level itself"),
        (("store.root=x",), "The workflow decides store.root itself"),
        (("modle=lgbm",), "did you mean model?"),
        (("goal.problem=${{ secrets.X }}",), "${{"),
        (("--jobs", "trian", "--list"), "did you mean 'trial' or 'train'?"),
    ],
)
def test_mistakes_are_told(run_cli, words, said):
    done = run_cli("ci", *WORDS, *words)
    assert done.code == 2, done.out
    assert said in done.err
    assert not FILE.exists()


def test_a_file_of_somebody_else_is_left_alone(run_cli):
    FILE.parent.mkdir(parents=True)
    FILE.write_text("name: mine\n")
    done = run_cli("ci", *WORDS)
    assert done.code == 2
    assert "that mlframe has not written" in done.err
    assert FILE.read_text() == "name: mine\n"
    assert run_cli("ci", *WORDS, "--force").code == 0
    assert run_cli("ci", *WORDS).code == 0  # its own it may write again


def test_what_is_installed_is_what_the_project_says(run_cli):
    assert "pip install mlframe==" in commands(written(run_cli), "check")[0]
    Path("requirements.txt").write_text("mlframe\n")
    Path("tests").mkdir()
    Path("tests/test_own.py").write_text("def test_own():\n    pass\n")
    workflow = written(run_cli)
    assert commands(workflow, "check")[0] == "python -m pip install -r requirements.txt"
    assert commands(workflow, "check")[-1] == "python -m pytest tests"


def test_verify_reads_all_rows_and_learns_nothing(run_cli, table):
    good = run_cli("verify", *WORDS[:3])
    assert good.code == 0, good.err
    assert "verify" in good.out
    assert "fit " not in good.out
    bad = run_cli("verify", *WORDS[:3], "+data.schema={columns: {amount: {checks: {ge: 1000000}}}}")
    assert bad.code == 2
    sampled = run_cli("verify", *WORDS[:3], "task.steps.ingest.sample=40")
    assert "40 rows, 11 columns (a sample" in sampled.out
    assert run_cli("verify", *WORDS[:3], "task.steps.ingest.sample=0").code == 2
