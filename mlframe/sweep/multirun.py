"""A multirun with Hydra's own sweeper and launcher: each job one run that ends at its out-of-fold score."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe.errors import ConfigError, MlframeError, Problems, StepError
from mlframe.sweep.jobs import expand

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mlframe.config.types import Composed
    from mlframe.door import Door

KEPT_ARTIFACTS = 64
UNTIL = "score"


@dataclass(frozen=True)
class Setting:
    """What a process must know to run a job of a multirun; travels to other launchers' processes in the environment.

    Args:
        block: plugins that are not loaded.
        only: the only plugins that are loaded.
        folder: the working directory.
    """

    block: tuple[str, ...]
    only: tuple[str, ...] | None
    folder: str


def multirun(door: Door) -> int:
    """Run every job, show a table and the command that trains the best for good.

    Returns:
        0 when every job came through, else 1.

    Raises:
        Problems: mistakes that the first job of any choice would make, found before the first job starts.
    """
    from omegaconf import OmegaConf

    from mlframe.config.schema import plain
    from mlframe.runner.limits import collect_garbage

    collect_garbage()
    jobs = expand([word for word in door.overrides if not word.startswith("hydra")])
    first = check(door, jobs)
    config = plain(first.config)
    group = f"sweep-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid():x}"
    os.environ[_ENV] = OmegaConf.to_yaml(
        {
            "block": list(door.block),
            "only": list(door.only) if door.only is not None else None,
            "folder": str(door.folder),
        }
    )
    worker.cache_clear()
    with door.open_store(config, create=True) as store:
        folder = Path(store.folder) / "sweeps" / group
    print(f"multirun {group}: {len(jobs)} jobs", flush=True)
    try:
        _hydra(door, group, folder)
        with door.open_store(config) as store:
            runs = sorted(store.runs(limit=len(jobs) + 1000, group=group), key=lambda item: item["id"])
    finally:
        if worker.cache_info().currsize:  # Hydra may refuse the sweep before any job asks for one
            worker().close()
        worker.cache_clear()
        os.environ.pop(_ENV, None)
    return conclude(runs, jobs, group)


def check(door: Door, jobs: list[list[str]]) -> Any:
    """Check each choice of each swept key once, with the others at their first choice.

    Raises:
        Problems: all mistakes of all choices.
    """
    errors: dict[str, MlframeError] = {}
    seen: set[str] = set()
    first: Composed | None = None
    for job in jobs:
        fresh = [line for line in job if line not in seen]
        # A value of a checked key: its type is checked when its job starts.
        if seen and not any(_picks(line, first) for line in fresh):
            continue
        seen.update(job)
        try:
            composed = door.compose(job)
            first = first or composed
        except Problems as problems:
            errors.update({str(error): error for error in problems.errors})
        except MlframeError as error:
            errors[str(error)] = error
    if errors:
        raise Problems(list(errors.values()))
    return first


def _picks(line: str, first: Composed | None) -> bool:
    """Whether an override picks an option of a group, other than setting a value."""
    key = line.partition("=")[0].lstrip("+")
    return "/" in key or "@" in key or (key in first.choices if first else "." not in key)


def _hydra(door: Door, group: str, folder: Path) -> None:
    """Hand over to Hydra, which reads its arguments from the process's own."""
    import hydra

    from mlframe.config.compose import opened
    from mlframe.config.search import PRIMARY, install

    install(door.plugins, door.conf)
    arguments = [opened(word) for word in door.overrides]
    main = hydra.main(version_base="1.3", config_path="pkg://mlframe.conf", config_name=PRIMARY)(job)
    before = sys.argv
    given = {word.partition("=")[0].lstrip("+") for word in door.overrides}
    sweep = [] if "hydra.sweep.dir" in given else [f"hydra.sweep.dir='{folder}'", "hydra.sweep.subdir=${hydra.job.num}"]
    sys.argv = ["mlframe", "--multirun", *arguments, f"group={group}", *sweep]
    try:
        main()
    except SystemExit as error:
        if error.code not in (0, None):
            raise ConfigError(
                "Hydra could not run the sweep", where="command line", hint="its message stands above"
            ) from error
    finally:
        sys.argv = before


_ENV = "MLFRAME_MULTIRUN"


@dataclass
class Worker:
    """What the jobs of one process share: plugins, store, memory of the step cache."""

    setting: Setting
    door: Any
    stores: dict[str, Any] = field(default_factory=dict)
    caches: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def code(self) -> dict[str, Any] | None:
        """Commit and uncommitted changes as the multirun began."""
        from mlframe.runner.facts import code_facts

        return code_facts(Path(self.setting.folder))

    def store(self, config: dict[str, Any]) -> tuple[Any, Any]:
        """Return the open store and the step cache of a config."""
        from mlframe.runner.cache import StepCache

        key = str(sorted((config.get("store") or {}).items(), key=str))
        if key not in self.stores:
            self.stores[key] = self.door.open_store(config, create=True)
            self.caches[key] = StepCache(self.stores[key], keep=KEPT_ARTIFACTS)
        return self.stores[key], self.caches[key]

    def close(self) -> None:
        """Close every store."""
        for store in self.stores.values():
            store.close()


