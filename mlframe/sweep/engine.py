"""Runs a sweep: asks the sampler, keeps the workers busy, writes the ledger, prunes, keeps budgets."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlframe.sweep.pool import Event, Pool
from mlframe.sweep.samplers import Sampler
from mlframe.sweep.space import Axis, spell

__all__ = ["Budget", "Engine", "Job", "Recipe"]

OVER = ("finished", "pruned")
"""States of a job that a resumed sweep keeps."""


@dataclass(frozen=True)
class Recipe:
    """How a trial's values become the overrides of its jobs.

    Args:
        template: the overrides as typed, with an axis where one is swept.
        structural: keys of axes that pick options or add keys: their jobs are composed, not derived.
        seed: seed of the first repeat.
        repeats: jobs a trial, each with a seed of its own.
        held: what a seed must not change, by dotted key: were folds and holdout cut anew for each repeat, rows of the
            winner's holdout would have helped to choose it.
    """

    template: Sequence[str | Axis]
    structural: frozenset[str]
    seed: int = 0
    repeats: int = 1
    held: Mapping[str, Any] = field(default_factory=dict)

    def job(self, number: int, trial: int, repeat: int, values: Mapping[str, Any]) -> Job:
        """Build one job."""
        lines, structure, own = [], [], dict(values)
        for part in self.template:
            if isinstance(part, str):
                structure.append(part)
                lines.append(part)
            else:
                lines.append(f"{part.key}={spell(own[part.key])}")
        typed = {part.key for part in self.template if isinstance(part, Axis)}
        if self.repeats > 1:
            own |= {"seed": self.seed + repeat, **self.held}
        lines += [f"{key}={spell(value)}" for key, value in own.items() if key not in typed]
        structure += [f"{key}={spell(own[key])}" for key in own if key in self.structural]
        rest = {key: value for key, value in own.items() if key not in self.structural}
        return Job(number, trial, repeat, dict(values), lines, structure, rest)


@dataclass
class Job:
    """One job.

    Args:
        number: its number, kept for good.
        trial: the trial that it belongs to.
        repeat: which of the trial's repeats it is.
        values: the trial's values.
        overrides: all overrides, as a person would type them.
        structure: overrides that are composed.
        derived: dotted key to value, set in the composed config.
        places: what it told while it ran: place to value, higher is better.
    """

    number: int
    trial: int
    repeat: int
    values: dict[str, Any]
    overrides: list[str]
    structure: list[str]
    derived: dict[str, Any]
    places: dict[str, float] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Return what the ledger keeps of it."""
        return {"trial": self.trial, "repeat": self.repeat, "values": self.values, "overrides": self.overrides,
                "structure": self.structure, "derived": self.derived}  # fmt: skip


@dataclass(frozen=True)
class Budget:
    """When a sweep ends, and what is ended early.

    Args:
        trials: most trials, None for as many as the sampler has.
        seconds: most time, None for no limit.
        fail_fast: whether the first failure ends the sweep.
        prune: whether jobs that fall behind are ended.
        prune_after: finished jobs before anything is pruned.
    """

    trials: int | None = None
    seconds: float | None = None
    fail_fast: bool = False
    prune: bool = False
    prune_after: int = 5


