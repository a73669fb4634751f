"""A worker process: runs the jobs that it is given, one after the other, and says how they end.

What jobs share lives here: plugins, the open store, the memory of the step cache, and one composed config for each
choice of groups, from which the configs of the jobs are derived.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe.errors import MlframeError, Problems, Pruned

if TYPE_CHECKING:
    from mlframe.config.types import Composed
    from mlframe.door import Door

__all__ = ["Worker", "main"]

KEPT_ARTIFACTS = 64
UNTIL = "score"
"""The step at which a job ends."""

PRELOADED = ("mlframe.config.compose", "mlframe.runner.run", "mlframe.steps.fit", "mlframe.store.store")

Checkpoint = Callable[[str, float, bool], None]


@dataclass
class Worker:
    """What the jobs of one process share.

    Args:
        door: plugins and working directory.
        group: the sweep's id; a process that was started before there was one is told it with its first job.
    """

    door: Door
    group: str = ""
    stores: dict[str, Any] = field(default_factory=dict)
    caches: dict[str, Any] = field(default_factory=dict)
    bases: dict[tuple[str, ...], Composed] = field(default_factory=dict)

    @cached_property
    def code(self) -> dict[str, Any] | None:
        """Commit and uncommitted changes as the sweep began."""
        from mlframe.runner.facts import code_facts

        return code_facts(self.door.folder)

    def store(self, config: dict[str, Any]) -> tuple[Any, Any]:
        """Return the open store and the step cache of a config."""
        from mlframe.runner.cache import StepCache

        key = str(sorted((config.get("store") or {}).items(), key=str))
        if key not in self.stores:
            self.stores[key] = self.door.open_store(config, create=True)
            self.caches[key] = StepCache(self.stores[key], keep=KEPT_ARTIFACTS)
        return self.stores[key], self.caches[key]

    def compose(
        self, structure: Sequence[str], values: Mapping[str, Any], overrides: Sequence[str]
    ) -> tuple[Composed, list[MlframeError]]:
        """Return a job's config and its mistakes: composed once for each structure, derived for each set of values.

        Args:
            structure: overrides that pick options or add keys, and those that all jobs have.
            values: dotted key to value, for keys that the composed config has.
            overrides: all overrides of the job, for its record.

        Raises:
            Problems: the structure itself cannot be composed.
        """
        from mlframe.config.check import validate

        key = tuple(structure)
        if key not in self.bases:
            self.bases[key] = self.door.compose([*structure, f"group={self.group}"])
        derived = self.bases[key].derive(values, overrides)
        return derived, validate(self.door.plugins, derived, changed=list(values))

    def perform(self, composed: Composed, number: int, checkpoint: Checkpoint | None = None) -> dict[str, Any]:
        """Run one job to its out-of-fold score.

        Returns:
            Its record: status (`finished`, `pruned` or `failed`), run, score, folds, costs, error.
        """
        from mlframe.runner.display import Display
        from mlframe.runner.facts import run_facts
        from mlframe.runner.run import Runner

        resolved = composed.resolved
        store, cache = self.store(resolved)
        facts = run_facts(self.door.folder, resolved["seed"], list(composed.overrides), self.code)
        choices = {key: value for key, value in composed.choices.items() if value is not None}
        facts |= {"choices": choices, "job": number}
        display = Display(quiet=True)
        runner = Runner(self.door.plugins, resolved, composed.recorded, store, display, cache, facts, checkpoint)
        try:
            info, summary = runner.run(until=UNTIL)
        except Pruned as end:
            return {"status": "pruned", "run": runner.run_id, "error": end.what}
        except Exception as error:
            return {"status": "failed", "run": runner.run_id, "error": text_of(error)}
        return _record(store, info.id, summary)

    def refuse(self, composed: Composed, number: int, error: Exception) -> dict[str, Any]:
        """Record a job whose values cannot be used as a failed run; nothing was run."""
        recorded, text = composed.recorded, text_of(error)
        store, _ = self.store(composed.resolved)
        run = store.start_run(
            task=recorded["task"]["name"],
            name=recorded["name"],
            group=self.group,
            config=recorded,
            unresolved=recorded,
            facts={"command": list(composed.overrides), "job": number},
        )
        store.finish_run(run, "failed", {"error": text})
        return {"status": "failed", "run": run, "error": text}

    def answer(self, request: Mapping[str, Any], checkpoint: Checkpoint | None) -> dict[str, Any]:
        """Run the job of a request and return its record."""
        try:
            composed, errors = self.compose(request["structure"], request["values"], request["overrides"])
        except Exception as error:
            return {"status": "failed", "run": None, "error": text_of(error)}
        if errors:
            return self.refuse(composed, request["job"], Problems(errors))
        return self.perform(composed, request["job"], checkpoint)

    def warm(self, structure: Sequence[str]) -> None:
        """Load what the jobs of a structure need, while the sweep is still being begun."""
        from mlframe.runner.keys import code_of_step
        from mlframe.runner.order import plan_steps

        composed, _ = self.compose(structure, {}, ())
        self.store(composed.resolved)
        self.code  # noqa: B018
        importlib.import_module("skops.io")
        for planned in plan_steps(self.door.plugins, composed.resolved["task"], UNTIL):
            code_of_step(self.door.plugins, planned, composed.resolved)

    def close(self) -> None:
        """Close every store."""
        for store in self.stores.values():
            store.close()


def text_of(error: BaseException) -> str:
    """Return what a person reads of an error."""
    return str(error) if isinstance(error, MlframeError) else f"{type(error).__name__}: {error}"


def _record(store: Any, run: str, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the ledger keeps of a job that came to its end."""
    import math

    from mlframe.runner.keys import digest

    score, fitting = summary.get("score"), summary.get("fitting") or {}
    usable = score is not None and math.isfinite(score)
    name = summary.get("metric")
    steps = {step["step"]: step for step in store.steps(run)}
    folds = summary.get("per_fold") or []
    size = store.artifact_size(digest([steps["fit"]["key"], "members"])) if "fit" in steps else None
    split = digest([steps["split"]["key"], "split"]) if "split" in steps else None
    return {
        "status": "finished" if usable else "failed",
        "error": None if usable else f"{name} is {score}: it cannot be measured on these folds",
        "run": run,
        "metric": name,
        "better": summary.get("better"),
        "score": score if usable else None,
        "per_fold": folds,
        "split": split,
        "test_share": fitting.get("valid_share"),
        "seconds": summary["seconds"],
        "fit_seconds": fitting.get("seconds"),
        "latency_ms": fitting.get("latency_ms"),
        "size_bytes": size // max(1, len(folds)) if size else None,
        "cached": [step for step, found in summary["steps"].items() if found["cached"]],
    }


