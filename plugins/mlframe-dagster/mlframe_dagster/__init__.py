"""Dagster runs mlframe: a task's steps are assets, with schedules and drift sensors.

    from mlframe_dagster import definitions

    defs = definitions(["data=email", "model=lgbm"], task="update", cron="0 3 * * 1", on_alarms=["drift"])

See https://docs.dagster.io/guides/build/assets for assets, jobs, schedules and sensors.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg  # it reads annotations when it runs: they stay what they are, and are no text

from mlframe.config.monitor import watched
from mlframe.door import USER, Door
from mlframe.errors import ConfigError, StoreError
from mlframe.operating.child import end
from mlframe.operating.schedule import Cron, parse_schedule
from mlframe.operating.triggers import Drift, Situation
from mlframe.runner.order import PlannedStep, plan_steps

__all__ = ["definitions"]
__version__ = "0.1.0"

LOOK_SECONDS = 1.0
"""So often one looks which steps are done."""
TOLD = 4000
"""So many of the last characters of what a run said are shown."""


def definitions(
    overrides: Sequence[str],
    *,
    task: str = "train",
    cron: str | None = None,
    on_alarms: Sequence[str] = (),
    folder: Path | str | None = None,
) -> dg.Definitions:
    """Return a task's steps as assets, a job that materialises them, and what starts it.

    Args:
        overrides: what the task is called with on the command line, such as `["data=email", "model=lgbm"]`.
        task: the task, such as `train`, `update` or `monitor`.
        cron: when the job runs by itself: a crontab line in UTC, such as `0 3 * * 1`; None for no schedule.
        on_alarms: monitors, such as `drift`, whose open problems start the job; empty for no sensor. Those of the prediction log
            count, or with `monitor.rows=source` among the overrides those of the data's source.
        folder: the project's folder; None takes the working directory.

    Returns:
        Definitions of one task; `dagster.Definitions.merge` puts several together.

    Raises:
        MlframeError: the config has mistakes; they are named before Dagster runs anything.
    """
    place = Path(folder or Path.cwd()).resolve()
    door = Door([f"task={task}", *overrides], folder=place)
    config = door.compose().resolved
    if not config["name"]:
        raise ConfigError("Assets need a name", where="name", hint="pick data=…, or set name=…")
    name = str(config["name"])
    label = re.sub(r"\W", "_", f"{name}_{task}")
    planned = plan_steps(door.plugins, config["task"])
    job = dg.define_asset_job(label, selection=dg.AssetSelection.groups(label))
    schedules = []
    if cron is not None:
        if not isinstance(parse_schedule(cron, where="cron"), Cron):
            raise ConfigError("Dagster wants a crontab line", value=cron, where="cron", hint="such as '0 3 * * 1'")
        schedules.append(
            dg.ScheduleDefinition(
                name=f"{label}_schedule",
                job=job,
                cron_schedule=cron,
                execution_timezone="UTC",
                default_status=dg.DefaultScheduleStatus.RUNNING,
            )
        )
    for monitor in on_alarms:
        door.plugins.registry.get("monitors", monitor, where="on_alarms")
    sensors = [_sensor(label, job, door, config, tuple(on_alarms))] if on_alarms else []
    steps = _assets(label, dg.AssetKey([name, task]), planned, door, config)
    return dg.Definitions(assets=[steps], jobs=[job], schedules=schedules, sensors=sensors)


def _assets(
    label: str, prefix: dg.AssetKey, planned: Sequence[PlannedStep], door: Door, config: Any
) -> dg.AssetsDefinition:
    """Return one definition for all assets: a task is one process, which keeps artifacts in memory between steps."""
    keys = {item.name: dg.AssetKey([*prefix.path, item.name]) for item in planned}
    specs = [
        dg.AssetSpec(
            keys[item.name],
            deps=[keys[step] for step in _before(item, planned)],
            group_name=label,
            description=item.step.summary,
            kinds={"mlframe"},
        )
        for item in planned
    ]

    @dg.multi_asset(name=f"{label}_steps", specs=specs)
    def steps(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        """Run the task in a process of its own; each step is materialised when it is done."""
        group = f"dagster-{context.run.run_id}"
        told: set[str] = set()
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "mlframe", *door.overrides, f"group={group}"],
                cwd=door.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,  # Dagster's interrupt is for this process, which ends the other in good order
            )
            try:
                while process.poll() is None:
                    time.sleep(LOOK_SECONDS)
                    with suppress(StoreError):  # it is being made, or busy: the next look tells
                        yield from _done(door, config, group, keys, told)
            finally:
                end(process)
            yield from _done(door, config, group, keys, told)
            said, wrong = (_last(file) for file in (out, err))
        context.log.info(said)
        if process.returncode:
            facts = {"exit code": process.returncode, "command": f"python -m mlframe {' '.join(door.overrides)}"}
            # A mistake of the user's stays one, however often it is tried.
            raise dg.Failure(wrong or said, metadata=facts, allow_retries=process.returncode != USER)

    return steps


def _before(item: PlannedStep, planned: Sequence[PlannedStep]) -> list[str]:
    """Return the steps that give what a step needs."""
    givers = {given: other.name for other in planned for given in other.step.gives}
    return sorted({givers[need] for need in (*item.step.needs, *item.step.needs_if_present) if need in givers})


def _done(
    door: Door, config: Any, group: str, keys: dict[str, dg.AssetKey], told: set[str]
) -> Iterator[dg.MaterializeResult[Any]]:
    """Return steps that are done and were not told of, with the run, the seconds, and whether the cache answered."""
    if not _has_store(door, config):
        return
    with door.open_store(config) as store:
        runs = store.runs(group=group, limit=1)
        records = store.steps(runs[0]["id"]) if runs else []
    for record in records:
        if record["status"] == "finished" and record["step"] not in told:
            told.add(record["step"])
            facts = {"run": runs[0]["id"], "seconds": float(record["seconds"]), "cached": bool(record["cached"])}
            yield dg.MaterializeResult(asset_key=keys[record["step"]], metadata=facts)


def _sensor(label: str, job: Any, door: Door, config: Any, monitors: tuple[str, ...]) -> dg.SensorDefinition:
    rule = Drift(monitors=monitors)
    name = str(config["name"])

    @dg.sensor(
        name=f"{label}_alarms",
        job=job,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def alarms(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        """Ask for a run as `operate` would: a problem about the champion is open and was seen since the last update."""
        situation = _situation(door, config, name)
        if situation is None:
            return dg.SkipReason(f"{name} has no champion yet")
        fired = rule.fires(situation)
        if fired is None:
            return dg.SkipReason(f"no open problem of {', '.join(monitors)} since {situation.last:%Y-%m-%d %H:%M}")
        first = fired.evidence["alarms"][0]
        # Dagster starts one run a key: one for an alarm after each update, tried again the next day if it came to nothing.
        key = f"{first} since {situation.last.isoformat()}, {situation.now.date().isoformat()}"
        return dg.RunRequest(run_key=key, tags={"mlframe/alarm": first, "mlframe/why": fired.text})

    return alarms


def _situation(door: Door, config: Any, name: str) -> Situation | None:
    """Return what is known of a model's alarms; None where it has no champion."""
    if not _has_store(door, config):
        return None
    with door.open_store(config) as store:
        if store.holder(name) is None:
            return None
        champion = store.version(f"{name}@champion")
        updated = store.operations.get(name)["record"].get("updated")
        return Situation(
            now=datetime.now(UTC),
            trained=datetime.fromisoformat(str(champion["created"])),
            updated=datetime.fromisoformat(updated) if updated else None,
            champion=champion["reference"],
            alarms=store.alarms.many(name, source=watched(config), status=["open"]),
        )


def _has_store(door: Door, config: Any) -> bool:
    """Whether the store is there; one at an address is taken to be."""
    root, url = door.store_place(config)
    return url is not None or "://" in root or os.path.isdir(root)


def _last(file: Any) -> str:
    file.seek(0)
    return str(file.read()[-TOLD:]).strip()
