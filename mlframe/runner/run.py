"""Runs steps, answers from the cache, reports events, records the run, always closes what it opened."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mlframe.config.price import priced
from mlframe.config.schema import pick
from mlframe.contracts import RunInfo, Step, Tracker
from mlframe.errors import MlframeError, Pruned, StepError
from mlframe.plugins import Plugins
from mlframe.runner.cache import Lazy, StepCache
from mlframe.runner.context import Context
from mlframe.runner.elsewhere import Elsewhere
from mlframe.runner.keys import digest, step_key
from mlframe.runner.limits import Limits, peak_memory
from mlframe.runner.order import PlannedStep, plan_steps

__all__ = ["Runner", "close_trackers"]

log = logging.getLogger("mlframe")


class Runner:
    """Runs one task from one resolved config.

    Args:
        plugins: the loaded plugins.
        config: the resolved config.
        unresolved: the same with `oc.env` unresolved: what is stored.
        store: the open store.
        display: shows steps and lines; see `mlframe.runner.display`.
        cache: the step cache; None makes one for this run.
        facts: what the run's record keeps beside its config.
        checkpoint: see `mlframe.runner.context.Context`.
    """

    def __init__(
        self,
        plugins: Plugins,
        config: Mapping[str, Any],
        unresolved: Mapping[str, Any],
        store: Any,
        display: Any,
        cache: StepCache | None = None,
        facts: Mapping[str, Any] | None = None,
        checkpoint: Callable[[str, float, bool], None] | None = None,
    ) -> None:
        self.plugins, self.config, self.unresolved, self.store, self.display = (
            plugins,
            config,
            unresolved,
            store,
            display,
        )
        self.cache = cache or StepCache(store)
        self.cache.mode = config["cache"]
        self.facts = dict(facts or {})
        self.checkpoint = checkpoint
        self.run_id: str | None = None
        self._waiting: list[dict[str, Any]] = []

    def run(self, until: str | None = None) -> tuple[RunInfo, dict[str, Any]]:
        """Run the task's steps.

        Args:
            until: stop at this step (a job of a multirun stops at its score).

        Returns:
            The run and its summary.

        Raises:
            MlframeError: a step failed; the run is recorded as failed, trackers are closed.
        """
        task = self.config["task"]
        steps = plan_steps(self.plugins, task, until)
        began = time.perf_counter()
        run_id = self.store.start_run(
            task=task["name"],
            name=self.config["name"],
            group=self.config["group"],
            config=dict(self.unresolved),
            unresolved=dict(self.unresolved),
            facts=self.facts,
        )
        self.run_id = run_id
        info = RunInfo(
            run_id,
            self.config["name"],
            task["name"],
            self.config["group"],
            self.unresolved,
            self.store.run_folder(run_id),
            self.facts,
        )
        trackers: list[Tracker] = []
        context = Context(
            config=self.config,
            plugins=self.plugins,
            store=self.store,
            run=info,
            trackers=trackers,
            cache=self.cache,
            say=self.display.say,
            progress=self.display.progress,
            unresolved=self.unresolved,
            until=until,
            checkpoint=self.checkpoint,
        )
        context.summary["steps"] = {}
        status = "failed"
        try:
            with ExitStack() as stack, Limits(self.config["resources"]) as limits:
                stack.push(lambda kind, error, trace: close_trackers(trackers, _status(error), context.summary))
                for key, tracker in context.components("trackers"):
                    trackers.append(tracker)
                    try:
                        tracker.open(info)
                    except Exception as error:  # a tracker never fails a run
                        log.warning("The tracker %s cannot begin: %s; the run goes on without it", key, error)
                        close_trackers([tracker], "failed", {})
                        trackers.remove(tracker)
                self._steps(context, steps, limits)
                figures = flat_figures(context.summary)
                for tracker in trackers:
                    tracker.figures(figures)
                status = "finished"
        except KeyboardInterrupt:
            status = "interrupted"
            raise
        except Pruned:
            status = "pruned"
            raise
        except BaseException as error:
            _write_traceback(info.folder, error)
            context.summary["error"] = str(error)
            raise
        finally:
            context.summary["seconds"] = time.perf_counter() - began
            context.summary["peak_memory"] = peak_memory()
            context.summary.update(priced(context.config, context.summary["seconds"]))
            self.store.finish_run(run_id, status, context.summary)
            self._after_run(info, status, context.summary)
        return info, context.summary

    def _steps(self, context: Context, steps: Sequence[PlannedStep], limits: Limits) -> None:
        artifacts: dict[str, Any] = {}
        run_id = context.run.id
        elsewhere = context.elsewhere = Elsewhere(steps, self.cache)
        context.held = context.keys
        for planned in steps:
            name, step = planned.name, planned.step
            with self._named(context, planned):
                later = steps[steps.index(planned) + 1 :]
                wanted = any({*other.step.needs, *other.step.needs_if_present} & set(step.gives) for other in later)
                # A step that always runs and that nothing depends on needs no key, which would read its code's modules.
                key = self._step_key(context, planned) if step.cached or wanted else None
                keys = {artifact: digest([key, artifact]) for artifact in step.gives} if key else {}
                context.keys.update(keys)
                began = time.perf_counter()
                cached = step.cached and bool(keys) and all(self.cache.has(keys[a]) for a in keys)
                if cached:
                    artifacts.update({a: Lazy(self.cache, keys[a], a) for a in keys})
                else:
                    self._record(run_id)
                    self.display.step(name, step.summary)
                    self._tell("mlframe_before_step", run=context.run, step=name)
                    inputs = {a: self._value(context, artifacts, a) for a in step.needs}
                    inputs |= {a: self._value(context, artifacts, a) for a in step.needs_if_present}
                    elsewhere.steps, elsewhere.artifacts = steps[: steps.index(planned) + 1], artifacts
                    with limits.step(name):
                        given = step.run(context, **inputs)
                    self._keep(planned, keys, given, artifacts)
                _merge(context.summary, self._summarize(context, planned, artifacts))
                seconds = time.perf_counter() - began
                context.summary["steps"][name] = {"seconds": seconds, "cached": cached}
                self._record(run_id, name, seconds=seconds, cached=cached, key=key, status="finished", wait=cached)
                self.display.done(name, seconds, cached)
                self._tell("mlframe_after_step", run=context.run, step=name, seconds=seconds, cached=cached)
            remaining = {
                a
                for later in steps[steps.index(planned) + 1 :]
                for a in (*later.step.needs, *later.step.needs_if_present)
            }
            artifacts = {a: value for a, value in artifacts.items() if a in remaining}
        self._record(run_id)

    def _record(self, run_id: str, *steps: str, wait: bool = False, **fields: Any) -> None:
        """Add steps to the run's record; one that the cache answered waits for the next that has work to do."""
        self._waiting += [{"step": step, "error": None, "peak_memory": peak_memory(), **fields} for step in steps]
        if self._waiting and not wait:
            self.store.record_steps(run_id, self._waiting)
            self._waiting = []

    def _tell(self, event: str, **facts: Any) -> None:
        """Report an event to each plugin; one that raises is named."""
        for implementation in getattr(self.plugins.hook, event).get_hookimpls():
            name = implementation.plugin_name
            others = [plugin for other, plugin in self.plugins.manager.list_name_plugin() if other != name and plugin]
            try:
                self.plugins.manager.subset_hook_caller(event, others)(**facts)
            except Exception as error:
                error.add_note(f"raised by plugin {name!r} in {event}")
                raise

    def _summarize(self, context: Context, planned: PlannedStep, artifacts: Mapping[str, Any]) -> Mapping[str, Any]:
        if type(planned.step).summarize is Step.summarize:
            return {}
        return planned.step.summarize(**{a: self._value(context, artifacts, a) for a in planned.step.gives})

    def _value(self, context: Context, artifacts: Mapping[str, Any], name: str) -> Any:
        value = artifacts.get(name)
        return value.load() if isinstance(value, Lazy) else value

    def _keep(
        self, planned: PlannedStep, keys: Mapping[str, str], given: Mapping[str, Any], artifacts: dict[str, Any]
    ) -> None:
        if set(given) != set(planned.step.gives):
            raise StepError(
                f"The step {planned.name} gave {sorted(given)}, its contract says {sorted(planned.step.gives)}",
                where=planned.item.origin,
                hint="this is a mistake of the plugin; tell its authors",
            )
        artifacts.update(given)
        self.cache.put_given(planned.name, planned.step, keys, given)

    def _step_key(self, context: Context, planned: PlannedStep) -> str:
        inputs = {a: context.keys.get(a) for a in (*planned.step.needs, *planned.step.needs_if_present)}
        return step_key(self.plugins, planned, self.config, inputs, planned.step.key(context))

    @contextmanager
    def _named(self, context: Context, planned: PlannedStep) -> Iterator[None]:
        """Attach step, component and plugin to whatever fails inside."""
        try:
            yield
        except Pruned:
            raise
        except BaseException as error:
            self.display.failed(planned.name)
            try:
                self.plugins.hook.mlframe_on_step_error(run=context.run, step=planned.name, error=error)
            except Exception as second:
                error.add_note(f"a plugin failed while it was told of this: {second}")
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            failed: dict[str, Any] = {"seconds": 0.0, "cached": False, "key": "", "status": status, "error": str(error)}
            self._record(context.run.id, planned.name, **failed)
            if isinstance(error, MlframeError | KeyboardInterrupt | SystemExit):
                error.add_note(f"step: {planned.name}")
                raise
            used = {
                key: (pick(self.config, key) or {}).get("name")
                for key in planned.step.reads
                if isinstance(pick(self.config, key), Mapping)
            }
            picked = ", ".join(f"{key}={name}" for key, name in used.items() if name)
            raise StepError(
                f"The step {planned.name} failed: {type(error).__name__}: {error}",
                where=", ".join(filter(None, [f"step {planned.name} ({planned.item.origin})", picked])),
                hint=f"the full traceback is in {context.run.folder / 'error.log'}; what is done is kept",
            ) from error

    def _after_run(self, info: RunInfo, status: str, summary: Mapping[str, Any]) -> None:
        try:
            self.plugins.hook.mlframe_after_run(run=info, status=status, summary=summary)
        except Exception as error:
            log.warning("A plugin failed after the run: %s: %s", type(error).__name__, error)


