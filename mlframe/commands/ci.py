"""Writes continuous integration and delivery of a model, or runs it here."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mlframe.errors import UserError
from mlframe.operating.workflow import MARK, Job, jobs, pick, workflow

SUMMARY = "write a GitHub Actions workflow of the model: check, try, train, promote with approval; --run runs it here"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--output", metavar="FILE", help="the file (default .github/workflows/NAME.yaml; - prints it)")
    parser.add_argument("--force", action="store_true", help="write over a file that mlframe has not written")
    parser.add_argument("--list", action="store_true", help="print the commands")
    parser.add_argument("--run", action="store_true", help="run the commands here, up to what needs an approval")
    parser.add_argument("--jobs", metavar="JOB,JOB", default="", help="with --run and --list: these jobs only")
    parser.add_argument("--approve", action="store_true", help="with --run: also what needs an approval")
    parser.add_argument("--sample", metavar="ROWS", type=int, default=1000, help="rows of the trial (default 1000)")
    parser.add_argument("--install", metavar="COMMAND", help="how the workflow installs what it needs")


def run(arguments: argparse.Namespace) -> int:
    """Compose the config, so that a mistake is told now, then write, list or run.

    Returns:
        0, or the code of the command that failed.
    """
    door = arguments.door
    name = str(door.compose().resolved["name"])
    tests = any((door.folder / "tests").glob("**/test_*.py"))
    planned = jobs(name, door.overrides, sample=arguments.sample, tests=tests)
    wanted = pick(planned, [word for word in arguments.jobs.split(",") if word])
    if arguments.list:
        for job in wanted:
            print(f"# {job.name}: {job.summary}{' (needs an approval)' if job.approved else ''}")
            print("\n".join(step.command for step in job.steps))
        return 0
    if arguments.run:
        return _run(wanted, door.folder, approved=arguments.approve)
    command = " ".join(["python -m mlframe ci", shlex.join(door.overrides)])
    text = workflow(name, planned, install=arguments.install or _install(door.folder), command=command)
    if arguments.output == "-":
        print(text, end="")
        return 0
    file = Path(arguments.output or Path(".github", "workflows", f"{name}.yaml"))
    _write(door.folder / file, text, force=arguments.force)
    print(f"{file}: {', '.join(job.name for job in planned)}")
    print("commit it; a person approves promotions once the environment 'production' has required reviewers")
    return 0


def _write(file: Path, text: str, *, force: bool) -> None:
    if file.is_file() and not force and not file.read_text(encoding="utf-8").startswith(MARK):
        raise UserError(
            "There is a file that mlframe has not written",
            value=str(file),
            where="--output",
            hint="name another one with --output, or write over it with --force",
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)


def _install(folder: Path) -> str:
    """Return how a project says what it needs: requirements.txt, pyproject.toml, or mlframe alone."""
    from mlframe import __version__

    if (folder / "requirements.txt").is_file():
        return "python -m pip install -r requirements.txt"
    if (folder / "pyproject.toml").is_file():
        return "python -m pip install ."
    return f"python -m pip install mlframe=={__version__}"


def _run(planned: Sequence[Job], folder: Path, *, approved: bool) -> int:
    """Run each command with this interpreter; the first that fails ends it."""
    here = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": os.pathsep.join([here, os.environ.get("PATH", "")])}
    took: list[tuple[str, str, float]] = []
    for job in planned:
        if job.approved and not approved:
            print(f"\n{job.name} waits for an approval; to give it:", flush=True)
            print("\n".join(f"  {step.command}" for step in job.steps))
            continue
        for step in job.steps:
            print(f"\n==> {job.name}: {step.name}\n    {step.command}", flush=True)
            began = time.monotonic()
            # A shell, as in the workflow; every override is quoted.
            code = subprocess.run(step.command, shell=True, cwd=folder, env=environment, check=False).returncode
            took.append((job.name, step.name, time.monotonic() - began))
            if code:
                print(f"\n{job.name}: {step.name!r} ended with code {code}; nothing after it was run", flush=True)
                return code if code > 0 else 1
    print("\n" + "\n".join(f"{seconds:6.1f} s  {job}: {name}" for job, name, seconds in took))
    return 0