class Engine:
    """Runs the trials of one sweep.

    Args:
        store: the open store.
        sweep: id of the sweep.
        recipe: how values become jobs.
        sampler: which trial comes next.
        budget: when to stop.
    """

    def __init__(self, store: Any, sweep: str, recipe: Recipe, sampler: Sampler, budget: Budget) -> None:
        self.store, self.sweep, self.recipe, self.sampler, self.budget = store, sweep, recipe, sampler, budget
        self.waiting: deque[Job] = deque()
        self.running: dict[int, Job] = {}
        self.ended: dict[int, dict[str, Any]] = {}
        self.history: dict[str, list[float]] = {}
        self.next_trial = 0
        self.exhausted = False
        self.failed = False

    def resume(self) -> int:
        """Take up what the ledger holds: keep finished jobs, queue the others again; return how many are kept.

        A trial's other repeats have no record before they begin, and none where an earlier one failed: they are queued too.
        """
        jobs = self.store.sweep_jobs(self.sweep)
        trials = {record["trial"]: record["values"] for record in jobs}
        self.next_trial = max(trials, default=-1) + 1
        for record in jobs:
            if record["status"] in OVER:
                self._end(record)
        pruned = {record["trial"] for record in jobs if record["status"] == "pruned"}
        for trial, values in trials.items():
            if trial not in pruned:
                self.waiting.extend(job for job in self._jobs(trial, values) if job.number not in self.ended)
        return len(self.ended)

    def learn(self, jobs: Sequence[Mapping[str, Any]]) -> int:
        """Tell the sampler of another sweep's finished trials; return how many there were."""
        trials: dict[int, list[Mapping[str, Any]]] = {}
        for job in jobs:
            if job["status"] == "finished":
                trials.setdefault(job["trial"], []).append(job)
        for found in trials.values():
            self.sampler.tell(-1, found[0]["values"], _loss(found))
        return len(trials)

    def remaining(self) -> Iterator[Job]:
        """Give every job that is still to be run, for a launcher that takes them all at once."""
        while (job := self._next(None)) is not None:
            yield job

    def run(self, pool: Pool) -> None:
        """Run until the trials, the time or the sampler come to their end."""
        deadline = None if self.budget.seconds is None else time.monotonic() + self.budget.seconds
        try:
            while True:
                while (worker := pool.idle()) is not None and (job := self._next(deadline)) is not None:
                    self.running[job.number] = job
                    self.store.put_sweep_job(self.sweep, job.number, "running", job.record())
                    ask = self.budget.prune and job.repeat == 0
                    request = {"structure": job.structure, "values": job.derived, "overrides": job.overrides}
                    pool.give(worker, job.number, {**request, "group": self.sweep, "ask": ask})
                if not pool.busy:
                    return
                for event in pool.wait(deadline):
                    self._hear(event)
                if deadline is not None and time.monotonic() >= deadline and pool.busy:
                    self._stop(pool, "the time of the sweep is up")
                if self.failed and self.budget.fail_fast:
                    self._stop(pool, "another job failed, and sweep.fail_fast is set")
                    return
        except BaseException:
            self._put_back()
            raise

    # ------------------------------------------------------------------------------------------------- one job

    def _next(self, deadline: float | None) -> Job | None:
        if deadline is not None and time.monotonic() >= deadline:
            return None
        if not self.waiting and not self.exhausted:
            self._ask()
        return self.waiting.popleft() if self.waiting else None

    def _ask(self) -> None:
        trial = self.next_trial
        values = None if self.budget.trials is not None and trial >= self.budget.trials else self.sampler.ask(trial)
        if values is None:
            self.exhausted = True
            return
        self.next_trial += 1
        self.waiting.extend(self._jobs(trial, values))

    def _jobs(self, trial: int, values: Mapping[str, Any]) -> Iterator[Job]:
        repeats = self.recipe.repeats
        return (self.recipe.job(trial * repeats + repeat, trial, repeat, values) for repeat in range(repeats))

    def _hear(self, event: Event) -> None:
        job = self.running.get(event.job)
        if job is None:
            return
        if event.kind == "checkpoint":
            event.worker.send(self._advise(job, event.told))
            return
        told = {**event.told}
        if event.kind != "done":
            told |= {"status": "killed" if event.kind == "limit" else "failed"}
        del self.running[job.number]
        record = {**job.record(), **told, "places": job.places}
        status = record.pop("status")
        self.store.put_sweep_job(self.sweep, job.number, status, record)
        self._show(job, status, record)
        self._end({**record, "status": status, "number": job.number})

    def _end(self, record: Mapping[str, Any]) -> None:
        """Keep the end of a job, and tell the sampler when its trial is whole."""
        self.ended[record["number"]] = dict(record)
        if record["status"] == "finished":
            for place, value in (record.get("places") or {}).items():
                self.history.setdefault(place, []).append(value)
        elif record["status"] in ("failed", "killed"):
            self.failed = True
        mine = [job for job in self.ended.values() if job["trial"] == record["trial"]]
        if len(mine) == self.recipe.repeats or record["status"] != "finished":
            whole = all(job["status"] == "finished" for job in mine)
            self.sampler.tell(record["trial"], record["values"], _loss(mine) if whole else None)
        if record["status"] != "finished":  # the trial is lost: its other seeds would say nothing more
            self.waiting = deque(job for job in self.waiting if job.trial != record["trial"])

    def _advise(self, job: Job, told: Mapping[str, Any]) -> dict[str, Any]:
        """Say whether a job shall go on: the median stopping rule (Golovin et al., 2017), place by place."""
        value = told["value"] if told["higher"] else -told["value"]
        job.places[told["place"]] = value
        others = self.history.get(told["place"], [])
        if len(others) < self.budget.prune_after or value >= statistics.median(others):
            return {"go": True}
        middle = statistics.median(others) * (1 if told["higher"] else -1)
        return {
            "go": False,
            "reason": f"{told['place']}: {told['value']:.4f}, the median of the others is {middle:.4f}",
        }

    def _show(self, job: Job, status: str, record: Mapping[str, Any]) -> None:
        label = f"job {job.number}: {' '.join(job.overrides)}"
        if status == "finished":
            cached = f", from the cache: {', '.join(record['cached'])}" if record["cached"] else ""
            print(f"{label}\n  {record['metric']} {record['score']:.4f}, {record['seconds']:.1f} s{cached}", flush=True)
        elif status == "pruned":
            print(f"{label}\n  pruned at {record['error']}", flush=True)
        else:
            print(f"{label}\n  {'KILLED' if status == 'killed' else 'FAILED'}: {record['error']}", flush=True)

    # --------------------------------------------------------------------------------------------------- the end

    def _stop(self, pool: Pool, why: str) -> None:
        """End the jobs that run; they are no failures, a resumed sweep runs them again."""
        for worker in list(pool.workers):
            if worker.job is not None:
                print(f"job {worker.job}: stopped, {why}", flush=True)
                pool.stop(worker)
        self._put_back()

    def _put_back(self) -> None:
        for job in self.running.values():
            self.store.put_sweep_job(self.sweep, job.number, "waiting", job.record())
        self.running = {}


def _loss(jobs: Sequence[Mapping[str, Any]]) -> float:
    """Return the mean score of a trial's jobs, turned so that lower is better."""
    mean = statistics.fmean(job["score"] for job in jobs)
    return -mean if jobs[0]["better"] == "higher" else mean
