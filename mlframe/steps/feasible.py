"""What simple ways reach on the folds, what more rows would bring, and what follows; the part of `assess` that fits models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mlframe.contracts import Chart, Figure, Interval, Judged, Predictions, Split
from mlframe.feasibility.curve import extrapolate, nested_parts, rows_needed, sizes_of
from mlframe.feasibility.noise import doubtful_labels, doubtful_values
from mlframe.feasibility.rules import ask_one_question, repeat_last
from mlframe.feasibility.verdict import Evidence, judge, smallest_effect
from mlframe.pipeline import Learning, Member, as_predictions, fit_estimator, wants_of
from mlframe.stats.money import paying_threshold
from mlframe.steps.records import declared_figures
from mlframe.steps.score import mean_of, the_metric
from mlframe.steps.split import unpack
from mlframe.steps.worth import median_of, worth_record
from mlframe.table import Table

if TYPE_CHECKING:
    from mlframe.steps.assess import Assess

__all__ = ["feasibility"]

Array = npt.NDArray[Any]

LEAST_ROWS = 50
"""Fewer rows teach a model nothing that says anything about more of them."""
FARTHER = (2, 10)
"""How many times the rows of today the learning curve is drawn on to."""
TRIVIAL = ("usual answer", "last answer again")


@dataclass
class Trial:
    """What one simple way said of the folds.

    Args:
        name: what it is called.
        summary: what it does, in a few words.
        parts: predictions, one a fold.
        scores: the metric, one a fold (folds that do not define it are left out).
    """

    name: str
    summary: str
    parts: list[Predictions] = field(default_factory=list)
    scores: list[Interval] = field(default_factory=list)


class Bench:
    """The rows, the cut and the judge that all simple ways share."""

    def __init__(
        self, context: Any, labelled: Table, labels: pl.DataFrame, learning: Mapping[str, Any], split: Any
    ) -> None:
        self.context, self.table, self.labels = context, labelled, labels
        self.learning = Learning.from_record(learning)
        self.cut: Split = unpack(split)
        self.target = self.learning.codes(labels["target"])
        self.weight = labels["weight"].to_numpy()
        declared = declared_figures(context, self.learning.task)
        metric = the_metric(context.config["goal"].get("metric"), self.learning.task, declared)
        self.metric: Figure = declared[metric]
        self.judge = next(
            evaluator
            for _, evaluator in context.components("evaluators")
            if self.learning.task in evaluator.tasks and metric in {figure.name for figure in evaluator.declares()}
        )

    def score(self, said: Predictions, *, intervals: bool = True) -> Interval | None:
        """Measure the metric."""
        found: Interval | None = self.judge.evaluate(Judged(said, pictures=False, intervals=intervals)).figures.get(
            self.metric.name
        )
        return found

    def predictions(self, outputs: Array, rows: Array, fold: int) -> Predictions:
        """Put outputs beside the truth."""
        ids, truth, weight = self.table.row_ids[rows], self.labels["target"][rows], self.weight[rows]
        return as_predictions(outputs, ids, truth, weight, fold, self.learning, "folds")

    def fit_predict(self, node: Mapping[str, Any], train: Array, valid: Array, kept: dict[Any, Any]) -> Array:
        """Fit the config's featurizer and a model on train rows, and predict valid rows; `kept` shares the features."""
        registry = self.context.plugins.registry
        estimator = registry.create("model", node, task=self.learning.task)
        adapter = registry.adapter("model", node["name"])
        wants = wants_of(estimator, adapter)
        if wants not in kept:
            featurizer = self.context.component("featurizer")
            rows = self.table.take(train)
            featurizer.fit(rows, self.target[train], wants)
            kept[wants] = (
                featurizer,
                featurizer.transform(rows.frame),
                featurizer.transform(self.table.take(valid).frame),
            )
        featurizer, learned, judged = kept[wants]
        weighted = bool((self.weight != 1.0).any())
        fit_estimator(
            estimator,
            adapter,
            learned,
            self.target[train],
            self.weight[train] if weighted else None,
            None,
            f"assess: model {node['name']}",
        )
        member = Member(featurizer, estimator, node["name"], learned.names, learned.origins, adapter)
        return member.answer(judged.matrix, len(self.learning.classes))


