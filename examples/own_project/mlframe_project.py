"""This project's own plugin: mlframe loads it from the working directory, under the name `project`."""

from __future__ import annotations

import json
from pathlib import Path

from mlframe import Component, UserError, hookimpl


@hookimpl
def mlframe_validators():
    """Offer the rules of tickets_schema.py: `validators=[pandera,tickets]`."""
    return [Component("tickets", "tickets_schema:TicketsValidator", "Rules of support tickets that need Python")]


@hookimpl
def mlframe_before_step(step):
    """Register nothing while the team has frozen releases, that is while a file FREEZE lies here."""
    if step == "register" and Path("FREEZE").exists():
        hint = "wait, or leave the step out: ~task.steps.register"
        raise UserError("Releases are frozen", value=Path("FREEZE").read_text().strip(), where="FREEZE", hint=hint)


@hookimpl
def mlframe_after_step(run, step, seconds, cached):
    """Keep how long each step took beside the run's other files."""
    _write(run.folder / "timeline.jsonl", {"step": step, "seconds": round(seconds, 3), "cached": cached})


@hookimpl
def mlframe_on_step_error(run, step, error):
    """Keep what failed where the team looks for it."""
    _write(Path("failures.jsonl"), {"run": run.id, "step": step, "error": str(error).splitlines()[0]})


@hookimpl
def mlframe_after_run(run, status):
    """Tell the team; a chat's webhook would be called here."""
    _write(Path("notices.jsonl"), {"run": run.id, "name": run.name, "task": run.task, "status": status})


def _write(file: Path, record: dict[str, object]) -> None:
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(record) + "\n")