@cache
def worker() -> Worker:
    """Build this process's worker from the environment that the parent left."""
    import yaml

    from mlframe.door import Door

    raw = yaml.safe_load(os.environ[_ENV])
    only = tuple(raw["only"]) if raw["only"] is not None else None
    setting = Setting(tuple(raw["block"]), only, raw["folder"])
    return Worker(setting, Door([], setting.block, setting.only, Path(setting.folder)))


def job(config: DictConfig) -> float:
    """Run one job; Hydra's launcher calls this.

    Returns:
        The out-of-fold score, NaN when the job failed (its error is shown at once and kept in the run's record).
    """
    from hydra.core.hydra_config import HydraConfig

    from mlframe.config.check import validate
    from mlframe.config.compose import job_config
    from mlframe.runner.display import Display
    from mlframe.runner.facts import run_facts
    from mlframe.runner.run import Runner

    hydra = HydraConfig.get()
    number = hydra.job.get("num", 0)
    overrides = [line for line in hydra.overrides.task if not line.startswith("group=")]
    choices = {key: value for key, value in hydra.runtime.choices.items() if not key.startswith("hydra/")}
    here = worker()
    label = f"job {number}: {' '.join(overrides)}"
    composed = job_config(config, choices, overrides)
    store: Any = None
    try:
        errors = validate(here.door.plugins, composed)
        resolved = composed.resolved
        store, cache = here.store(resolved)
        facts = run_facts(Path(here.setting.folder), resolved["seed"], overrides, here.code)
        facts |= {"choices": {key: value for key, value in choices.items() if value is not None}, "job": number}
        if errors:
            raise Problems(errors)
        runner = Runner(here.door.plugins, resolved, composed.recorded, store, Display(quiet=True), cache, facts)
        _, summary = runner.run(until=UNTIL)
    except (KeyboardInterrupt, SystemExit):
        raise
    except Exception as error:
        text = str(error) if isinstance(error, MlframeError) else f"{type(error).__name__}: {error}"
        print(f"{label}\n  FAILED: {text}", flush=True)
        if store is not None and not isinstance(error, StepError) and not _recorded(store, config.group, number):
            run_id = store.start_run(
                task=str(config.task.name),
                name=composed.config.name,
                group=config.group,
                config=composed.recorded,
                unresolved=composed.recorded,
                facts=facts,
            )
            store.finish_run(run_id, "failed", {"error": text})
        return float("nan")
    score = summary.get("score")
    cached = [name for name, step in summary["steps"].items() if step["cached"]]
    shown = f"{summary['metric']} {score:.4f}" if score is not None else "no score"
    skipped = f", from the cache: {', '.join(cached)}" if cached else ""
    print(f"{label}\n  {shown}, {summary['seconds']:.1f} s{skipped}", flush=True)
    return float("nan") if score is None else float(score)


def _recorded(store: Any, group: str, number: int) -> bool:
    return any((item.get("facts") or {}).get("job") == number for item in store.runs(limit=100_000, group=group))


def conclude(runs: list[dict[str, Any]], jobs: list[list[str]], group: str) -> int:
    """Print the table, every error once more, and the command that trains the best job for good."""
    import statistics

    from mlframe.commands.shown import print_table

    def overrides(item: dict[str, Any]) -> str:
        return shlex.join((item.get("facts") or {}).get("command") or [])

    def summary(item: dict[str, Any]) -> dict[str, Any]:
        return item.get("summary") or {}

    done = [item for item in runs if item["status"] == "finished" and summary(item).get("score") is not None]
    failed = [item for item in runs if item["status"] != "finished"]
    higher = bool(done) and summary(done[0]).get("better") == "higher"
    done.sort(key=lambda item: summary(item)["score"], reverse=higher)
    if done:
        rows = []
        for place, item in enumerate(done, 1):
            per_fold = summary(item).get("per_fold") or []
            spread = f"{statistics.stdev(per_fold):.4f}" if len(per_fold) > 1 else ""
            rows.append(
                (
                    place,
                    f"{summary(item)['score']:.4f}",
                    spread,
                    f"{summary(item)['seconds']:.1f} s",
                    overrides(item),
                    item["id"],
                )
            )
        print_table(
            ("", f"{summary(done[0])['metric']} (out of fold)", "std of folds", "took", "job", "run"), rows, title=group
        )
    for item in failed:
        print(f"FAILED: {overrides(item)} (run {item['id']})\n  {summary(item).get('error') or item['status']}")
    lost = len(jobs) - len(runs)
    if lost > 0:
        print(f"{lost} of {len(jobs)} jobs left no record")
    if done:
        print(f"to train the best for good:\n  python -m mlframe {overrides(done[0])}")
    return 1 if failed or lost > 0 else 0