def feasibility(context: Any, step: Assess, findings: Sequence[Mapping[str, Any]], **inputs: Any) -> dict[str, Any]:
    """Return what the assessment says beside the leaks, as plain JSON values.

    Args:
        context: the run.
        step: its options.
        findings: what the leakage checks found.
        **inputs: labelled, labels, learning, split.
    """
    bench = Bench(context, **inputs)
    trials = _trials(bench, step)
    scores = {trial.name: found for trial in trials if (found := mean_of(trial.scores)) is not None}
    goal, metric = context.config["goal"], bench.metric
    record: dict[str, Any] = {"metric": metric.name, "better": metric.better, "task": bench.learning.task, "charts": []}
    if "baselines" in step.parts:
        record["baselines"] = [
            {
                "name": trial.name,
                "score": scores[trial.name].value,
                "low": scores[trial.name].low,
                "high": scores[trial.name].high,
                "summary": trial.summary,
            }
            for trial in trials
            if trial.name in scores
        ]
        record["charts"].append(_bars(scores, metric))
    learner = next(trial for trial in trials if trial.name == step.curve)
    rows = int(np.mean([len(train) for train, _ in bench.cut.folds]))
    target = (goal.get("targets") or {}).get(metric.name)
    if "curve" in step.parts:
        record["curve"] = _curve(bench, step, learner, target)
        if "law" in record["curve"]:
            record["charts"].append(_curve_chart(record["curve"], metric, step.curve))
    if "noise" in step.parts:
        record["noise"] = _noise(learner, bench.learning)
    effect = None
    if "effect" in step.parts:
        held = len(bench.cut.holdout)
        known = [(i.value, i.low, i.high) for i in learner.scores if i.low is not None and i.high is not None]
        halves = [(high - low) / 2 for _, low, high in known if low is not None and high is not None]
        judged = [part.frame.height for part in learner.parts][: len(halves)]
        effect = smallest_effect(halves, judged, held)
        record["smallest_effect"] = None if effect is None else asdict(effect)
    sign = 1.0 if metric.better == "higher" else -1.0
    best = max(trials, key=lambda trial: sign * scores[trial.name].value if trial.name in scores else -np.inf)
    record["value"] = _value(bench, best)
    gain = (record["value"] or {}).get("gain")
    curve = record.get("curve") or {}
    baseline = goal.get("baseline")
    record["verdict"] = judge(
        Evidence(
            metric=metric.name,
            better=metric.better,
            scores={name: (found.value, found.low, found.high) for name, found in scores.items()},
            trivial=TRIVIAL,
            target=target,
            baseline=float(baseline) if isinstance(baseline, int | float) else None,
            needed=curve.get("needed"),
            rows=rows,
            farthest=(curve["ahead"][-1]["rows"], curve["ahead"][-1]["value"]) if curve.get("ahead") else None,
            effect=effect,
            leaks=[item["text"] for item in findings if item["severity"] == "problem"],
            gain=(gain["value"], gain["low"], gain["high"]) if gain else None,
            currency=str((record["value"] or {}).get("currency", "")),
        )
    )
    return record


# ------------------------------------------------------------------------------------------------ simple ways


def _trials(bench: Bench, step: Assess) -> list[Trial]:
    """Let every simple way predict every fold."""
    classes = len(bench.learning.classes)
    usual = Trial(TRIVIAL[0], "says the shares of the classes" if classes else "says the mean")
    last = Trial(TRIVIAL[1], "says what the row before in time was, if that is known by then")
    question = Trial("one question", "asks one question about one column")
    models = {name: Trial(name, f"model {node['name']}") for name, node in step.models.items()}
    time = bench.table.one("time")
    times = None if time is None else bench.table.frame[time].to_physical().fill_null(0).to_numpy()
    asked: list[str] = []
    alike: list[float] = []
    for fold, (train, valid) in enumerate(bench.cut.folds):
        bench.context.progress(fold, len(bench.cut.folds), f"simple ways, fold {fold + 1} of {len(bench.cut.folds)}")
        target = bench.target
        if classes:
            shares = np.bincount(target[train].astype(np.intp), minlength=classes) / len(train)
            _judge(bench, usual, np.tile(shares, (len(valid), 1)), valid, fold)
        else:
            _judge(bench, usual, np.full(len(valid), target[train].mean()), valid, fold)
        if times is not None:
            outputs = repeat_last(times, target, train, valid, classes)
            _judge(bench, last, outputs, valid, fold)
            if classes:
                alike.append(float((outputs.argmax(axis=1) == target[valid]).mean()))
        found = ask_one_question(bench.table.take(train), target[train], classes)
        if found is not None:
            asked.append(found.text)
            _judge(bench, question, found.say(bench.table.take(valid).frame), valid, fold)
        kept: dict[Any, Any] = {}
        for name, trial in models.items():
            _judge(bench, trial, bench.fit_predict(step.models[name], train, valid, kept), valid, fold)
    if alike:
        last.summary += f"; its label is right in {np.mean(alike):.1%} of the rows"
    if asked:
        question.summary = f"asks one question: {max(asked, key=asked.count)}"
    return [trial for trial in (usual, last, question, *models.values()) if trial.parts]


