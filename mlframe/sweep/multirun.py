"""A multirun: planned, run by workers or by a Hydra launcher, written into the ledger, concluded."""

from __future__ import annotations

import importlib
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe.errors import ConfigError, MlframeError, Problems
from mlframe.sweep.plan import Question, SweepPlan, plan_sweep
from mlframe.sweep.pool import Pool

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mlframe.door import Door
    from mlframe.sweep.worker import Worker

_ENV = "MLFRAME_MULTIRUN"
OURS = ("trials", "timeout", "repeats", "workers", "job_timeout", "job_memory", "fail_fast", "prune", "warm_start")
"""Settings of a sweep that Hydra's own sweeper knows nothing of."""


def multirun(door: Door) -> int:
    """Run every job, show the leaderboard, and train the winner for good where the sweep says so.

    Returns:
        0 when every job came through, else 1.

    Raises:
        Problems: mistakes that the first job of any choice would make, found before the first job starts.
    """
    from mlframe.runner.limits import collect_garbage
    from mlframe.sweep.conclude import conclude

    collect_garbage()
    resumed = take_up(door)
    only = list(door.only) if door.only is not None else None
    with Pool({"block": list(door.block), "only": only, "folder": str(door.folder)}) as pool:
        plan = plan_sweep(door, partial(look, pool))
        refuse_plain(door, plan, again=resumed is not None)
        config = plan.first.resolved
        with door.open_store(config, create=True) as store:
            sweep, older = begin(door, store, plan, resumed)
            try:
                run(door, store, sweep, plan, pool, older=older, again=resumed is not None)
            except KeyboardInterrupt:
                store.update_sweep(sweep, "interrupted")
                print(f"to go on: python -m mlframe -m {shlex.join(['sweep.resume=' + sweep])}", flush=True)
                raise
            except BaseException:
                store.update_sweep(sweep, "failed")
                raise
    with door.open_store(config) as store:
        return conclude(door, store, sweep, plan)


def look(pool: Pool, plan: SweepPlan, questions: Sequence[Question]) -> list[MlframeError]:
    """Let a worker check the components, and load meanwhile what this process needs later."""
    answered = pool.check(questions)
    plan.sampler()
    importlib.import_module("mlframe.store.store")
    importlib.import_module("mlframe.sweep.sweeper")
    return answered()


def begin(door: Door, store: Any, plan: SweepPlan, resumed: Mapping[str, Any] | None) -> tuple[str, str | None]:
    """Open the ledger of a new sweep, or take a begun one up.

    Returns:
        The sweep's id, and that of the sweep that its search learns from.

    Raises:
        ConfigError: the begun sweep belongs to another project or config.
        StoreError: another process works on it.
    """
    config = plan.first.resolved
    record = {
        "command": list(door.overrides),
        "sampler": plan.settings["name"],
        "fingerprint": fingerprint(config, plan),
        "warm_start": None,
        "closing": None,
    }
    if resumed is None:
        record["warm_start"] = older_sweep(store, record)  # before this one is the last
        return store.start_sweep(config["name"], record), record["warm_start"]
    refuse_other(resumed, record)
    store.claim_sweep(resumed["id"])
    return str(resumed["id"]), resumed["warm_start"]


def run(door: Door, store: Any, sweep: str, plan: SweepPlan, pool: Pool, *, older: str | None, again: bool) -> None:
    """Run the jobs through Hydra, whose sweeper and launcher the config may pick.

    Args:
        door: plugins and working directory.
        store: the open store.
        sweep: id of the sweep.
        plan: what is to be done.
        pool: the workers.
        older: id of a sweep that the search learns from.
        again: whether the sweep was begun before.

    Raises:
        ConfigError: Hydra could not run the sweep.
    """
    from mlframe.contracts.amounts import parse_duration, parse_size
    from mlframe.sweep.engine import Engine
    from mlframe.sweep.sweeper import MlframeSweeper

    engine = Engine(store, sweep, plan.recipe, plan.sampler(), plan.budget())
    node = plan.settings
    if older is not None:
        learned = engine.learn(store.sweep_jobs(older))
        print(f"the search has learned from {learned} trials of {older}")
    kept = engine.resume() if again else 0
    print(f"multirun {sweep}: {headline(plan, kept)}", flush=True)
    raised: list[BaseException] = []

    def go(launcher: Any) -> None:
        try:
            if launcher is not None:
                launch(launcher, engine, plan, sweep)
                return
            pool.seconds = parse_duration(node["job_timeout"], where="sweep.job_timeout")
            pool.memory = parse_size(node["job_memory"], where="sweep.job_memory")
            pool.grow(node["workers"])
            engine.run(pool)
        except BaseException as error:  # Hydra would print it in its own way
            raised.append(error)

    pool.warm(plan.structure(), sweep)
    os.environ[_ENV] = json.dumps({**pool.setting, "group": sweep})
    MlframeSweeper.run = go
    worker.cache_clear()
    try:
        _hydra(door, sweep, Path(store.folder) / "sweeps" / sweep)
    finally:
        if worker.cache_info().currsize:  # no job ran in this process unless Hydra's own sweeper did it
            worker().close()
        worker.cache_clear()
        MlframeSweeper.run = None
        os.environ.pop(_ENV, None)
    if raised:
        raise raised[0]


