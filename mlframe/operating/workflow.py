"""Continuous integration and delivery of a model as data: jobs of plain commands, and the GitHub Actions workflow of them.

The commands are the same everywhere: a person types them, `mlframe ci --run` runs them in order, the workflow's jobs do.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import indent

from mlframe.errors import ConfigError, UnknownNameError

__all__ = ["ACTIONS", "MARK", "Job", "Step", "jobs", "pick", "workflow"]

ACTIONS = {
    "actions/checkout": ("11bd71901bbe5b1630ceea73d27597364c9af683", "v4.2.2"),
    "actions/setup-python": ("a26af69be951a213d495a4c3e4e4022e16d87065", "v5.6.0"),
    "actions/upload-artifact": ("ea165f8d65b6e75b540449e92b4886f43607fa02", "v4.6.2"),
}
"""Actions that the workflow uses: the commit that is run, and the tag that it had. A tag can be moved, a commit cannot."""

MARK = "# Written by: python -m mlframe ci"
"""Begins every workflow of ours, so that no other file is written over."""

TRIAL = "store.root=.mlframe-ci"
"""The store of what is tried on a sample: it lies beside the team's and is thrown away."""

PYTHON = "3.12"
MINUTES = {"check": 15, "trial": 30, "train": 360, "promote": 15}


@dataclass(frozen=True)
class Step:
    """One command.

    Args:
        name: what it does.
        command: a line for a shell; `python` is the interpreter that mlframe is installed for.
    """

    name: str
    command: str


@dataclass(frozen=True)
class Job:
    """Steps that run one after the other on one machine.

    Args:
        name: one of check, trial, train, promote.
        summary: what it is for.
        steps: the commands.
        needs: the job before it.
        delivers: whether it changes what others see: it runs on the main branch only, and may know the team's store.
        approved: whether a person must agree first.
        keeps: files that are kept with the workflow's run.
    """

    name: str
    summary: str
    steps: Sequence[Step]
    needs: str | None = None
    delivers: bool = False
    approved: bool = False
    keeps: str | None = None


def jobs(name: str, overrides: Sequence[str], *, sample: int = 1000, tests: bool = False) -> list[Job]:
    """Return the jobs of a model.

    Args:
        name: name of the registered model.
        overrides: what its training is called with.
        sample: rows of the trial.
        tests: whether the project has tests of its own in `tests/`.

    Raises:
        ConfigError: an override decides what the jobs decide themselves.
    """
    for word in overrides:
        key = word.lstrip("+~").partition("=")[0]
        if key in ("task", "level") or key.startswith(("store.", "level.")):
            raise ConfigError(
                f"The workflow decides {key} itself",
                value=word,
                where="command line",
                hint="leave it out; the store of a team comes from MLFRAME_HOME and MLFRAME_STORE_URL",
            )
        if "${{" in word:
            raise ConfigError(
                "GitHub would put something else in the place of ${{ … }}",
                value=word,
                where="command line",
                hint="write the value itself, or edit the workflow after it was written",
            )
    words = shlex.join(overrides)
    # The training's own steps mean nothing to other tasks.
    data = shlex.join(word for word in overrides if not word.lstrip("+~").startswith("task."))
    one = f"python -m mlframe {words}".rstrip()
    trial = f"{one} '~goal.targets' task.steps.ingest.sample={sample} level=0 trackers=[] {TRIAL}"
    own = [Step("The project's own tests", "python -m pytest tests")] if tests else []
    return [
        Job(
            "check",
            "config, plan and data, before anything is learned",
            [
                Step("Lint the config: every key, name and parameter", f"{one} --cfg"),
                Step("Plan: bind every component, look at a sample", f"python -m mlframe plan {words}".rstrip()),
                Step("Verify all of the data", f"python -m mlframe verify {data}".rstrip()),
                *own,
            ],
        ),
        Job(
            "trial",
            "the whole pipeline on a sample, and what a version must keep to",
            [
                Step(f"Train on a sample of {sample:,} rows", trial),
                Step("Standard tests", f"python -m mlframe test {name}@latest {TRIAL}"),
                Step(
                    "Integration tests behind a staged endpoint",
                    f"python -m mlframe test {name}@latest --staged {TRIAL}",
                ),
            ],
            needs="check",
        ),
        Job(
            "train",
            "all rows; gate, standard and integration tests decide whether there is a challenger",
            [
                Step("Train, judge, gate, test, register", f"{one} level=2 gate.strict=true"),
                Step(
                    "Build the package of the challenger",
                    f"python -m mlframe deploy {data} deployer=package version=challenger output=dist".replace(
                        "  ", " "
                    ),
                ),
            ],
            needs="trial",
            delivers=True,
            keeps="dist/*.whl",
        ),
        Job(
            "promote",
            "the challenger answers callers, once a person has agreed",
            [Step("Promote", f"python -m mlframe promote {name}@challenger --why 'approved in continuous delivery'")],
            needs="train",
            delivers=True,
            approved=True,
        ),
    ]