def main(setting: Mapping[str, Any]) -> None:
    """Answer requests, a JSON line each, until the input ends.

    It says {"kind": "ready"} first. {"check": questions} is answered with {"kind": "checked", "errors"}, {"warm": structure}
    is not answered. Any other request is {"job", "structure", "values", "overrides", "ask"}; the answers are
    {"kind": "checkpoint", …}, answered with {"go"}, and at the end {"kind": "done", …}.

    Args:
        setting: plugins that are blocked or the only ones, the working directory.
    """
    # What is printed goes where errors go: standard output belongs to the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    from mlframe.door import Door
    from mlframe.runner.limits import collect_garbage
    from mlframe.sweep.plan import Question, mistakes

    only = None if setting["only"] is None else tuple(setting["only"])
    worker = Worker(Door([], tuple(setting["block"]), only, Path(setting["folder"])))
    working = threading.Event()
    requests = _requests(working)

    def say(**message: Any) -> None:
        answers.write(json.dumps(message, default=str) + "\n")
        answers.flush()

    def checkpoint(place: str, value: float, higher: bool) -> None:
        say(kind="checkpoint", place=place, value=value, higher=higher)
        answer = requests.get()
        if not answer["go"]:
            raise Pruned(answer["reason"])

    # What every job needs is loaded while the first one is still being thought of.
    worker.door.plugins  # noqa: B018
    for name in PRELOADED:
        importlib.import_module(name)

    collect_garbage()
    say(kind="ready")
    try:
        for request in iter(requests.get, None):
            if "check" in request:
                questions = [Question(**{**item, "lines": tuple(item["lines"])}) for item in request["check"]]
                say(kind="checked", errors=[error.record() for error in mistakes(worker.door, questions)])
                continue
            if "warm" in request:
                worker.group = request["group"]
                with suppress(Exception):  # the job that fails by it tells it
                    worker.warm(request["warm"])
                continue
            working.set()
            worker.group = request["group"]
            found = worker.answer(request, checkpoint if request["ask"] else None)
            working.clear()
            say(kind="done", **found)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        worker.close()


def _requests(working: threading.Event) -> queue.Queue[Any]:
    """Read requests beside the jobs: when the sweep's own process dies, a worker ends with it, whatever it does."""
    waiting: queue.Queue[Any] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            waiting.put(json.loads(line))
        if working.is_set():
            os._exit(1)
        waiting.put(None)

    threading.Thread(target=read, daemon=True, name="mlframe-requests").start()
    return waiting


if __name__ == "__main__":
    import gc

    gc.disable()
    try:
        main(json.loads(sys.argv[1]))
        gc.freeze()  # as mlframe's own `__main__`
    except KeyboardInterrupt:
        exec("")  # likewise
        sys.exit(130)