def take_up(door: Door) -> dict[str, Any] | None:
    """Return the sweep that `sweep.resume` names and take its command over; None for a new sweep.

    Raises:
        ConfigError: the command says something else than the sweep's own did.
    """
    words = [word for word in door.overrides if word.partition("=")[0].lstrip("+") == "sweep.resume"]
    wanted = words[-1].partition("=")[2].strip("'\"") if words else "null"
    if wanted in ("null", ""):
        return None
    with door.open_store() as store:
        sweep: dict[str, Any] = store.sweep(wanted)
    given = [word for word in door.overrides if word not in words]
    keys = {word.partition("=")[0].lstrip("+"): word for word in sweep["command"]}
    for word in given:
        key = word.partition("=")[0].lstrip("+")
        if not key.startswith(("sweep.", "resources.", "store.", "trackers")) and word not in sweep["command"]:
            raise ConfigError(
                f"A sweep that is resumed keeps its own command, and {key} is another one there",
                value=word,
                where=f"command line; {sweep['id']} was begun with: {shlex.join(sweep['command'])}",
                hint="leave it out, or begin a new sweep (sweep.warm_start learns from the old one)",
            )
        keys[key] = word
    door.overrides = list(keys.values())
    return sweep


def fingerprint(config: Mapping[str, Any], plan: SweepPlan) -> dict[str, Any]:
    """Return what a resumed sweep must have in common with what it was begun with: dotted key to value.

    A job's number stands for a trial and a repeat, and in a grid a trial's for a combination of the axes.
    """
    from mlframe.commands.shown import flatten

    left_out = ("sweep", "store", "resources", "trackers", "group", "cache", "reporters")
    kept = {key: value for key, value in flatten(dict(config)).items() if key.partition(".")[0] not in left_out}
    axes = {f"axis {axis.name}": f"{axis.text()}, {axis.points} points" for axis in plan.space}
    return {**kept, **axes, **{f"sweep.{name}": plan.settings[name] for name in ("name", "repeats", "warm_start")}}


def older_sweep(store: Any, record: Mapping[str, Any]) -> str | None:
    """Return the id of the sweep that this one learns from, None without one.

    Raises:
        ConfigError: its scores say something else than those of this sweep will.
    """
    own = record["fingerprint"]
    if not own["sweep.warm_start"]:
        return None
    older = store.sweep(own["sweep.warm_start"])
    for key in ("goal.metric", "goal.task"):
        if older["fingerprint"].get(key) != own.get(key):
            raise ConfigError(
                f"A search cannot learn from {older['id']}: its jobs were scored by another figure",
                value=f"{key}: {older['fingerprint'].get(key)} there, {own.get(key)} here",
                where="sweep.warm_start",
                hint="leave it out, or name a sweep with the same goal",
            )
    return str(older["id"])


def refuse_plain(door: Door, plan: SweepPlan, *, again: bool) -> None:
    """Refuse what only mlframe's own sweeper does while Hydra's is picked, which would leave it out in silence.

    Raises:
        ConfigError: names it.
    """
    picked = [word for word in door.overrides if word.lstrip("+").startswith("hydra/sweeper=")]
    node = plan.settings
    asked = {
        f"sweep={node['name']}": node["name"] != "list",
        "sweep.resume": again,
        **{f"sweep.{name}": node[name] not in (None, False, 1, "none") for name in OURS},
    }
    if picked and any(asked.values()):
        raise ConfigError(
            f"{', '.join(name for name, is_asked in asked.items() if is_asked)} needs mlframe's own sweeper",
            value=picked[-1],
            where="hydra/sweeper",
            hint="leave hydra/sweeper out; hydra/launcher=… keeps mlframe's sweeper",
        )