def _judge(bench: Bench, trial: Trial, outputs: Array, valid: Array, fold: int) -> None:
    said = bench.predictions(outputs, valid, fold)
    trial.parts.append(said)
    found = bench.score(said)
    if found is not None:
        trial.scores.append(found)


def _value(bench: Bench, best: Trial) -> dict[str, Any] | None:
    """Return what decisions on the folds are worth, by the best simple way, from the probability on that pays."""
    learning = bench.learning
    if learning.task == "multiclass":
        return None
    frame = pl.concat([part.frame for part in best.parts])
    usual = median_of(learning, bench.labels["target"], bench.cut.development)
    config = bench.context.config
    said = Predictions(frame, learning.task, learning.classes, "folds")
    threshold = paying_threshold(config["goal"].get("value") or {}) if learning.classes else None
    found = worth_record(config, said, usual, threshold=threshold)
    if found is not None and threshold is not None:
        found["threshold"] = threshold
    return found


def _noise(learner: Trial, learning: Learning) -> dict[str, Any]:
    """Return how many labels are doubtful, by the out-of-fold predictions of the learner."""
    frame = pl.concat([part.frame for part in learner.parts]).unique("row_id", keep="first", maintain_order=True)
    said = Predictions(frame, learning.task, learning.classes, "folds")
    found = doubtful_labels(said.y, said.proba) if learning.classes else doubtful_values(said.y, said.y_pred)
    if learning.classes:
        text = f"at most {found.share:.1%} of the labels are doubtful ({found.rows:,} rows; hard rows count with wrong ones)"
    else:
        text = f"{found.share:.1%} of the values lie far from what {learner.name} predicts ({found.rows:,} rows)"
    pairs = [
        {"given": learning.classes[given], "likely": learning.classes[likely], "rows": rows}
        for given, likely, rows in found.pairs
    ]
    return {"share": found.share, "rows": found.rows, "pairs": pairs, "text": text}


# ------------------------------------------------------------------------------------------------ learning curve


def _curve(bench: Bench, step: Assess, learner: Trial, target: float | None) -> dict[str, Any]:
    """Fit the learner on growing parts of each fold's train rows, and look ahead."""
    seed, metric = bench.context.config["seed"], bench.metric
    least = max(LEAST_ROWS, 10 * max(len(bench.learning.classes), 1))
    smallest = min(len(train) for train, _ in bench.cut.folds)
    shares = [size / smallest for size in sizes_of(smallest, step.sizes, least)]
    found = np.full((len(bench.cut.folds), len(shares)), np.nan)
    sizes = np.zeros_like(found)
    splitter, task = bench.context.component("splitter"), bench.learning.task

    def by_rule(rows: Array, share: float) -> tuple[Array, Array]:
        return splitter.cut(bench.table, bench.target, task, rows, share)  # type: ignore[no-any-return]

    for fold, (train, valid) in enumerate(bench.cut.folds):
        for at, part in enumerate(nested_parts(by_rule, train, shares)):
            bench.context.progress(None, None, f"learning curve, fold {fold + 1}, {shares[at]:.0%} of the rows")
            if part is None or (bench.learning.classes and len(np.unique(bench.target[part])) < 2):
                continue
            sizes[fold, at] = len(part)
            if at + 1 == len(shares):
                said: Predictions | None = learner.parts[fold]
            else:
                outputs = bench.fit_predict(step.models[step.curve], part, valid, {})
                said = bench.predictions(outputs, valid, fold)
            score = bench.score(said, intervals=False) if said is not None else None
            found[fold, at] = np.nan if score is None else score.value
    whole = float(np.mean([len(train) for train, _ in bench.cut.folds]))
    able = np.isfinite(found).all(axis=1)
    kept = found[able]
    # What the rule gave: whole groups need not come near the share that was wanted.
    rows = sizes[able].mean(axis=0) if able.any() else whole * np.asarray(shares)
    record: dict[str, Any] = {"model": step.curve, "rows": [round(n) for n in rows]}
    if len(kept) == 0 or len(np.unique(rows)) < 3:
        return {**record, "text": "there are too few rows for a learning curve"}
    record |= {"scores": kept.mean(axis=0).tolist(), "per_fold": kept.tolist()}
    higher = metric.better == "higher"
    if higher and kept.max() > 1:
        return {**record, "text": f"the curve is not drawn on, since {metric.name} has no upper end"}
    errors = 1 - kept if higher else kept
    wanted = [whole * factor for factor in FARTHER]
    law, ahead, laws = extrapolate(rows, errors, wanted, seed=seed)

    def back(error: float) -> float:
        return 1 - error if higher else error

    record["law"] = {"floor": law.floor, "scale": law.scale, "exponent": law.exponent}
    record["ahead"] = [
        {
            "rows": round(n),
            "value": back(value),
            "low": min(back(low), back(high)),
            "high": max(back(low), back(high)),
        }
        for n, (value, low, high) in zip(wanted, ahead, strict=True)
    ]
    farthest = record["ahead"][-1]
    record["text"] = (
        f"with {round(whole):,} rows {metric.name} is {record['scores'][-1]:.4g}; ten times as many would give about "
        f"{farthest['value']:.4g} ({farthest['low']:.4g} to {farthest['high']:.4g})"
    )
    if law.scale == 0:
        record["text"] = (
            f"with {round(whole):,} rows {metric.name} is {record['scores'][-1]:.4g}, with no steady gain from fewer rows to more"
        )
    if target is not None:
        error = 1 - target if higher else target
        record["needed"] = rows_needed(law, error, round(whole))
        reach = [needed for other in laws if (needed := rows_needed(other, error, round(whole))) is not None]
        record["chance"] = len(reach) / len(laws)
    return record


