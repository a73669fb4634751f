"""Checks everything and trains nothing."""

from __future__ import annotations

import argparse
from typing import Any

from mlframe.commands.shown import print_table
from mlframe.errors import ConfigError, MlframeError, Problems

SUMMARY = "compose, bind and check every job, look at a sample, name what the cache will skip; train nothing"

SAMPLE = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("-m", "--multirun", action="store_true", help="plan every job of a multirun")


def run(arguments: argparse.Namespace) -> int:
    """Plan each job.

    Raises:
        Problems: every mistake of every job.
    """
    door = arguments.door
    jobs = plan_jobs(door) if arguments.multirun else [list(door.overrides)]
    errors: list[MlframeError] = []
    plans: list[dict[str, Any]] = []
    for overrides in jobs:
        try:
            plans.append(plan_job(door, overrides, first=not plans))
        except Problems as problems:
            errors.extend(problems.errors)
        except MlframeError as error:
            errors.append(error)
    if errors:
        unique = {str(error): error for error in errors}
        raise Problems(list(unique.values()))
    for overrides, plan in zip(jobs, plans, strict=True):
        show(overrides, plan)
    print(f"{len(jobs)} job{'s' if len(jobs) != 1 else ''} planned, no mistake found, nothing trained")
    return 0


def plan_jobs(door: Any) -> list[list[str]]:
    """Check a multirun and return its jobs' overrides; a search is shown by its axes and stands for its first job.

    Raises:
        Problems: every mistake of every choice and every axis.
    """
    from mlframe.sweep.multirun import headline
    from mlframe.sweep.plan import plan_sweep

    plan = plan_sweep(door)
    sampler = plan.sampler()
    if plan.settings["name"] == "list":
        every = plan.space.combinations(plan.fixed)
        return [plan.recipe.job(number, number, 0, values).overrides for number, values in enumerate(every)]
    print(f"sweep: {headline(plan, 0)}")
    print_table(
        ("axis", "values", "set by"),
        [(axis.name, axis.text(), axis.where) for axis in plan.space],
    )
    return [plan.recipe.job(0, 0, 0, sampler.ask(0) or {}).overrides]


def plan_job(door: Any, overrides: list[str], *, first: bool) -> dict[str, Any]:
    """Compose and check one job, and ask the cache for each step.

    Args:
        door: the command line's door.
        overrides: the job's overrides.
        first: whether to read a sample of the data.
    """
    from mlframe.contracts import RunInfo
    from mlframe.runner.cache import StepCache
    from mlframe.runner.context import Context
    from mlframe.runner.keys import digest, step_key
    from mlframe.runner.order import plan_steps

    composed = door.compose(overrides)
    config = composed.resolved
    steps = plan_steps(door.plugins, config["task"])
    sample = read_sample(door, config) if first and any(step.name == "ingest" for step in steps) else None
    rows = []
    with door.open_store(config, create=True) as store:
        cache = StepCache(store, config["cache"])
        info = RunInfo("plan", config["name"], config["task"]["name"], None, composed.recorded, door.folder)
        context = Context(config, door.plugins, store, info, [], cache, lambda _: None, lambda *_: None)
        for planned in steps:
            step = planned.step
            inputs = {a: context.keys.get(a) for a in (*step.needs, *step.needs_if_present)}
            key = step_key(door.plugins, planned, config, inputs, step.key(context))
            context.keys.update({artifact: digest([key, artifact]) for artifact in step.gives})
            hit = step.cached and all(cache.has(context.keys[artifact]) for artifact in step.gives)
            reads = list(step.reads)
            rows.append((planned.name, step.summary, ", ".join(reads), "cached" if hit else "runs"))
    return {"composed": composed, "config": config, "rows": rows, "sample": sample}


def read_sample(door: Any, config: dict[str, Any]) -> dict[str, Any]:
    """Read some rows, give columns their kinds, and run the validators on them.

    Raises:
        DataError: the sample cannot be read, fails, or holds no target.
    """
    from mlframe.config.schema import entries
    from mlframe.steps.ingest import number_rows
    from mlframe.steps.verify import refuse
    from mlframe.table import Table, describe_columns, to_polars

    registry = door.plugins.registry
    source = registry.create("data/source", config["data"]["source"])
    frame = number_rows(to_polars(source.sample(SAMPLE)))
    table = Table(frame, describe_columns(frame, config["data"].get("columns") or {}))
    if not table.features:
        raise ConfigError("No column has the role 'feature'", where="data.columns", hint="declare at least one")
    for key, node in entries(config.get("validators")):
        refuse(registry.create("validators", node).validate(table, labelled=True), key, table)
    if table.one("target") is None and config["task"]["steps"].get("label") is not None:
        registry.create("labeler", config["labeler"]).label(table)  # one that needs a target says so
    return {"rows": len(table), "columns": table.columns}


def show(overrides: list[str], plan: dict[str, Any]) -> None:
    """Print one job's plan: the picked options that its steps read, its columns and its steps."""
    config = plan["config"]
    picks = picks_of(plan["composed"], config)
    steps = {row[0] for row in plan["rows"]}
    read = {
        key: value
        for key, value in picks.items()
        if key in ("data", "task", "experiment") or steps & READERS.get(key, set())
    }
    print("job: " + (" ".join(overrides) or "(defaults)"))
    print("  " + "  ".join(f"{key}={value}" for key, value in sorted(read.items())))
    goal = {key: value for key, value in config["goal"].items() if value not in (None, {}, [])}
    print("  goal: " + ("" if goal else "nothing said"))
    for key, value in goal.items():
        print(f"    {key}: {'; '.join(map(str, value)) if isinstance(value, list) else value}")
    if plan["sample"]:
        columns = plan["sample"]["columns"]
        print(f"  sample: {plan['sample']['rows']:,} rows, the schema accepts them")
        print_table(
            ("column", "role", "kind", "type", ""),
            [(c.name, c.role, c.kind, c.dtype, "inferred" if c.inferred else "declared") for c in columns],
        )
    print_table(("step", "what it does", "reads", "now"), plan["rows"])


def picks_of(composed: Any, config: dict[str, Any]) -> dict[str, Any]:
    """Return config group to the option picked; an ensembler of members names them, and no model, which it does not read."""
    from mlframe.contracts import models_of

    picks = {key: value for key, value in composed.choices.items() if value is not None}
    if (config.get("ensembler") or {}).get("members"):
        picks["ensembler"] = f"{picks['ensembler']} of {', '.join(models_of(config))}"
        picks.pop("model", None)
    return picks


READERS = {
    "data/source": {"ingest"},
    "validators": {"verify", "predict"},
    "labeler": {"label"},
    "splitter": {"split"},
    "explorer": {"explore"},
    "featurizer": {"fit", "assess"},
    "model": {"fit"},
    "ensembler": {"fit"},
    "evaluators": {"score", "assess", "scope"},
    "reporters": {"report"},
    "deployer": {"deploy"},
    "monitors": {"monitor"},
    "notifiers": {"monitor"},
    "level": {"register"},
}
"""Config group to the steps that read it: a task shows only the groups of its own steps."""