def refuse_other(resumed: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """Refuse to go on with a sweep whose config files have changed, or that belongs to another project.

    Raises:
        ConfigError: names the keys that differ.
    """
    then, now = resumed["fingerprint"], json.loads(json.dumps(record["fingerprint"], default=str))
    different = sorted(key for key in {*then, *now} if then.get(key) != now.get(key))
    if different:
        lines = [f"{key}: {then.get(key)!r} then, {now.get(key)!r} now" for key in different[:5]]
        more = f" and {len(different) - 5} more" if len(different) > 5 else ""
        raise ConfigError(
            f"The sweep {resumed['id']} was begun with another config: {'; '.join(lines)}{more}",
            where="sweep.resume",
            hint="resume it in the project that began it, with the files as they were, or begin a new sweep",
        )


def headline(plan: SweepPlan, kept: int) -> str:
    """Say in a few words what will happen."""
    from mlframe.sweep.samplers import GridSampler

    sampler, node = plan.sampler(), plan.settings
    trials = node["trials"]
    if isinstance(sampler, GridSampler):
        count = sum(1 for _ in plan.space.combinations(plan.fixed))
        trials = count if trials is None else min(count, trials)
    jobs = None if trials is None else trials * node["repeats"]
    parts = [f"{jobs} job{'s' if jobs != 1 else ''}" if jobs is not None else "as many jobs as there is time for"]
    if node["repeats"] > 1 and trials is not None:
        parts.append(f"{trials} trials with {node['repeats']} seeds each")
    if node["name"] != "list":
        axes = len(plan.space.axes)
        parts.append(f"{node['name']} search over {axes} ax{'e' if axes != 1 else 'i'}s")
    if kept:
        parts.append(f"{kept} already done")
    return "; ".join(parts)


def _hydra(door: Door, group: str, folder: Path) -> None:
    """Hand over to Hydra, which reads its arguments from the process's own."""
    import hydra

    from mlframe.config.compose import opened
    from mlframe.config.search import PRIMARY, install
    from mlframe.sweep import sweeper

    install(door.plugins, door.conf)
    sweeper.install()
    arguments = [opened(word) for word in door.overrides]
    main = hydra.main(version_base="1.3", config_path="pkg://mlframe.conf", config_name=PRIMARY)(job)
    before = sys.argv
    given = {word.partition("=")[0].lstrip("+") for word in door.overrides}
    place = [] if "hydra.sweep.dir" in given else [f"hydra.sweep.dir='{folder}'", "hydra.sweep.subdir=${hydra.job.num}"]
    ours = [] if "hydra/sweeper" in given else [f"hydra/sweeper={sweeper.NAME}"]
    sys.argv = ["mlframe", "--multirun", *arguments, f"group={group}", *ours, *place]
    try:
        main()
    except SystemExit as error:
        if error.code not in (0, None):
            raise ConfigError(
                "Hydra could not run the sweep", where="command line", hint="its message stands above"
            ) from error
    finally:
        sys.argv = before


def launch(launcher: Any, engine: Any, plan: SweepPlan, sweep: str) -> None:
    """Hand all jobs to another launcher of Hydra at once.

    Raises:
        ConfigError: the sweep learns from its jobs, or has no end.
    """
    from mlframe.config.compose import opened

    name = type(launcher).__name__
    if plan.settings["name"] == "bayes" or (plan.settings["name"] == "random" and not plan.settings["trials"]):
        raise ConfigError(
            f"sweep={plan.settings['name']} needs mlframe's own workers, not {name}",
            where="hydra/launcher",
            hint="leave hydra/launcher out and set sweep.workers, or use sweep=grid",
        )
    stretches: list[list[Any]] = []
    for found in engine.remaining():
        engine.store.put_sweep_job(sweep, found.number, "waiting", found.record())
        if stretches and stretches[-1][-1].number + 1 == found.number:
            stretches[-1].append(found)
        else:
            stretches.append([found])
    for jobs in stretches:  # a launcher counts on from the first number, and a resumed sweep has gaps
        lines = [[*map(opened, item.overrides), f"group={sweep}"] for item in jobs]
        launcher.launch(lines, initial_job_idx=jobs[0].number)


@cache
def worker() -> Worker:
    """Build this process's worker from the environment that the parent left; other launchers' processes use it."""
    from mlframe.door import Door
    from mlframe.sweep.worker import Worker

    raw = json.loads(os.environ[_ENV])
    only = tuple(raw["only"]) if raw["only"] is not None else None
    return Worker(Door([], tuple(raw["block"]), only, Path(raw["folder"])), raw["group"])


def job(config: DictConfig) -> float:
    """Run one job for a launcher or sweeper of Hydra's own.

    Returns:
        The out-of-fold score, NaN when the job failed (its error is shown at once and kept in the ledger).
    """
    from hydra.core.hydra_config import HydraConfig

    from mlframe.config.check import validate
    from mlframe.config.compose import job_config, parse
    from mlframe.sweep.space import unquoted

    hydra = HydraConfig.get()
    number = int(hydra.job.get("num", 0))
    overrides = [line for line in hydra.overrides.task if not line.startswith("group=")]
    choices = {key: value for key, value in hydra.runtime.choices.items() if not key.startswith("hydra/")}
    here = worker()
    composed = job_config(config, choices, overrides)
    errors = validate(here.door.plugins, composed)
    found = here.refuse(composed, number, Problems(errors)) if errors else here.perform(composed, number)
    status = found.pop("status")
    store, _ = here.store(composed.resolved)
    known = {item["number"]: item for item in store.sweep_jobs(here.group)}
    values = {item.key_or_group: unquoted(item.value()) for item in parse(overrides)[0]}
    base = {
        "trial": number,
        "repeat": 0,
        "overrides": overrides,
        "values": values,
        "structure": overrides,
        "derived": {},
    }
    record = {**base, **known.get(number, {}), **found}
    store.put_sweep_job(here.group, number, status, {k: v for k, v in record.items() if k not in ("number", "status")})
    print(f"job {number}: {' '.join(overrides)}\n  {found['error'] or found['score']}", flush=True)
    return float("nan") if found.get("score") is None else float(found["score"])