# ------------------------------------------------------------------------------------------------ pictures


def _bars(scores: Mapping[str, Interval], metric: Figure) -> dict[str, Any]:
    from mlframe.charts.plots import bars

    names = list(scores)
    spread = [
        (found.high - found.low) / 2 if found.low is not None and found.high is not None else 0.0
        for found in scores.values()
    ]
    said = ", ".join(f"{name} {found.value:.4g}" for name, found in scores.items())
    word = "more" if metric.better == "higher" else "less"
    return _plain(
        bars(
            "baselines",
            f"What simple ways reach: {metric.name} on the folds ({word} is better)",
            f"{metric.name} on the folds: {said}. Whiskers are 95 % intervals.",
            names,
            [found.value for found in scores.values()],
            x=metric.name,
            spread=spread,
        )
    )


def _curve_chart(curve: Mapping[str, Any], metric: Figure, name: str) -> dict[str, Any]:
    from mlframe.charts.plots import Series, lines

    rows, ahead = np.log10(curve["rows"]), curve["ahead"]
    law = curve["law"]
    grid = np.geomspace(curve["rows"][0], ahead[-1]["rows"], 60)
    error = law["floor"] + law["scale"] * grid ** -law["exponent"]
    fitted = 1 - error if metric.better == "higher" else error
    measured = np.asarray(curve["scores"])
    far = np.log10([item["rows"] for item in ahead])
    per_fold = np.asarray(curve["per_fold"])
    series = [
        Series("measured", rows, measured, True, per_fold.min(axis=0), per_fold.max(axis=0)),
        Series("power law", np.log10(grid), fitted),
        Series(
            "expected",
            far,
            np.array([item["value"] for item in ahead]),
            True,
            np.array([item["low"] for item in ahead]),
            np.array([item["high"] for item in ahead]),
        ),
    ]
    names = [(float(np.log10(n)), f"{n:,}") for n in (curve["rows"][0], curve["rows"][-1], ahead[-1]["rows"])]
    told = ", ".join(f"{score:.3f} with {n:,} rows" for n, score in zip(curve["rows"], curve["scores"], strict=True))
    alt = f"{curve['text']}. Measured: {told}. Whiskers: spread of the folds where measured, 95 % interval where expected."
    chart = lines(
        "learning_curve",
        f"Learning curve of {name}: {metric.name} by train rows",
        alt,
        series,
        x="train rows (each step ten times as many)",
        y=metric.name,
        x_names=names,
    )
    return _plain(chart)


def _plain(chart: Chart) -> dict[str, Any]:
    return asdict(chart)
