"""Asks whether targets, today's baseline and the champion are met, and whether it pays; each answer with its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mlframe.contracts import Figure, Interval, Judged, Predictions, Step
from mlframe.errors import MlframeError, UnknownNameError
from mlframe.pipeline import Learning, Pipeline
from mlframe.steps.evaluate import first_of_each
from mlframe.steps.learned import digested_by, label_columns, label_digests, learned_rows
from mlframe.steps.records import declared_figures, figures_by_part
from mlframe.steps.register import TRAINED_ROWS, row_digests
from mlframe.steps.split import unpack
from mlframe.steps.worth import decides_alike, median_of, worth_check, worth_record
from mlframe.table import Table

LEAST_ROWS = 30
MOST_RESAMPLES = 500
LEAST_RESAMPLES = 100
WORK = 4_000_000
"""Rows that may be measured in all resamples together: keeps the comparison to seconds on large holdouts."""


class Gate(Step):
    """Gives `verdict`: passed or not, check by check."""

    summary = "asks whether targets are met and the champion is matched"
    reads = ("goal", "gate", "evaluators", "fit.threshold", "seed")
    needs = ("scores", "evaluation", "holdout", "oof", "labelled", "labels", "learning", "split")
    needs_if_present = ("assessment",)
    gives = {"verdict": "value"}
    cached = False  # the champion may have changed

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Compare the figures with the targets and today's, the challenger with the champion, and count the money."""
        learning = Learning.from_record(inputs["learning"])
        declared = declared_figures(context, learning.task)
        measured = figures_by_part(inputs["scores"], inputs["evaluation"])
        part = "holdout" if measured["holdout"] else "folds"
        figures = measured[part]
        targets = context.config["goal"].get("targets") or {}
        champion_then = context.store.holder(context.config["name"])
        checks = [target_check(name, wanted, figures.get(name), declared, part) for name, wanted in targets.items()]
        metric = inputs["scores"]["metric"]
        baseline = context.config["goal"].get("baseline")
        if isinstance(baseline, int | float):
            checks.append(baseline_check(float(baseline), figures.get(metric), declared[metric], part))
        leaks = leak_check(inputs["assessment"])
        if leaks:
            checks.append(leaks)
        if part == "holdout":
            champion = champion_check(context, metric, declared[metric], learning, inputs)
            if champion:
                checks.append(champion)
        if not targets:
            context.say("goal.targets is empty: there is no target to meet")
        said = Predictions(inputs["holdout"], learning.task, learning.classes, "holdout")
        if inputs["holdout"].height == 0:
            said = Predictions(first_of_each(inputs["oof"]), learning.task, learning.classes, "folds")
        usual = median_of(learning, inputs["labels"]["target"], unpack(inputs["split"]).development)
        value = worth_record(context.config, said, usual)
        if value:
            checks.append(worth_check(value, said.part))
            context.say(value["text"])
            alike = decides_alike(said, context.config["goal"]["value"], context.config["fit"]["threshold"])
            if alike:
                context.say(alike)
            if (
                value["gain"]["value"] < 0
                and learning.task == "binary"
                and context.config["fit"]["threshold"] != "value"
            ):
                context.say("fit.threshold=value acts where it pays by goal.value, instead of on the likelier class")
        passed = all(check["passed"] is not False for check in checks)
        verdict = {"passed": passed, "part": part, "checks": checks, "value": value, "champion": champion_then}
        return {"verdict": verdict}

    def summarize(self, **given: Any) -> Mapping[str, Any]:
        """Return the verdict."""
        return {"gate": given["verdict"]}


def baseline_check(wanted: float, found: Interval | None, figure: Figure, part: str) -> dict[str, Any]:
    """Compare the metric with what it is today."""
    base = {"name": "better than today", "wanted": wanted, "better": figure.better}
    if found is None:
        evidence = f"{figure.name} could not be measured on the {part}"
        return {**base, "passed": False, "value": None, "evidence": evidence}
    passed = found.value > wanted if figure.better == "higher" else found.value < wanted
    evidence = f"{part} {figure.name} {found.value:.4g}; goal.baseline is {wanted:g}"
    if passed and found.low is not None and found.high is not None and found.low <= wanted <= found.high:
        evidence += f" (the 95 % interval {found.low:.4g} to {found.high:.4g} holds it)"
    return {**base, "passed": bool(passed), "value": found.value, "evidence": evidence}