def workflow(name: str, planned: Sequence[Job], *, install: str, command: str) -> str:
    """Return the GitHub Actions workflow.

    Args:
        name: name of the registered model.
        planned: what `jobs` gave.
        install: the command that installs what the jobs need.
        command: the command that writes this file.
    """
    head = f"""\
{MARK}
#
#   {command}
#
# A pull request is checked and tried on a sample. On the main branch all rows are trained on, and a person approves the
# promotion: set required reviewers for the environment `production` (Settings, Environments). The team's store is named
# there too, by the variable MLFRAME_HOME (s3://bucket/team) and the secret MLFRAME_STORE_URL (postgresql+psycopg://…), and
# in an environment `training` for the job before it. On your own machine: the same commands, `python -m mlframe ci --run`.
# Syntax: https://docs.github.com/actions/reference/workflow-syntax-for-github-actions
name: "{name}"

on:
  pull_request:
  push:
    branches: [main]
  workflow_dispatch:

# Nothing may be written to the repository.
permissions:
  contents: read

# Two trainings of one model never race for its aliases.
concurrency:
  group: mlframe-{name}-${{{{ github.ref }}}}
  cancel-in-progress: false

env:
  WANDB_MODE: offline

jobs:
"""
    return head + "\n".join(_job(job, install) for job in planned)


def _job(job: Job, install: str) -> str:
    lines = [f"  {job.name}:", f"    # {job.summary[0].upper()}{job.summary[1:]}."]
    if job.needs:
        lines.append(f"    needs: {job.needs}")
    if job.delivers:
        lines.append("    if: github.event_name != 'pull_request' && github.ref == 'refs/heads/main'")
    lines += ["    runs-on: ubuntu-latest", f"    timeout-minutes: {MINUTES[job.name]}"]
    if job.delivers:
        environment = "production" if job.approved else "training"
        lines += [f"    environment: {environment}", "    env:", "      MLFRAME_HOME: ${{ vars.MLFRAME_HOME }}"]
        lines.append("      MLFRAME_STORE_URL: ${{ secrets.MLFRAME_STORE_URL }}")
    lines.append("    steps:")
    lines += _uses("actions/checkout", {"persist-credentials": "false"})
    lines += _uses("actions/setup-python", {"python-version": f'"{PYTHON}"'})
    lines += _run(Step("Install", install))
    for step in job.steps:
        lines += _run(step)
    if job.keeps:
        lines += _uses("actions/upload-artifact", {"name": "package", "path": job.keeps, "if-no-files-found": "error"})
    return "\n".join(lines) + "\n"


def _uses(action: str, given: dict[str, str]) -> Iterator[str]:
    commit, tag = ACTIONS[action]
    yield f"      - uses: {action}@{commit} # {tag}"
    yield "        with:"
    for key, value in given.items():
        yield f"          {key}: {value}"


def _run(step: Step) -> Iterator[str]:
    yield f'      - name: "{step.name}"'
    yield "        run: |"
    yield indent(step.command, " " * 10)


def pick(planned: Sequence[Job], names: Sequence[str]) -> list[Job]:
    """Return the jobs of these names, all for none.

    Raises:
        UnknownNameError: there is no such job.
    """
    known = [job.name for job in planned]
    for name in names:
        if name not in known:
            raise UnknownNameError.from_name("job", name, known, where="--run")
    return [job for job in planned if not names or job.name in names]