def flat_figures(summary: Mapping[str, Any]) -> dict[str, float]:
    """Return `part/figure` to value for every figure of a run."""
    parts: Mapping[str, Mapping[str, Any]] = summary.get("figures") or {}
    return {f"{part}/{name}": found["value"] for part, figures in parts.items() for name, found in figures.items()}


def _merge(summary: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(summary.get(key), dict):
            _merge(summary[key], value)
        else:
            summary[key] = dict(value) if isinstance(value, Mapping) else value


def _status(error: BaseException | None) -> str:
    if error is None or isinstance(error, Pruned):
        return "finished"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"


def close_trackers(trackers: Iterable[Tracker], status: str, summary: dict[str, Any]) -> None:
    """Close every tracker, and keep where its record lies (it knows that only while it is open)."""
    for tracker in trackers:
        name = type(tracker).__name__.removesuffix("Tracker").lower()
        try:
            address = tracker.address()
            tracker.close(status)
        except Exception as error:  # a tracker never fails a run
            log.warning("The tracker %s could not be closed: %s", name, error)
        else:
            if address:
                summary.setdefault("trackers", {})[name] = address


def _write_traceback(folder: Path, error: BaseException) -> None:
    text = "".join(traceback.format_exception(error))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "error.log").write_text(text, encoding="utf-8")
    except OSError as second:
        error.add_note(f"the traceback could not be written to {folder}: {second}")