def leak_check(assessment: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Say no to figures that a leak may have made; None when nobody looked for leaks."""
    if not assessment or "findings" not in assessment:
        return None
    base = {"name": "no leak", "value": None, "wanted": None, "better": "higher"}
    open_ones = [item for item in assessment["findings"] if item["severity"] == "problem"]
    if not open_ones:
        return {**base, "passed": True, "evidence": "the leakage checks found nothing that is not accepted"}
    evidence = "; ".join(f"{item['text']} (if this is no leak: {item['accept']})" for item in open_ones)
    return {**base, "passed": False, "evidence": evidence}


def target_check(
    name: str, wanted: float, found: Interval | None, declared: Mapping[str, Figure], part: str
) -> dict[str, Any]:
    """Compare one figure with its target.

    Raises:
        UnknownNameError: no evaluator declares the figure.
    """
    if name not in declared:
        raise UnknownNameError.from_name("figure", name, declared, where=f"goal.targets.{name}")
    better = declared[name].better
    if found is None:
        evidence = f"{name} could not be measured on the {part}"
        return {"name": name, "passed": False, "value": None, "wanted": wanted, "better": better, "evidence": evidence}
    passed = found.value >= wanted if better == "higher" else found.value <= wanted
    sure = ""
    if found.low is not None and found.high is not None:
        edge = found.low if better == "higher" else found.high
        certain = edge >= wanted if better == "higher" else edge <= wanted
        sure = f", 95 % interval {found.low:.4g} to {found.high:.4g}"
        if passed and not certain:
            sure += " (the interval reaches past the target)"
    word = "at least" if better == "higher" else "at most"
    evidence = f"{part} {name} {found.value:.4g}{sure}; wanted {word} {wanted:g}"
    return {
        "name": name,
        "passed": bool(passed),
        "value": found.value,
        "wanted": wanted,
        "better": better,
        "evidence": evidence,
    }


def champion_check(
    context: Any, metric: str, figure: Figure, learning: Learning, inputs: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Score the champion again on the challenger's holdout, without the rows that it was trained on.

    Returns:
        The check; None when there is no champion. `passed` is None when the two cannot be compared.
    """
    name = context.config["name"]
    try:
        version = context.store.version(f"{name}@champion")
    except UnknownNameError:
        context.say("no champion yet to compare with")
        return None
    reference = version["reference"]
    margin = context.config["gate"]["margin"]
    asked = "no worse than" if margin is None else "better than"
    base = {"name": f"{asked} {reference}", "wanted": None, "value": None, "better": figure.better}

    def unable(reason: str) -> dict[str, Any]:
        context.say(f"not compared with {reference}: {reason}")
        return {**base, "passed": None, "evidence": f"not compared: {reason}"}

    try:
        folder: Path = context.store.open_bundle(reference)
        champion = Pipeline.load(folder / "pipeline", context.plugins.registry)
    except MlframeError as error:
        return unable(str(error).splitlines()[0])
    if (champion.learning.task, champion.learning.classes) != (learning.task, learning.classes):
        return unable("it learned another task or other classes")
    table: Table = inputs["labelled"]
    rows = unpack(inputs["split"]).holdout
    held = table.take(rows)
    missing = [column for column in champion.inputs if column not in held.frame.columns]
    if missing:
        return unable(f"the data no longer has its columns {', '.join(missing)}")
    fresh = new_to(context, reference, folder, champion.inputs, held)
    if isinstance(fresh, str):
        return unable(fresh)
    if fresh.sum() < LEAST_ROWS:
        return unable(f"only {int(fresh.sum())} holdout rows are new to it, fewer than {LEAST_ROWS}")
    positions = np.flatnonzero(fresh)
    ours = Predictions(inputs["holdout"][positions], learning.task, learning.classes, "holdout")
    labels: pl.DataFrame = inputs["labels"][rows[positions]]
    weight = labels["weight"].to_numpy()
    theirs = champion.predictions(held.take(positions), labels["target"], weight, "holdout")
    challenger, incumbent, difference = compare(context, metric, ours, theirs, learning)
    if challenger is None or incumbent is None or difference is None:
        return unable(f"{metric} cannot be measured on these rows")
    sign = 1.0 if figure.better == "higher" else -1.0
    tolerance = float(context.config["gate"]["tolerance"])
    gain = sorted((sign * difference[0], sign * difference[1]))
    # Worse beyond doubt: the whole interval of the difference lies on the wrong side of the tolerance; with a margin,
    # better beyond doubt: the whole interval lies above it.
    passed = gain[1] >= -tolerance if margin is None else gain[0] > float(margin)
    evidence = (
        f"{metric} {challenger:.4g} against {incumbent:.4g} of {reference} on {len(positions):,} holdout rows that are new "
        f"to it; difference {challenger - incumbent:+.4g}, 95 % interval {difference[0]:+.4g} to {difference[1]:+.4g}"
    )
    if margin is not None:
        evidence += f"; wanted better by more than {float(margin):g} beyond doubt"
    return {**base, "passed": bool(passed), "value": challenger, "wanted": incumbent, "evidence": evidence}


def new_to(context: Any, reference: str, folder: Path, inputs: list[str], held: Table) -> Any:
    """Tell which rows are new to a version, shape (rows,), or why that cannot be told.

    Where rows have a time, one is known that was learned with this time and label: who comes again is another row. Without, rows
    whose features it has learned are known, whatever their label.
    """
    columns = label_columns(held, inputs)
    if held.one("time") in columns:
        learned = learned_rows(context.store, reference, columns)
        if learned is not None:
            return ~np.isin(label_digests(held.frame, columns), learned)
    then = digested_by(folder)
    if then != pl.__version__:  # polars promises equal row digests within one version only
        return f"the rows that it learned from were digested by polars {then}, this is {pl.__version__}"
    # Bundles of older versions of mlframe hold the file themselves.
    trained = context.store.beside(reference).get(TRAINED_ROWS, folder / TRAINED_ROWS)
    if not trained.exists():
        return "which rows it learned from is not known here"
    return ~np.isin(row_digests(held.frame, inputs), np.load(trained, allow_pickle=False))


def compare(
    context: Any, metric: str, ours: Predictions, theirs: Predictions, learning: Learning
) -> tuple[float | None, float | None, tuple[float, float] | None]:
    """Measure both on the same rows, and their difference on the same bootstrap resamples."""
    evaluator = next(
        evaluator
        for _, evaluator in context.components("evaluators")
        if learning.task in evaluator.tasks and metric in {figure.name for figure in evaluator.declares()}
    )

    def measure(predictions: Predictions) -> float | None:
        found = evaluator.evaluate(Judged(predictions, pictures=False, intervals=False)).figures.get(metric)
        return None if found is None else found.value

    a, b = measure(ours), measure(theirs)
    if a is None or b is None:
        return a, b, None
    # Every figure is a number of some rows, so one loop serves the figures of any plugin (Efron and Tibshirani, 1993).
    random = np.random.default_rng(context.config["seed"])
    rows = ours.frame.height
    resamples = int(np.clip(WORK // rows, LEAST_RESAMPLES, MOST_RESAMPLES))
    differences = []
    for _ in range(resamples):
        chosen = random.integers(0, rows, rows)
        x = measure(Predictions(ours.frame[chosen], learning.task, learning.classes, "holdout"))
        y = measure(Predictions(theirs.frame[chosen], learning.task, learning.classes, "holdout"))
        if x is not None and y is not None:
            differences.append(x - y)
    if not differences:
        return a, b, None
    low, high = np.quantile(differences, [0.025, 0.975])
    return a, b, (float(low), float(high))
