"""Members as one candidate: fitted, cached and refitted as if each ran alone, combined by their out-of-fold outputs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from mlframe.contracts import ALONE, Combination, Combiner, Features, MemberOutputs
from mlframe.contracts import Split as Cut
from mlframe.errors import ConfigError, Pruned
from mlframe.pipeline import (
    Learning,
    Member,
    Node,
    Pipeline,
    Rows,
    as_predictions,
    fit_estimator,
    leaves,
    stacked,
    wants_of,
)
from mlframe.pipeline.tree import Part
from mlframe.registry import apart
from mlframe.steps.candidate import check_finite, combined_tree
from mlframe.steps.finish import others
from mlframe.steps.measure import SURE_TRIES, latency, scorer
from mlframe.steps.records import declared_figures
from mlframe.steps.split import keeps_folds, unpack
from mlframe.steps.time_limit import TimeLimit
from mlframe.table import Table

__all__ = ["combine_members", "refit_members"]


@dataclass(frozen=True)
class _Panel:
    """What the members say of the rows that some fold validated, and these rows.

    Args:
        context: the run.
        learning: task and classes.
        table: the rows, in the order of the out-of-fold predictions.
        oof: row_id, fold, y and weight of these rows.
        given: the members' outputs.
        metric: name of the figure that decides.
    """

    context: Any
    learning: Learning
    table: Table
    oof: pl.DataFrame
    given: MemberOutputs
    metric: str

    def take(self, rows: Any) -> _Panel:
        """Return some of the rows."""
        return self._with(self.table.take(rows), self.oof[rows], self.given.names, self.given.outputs[:, rows])

    def keep(self, names: Sequence[str]) -> _Panel:
        """Return some of the members."""
        chosen = [self.given.names.index(name) for name in names]
        return self._with(self.table, self.oof, tuple(names), self.given.outputs[chosen])

    def _with(self, table: Table, oof: pl.DataFrame, names: tuple[str, ...], outputs: Any) -> _Panel:
        return panel(self.context, self.learning, table, oof, names, outputs)


def panel(
    context: Any, learning: Learning, table: Table, oof: pl.DataFrame, names: tuple[str, ...], outputs: Any
) -> _Panel:
    """Build a panel, with the score that goes with its rows."""
    weight, fold = oof["weight"].to_numpy(), oof["fold"].to_numpy()
    metric, score = scorer(context, learning, oof["y"], weight, fold)
    given = MemberOutputs(names, outputs, learning.codes(oof["y"]), weight, fold, learning.task, score)
    return _Panel(context, learning, table, oof, given, metric)


def combine_members(context: Any, ensembler: Combiner, **inputs: Any) -> dict[str, Any]:
    """Give `fit`'s artifacts for members that are combined."""
    learning, table = Learning.from_record(inputs["learning"]), inputs["labelled"]
    cut = unpack(inputs["split"])
    found = fit_members(context, ensembler, cut)
    check_alike({name: item["oof"] for name, item in found.items()}, learning)
    first = next(iter(found.values()))["oof"]
    rows = table.take(np.concatenate([valid for _, valid in cut.folds]))
    outputs = np.stack([outputs_of(item["oof"], learning) for item in found.values()])
    whole = panel(context, learning, rows, first.select("row_id", "fold", "y", "weight"), tuple(found), outputs)
    folds = {name: item["members"].root.parts for name, item in found.items()}
    if ensembler.latency_ms is not None:
        whole = within(whole, ensembler, {name: parts[0] for name, parts in folds.items()})
    nodes, frames = crossfitted(whole, ensembler, folds)
    combination = ensembler.combine(whole.given)
    fitting = facts(whole, combination, [found[name]["fitting"] for name in whole.given.names])
    root = shared(Node("mean", nodes))
    columns = next(iter(found.values()))["members"].columns
    fitting["latency_ms"] = latency(Pipeline(root.parts[0], learning), table.frame)
    oof = pl.concat(frames)
    tell_result(whole, combination, oof)
    return {"oof": oof, "members": Pipeline(root, learning, columns), "fitting": fitting}


def fit_members(context: Any, ensembler: Combiner, cut: Cut) -> dict[str, dict[str, Any]]:
    """Return the artifacts of each member that is fitted within the ensembler's time; the first one always is."""
    again = 0 if keeps_folds(context.config["fit"]["refit"], cut) else len(cut.development)
    limit = TimeLimit(ensembler.seconds, [len(train) for train, _ in cut.folds], again)
    found: dict[str, dict[str, Any]] = {}
    for name, changes in member_configs(context, ensembler).items():
        began = limit.clock()
        try:
            with limit.member() if found else nullcontext() as checkpoint:
                # A member's folds and rounds say nothing of the ensemble: no sweep is told of them.
                member = replace(context, checkpoint=checkpoint)
                given, cached = member.under(changes, "oof", "members", "fitting", label=name)
        except Pruned as end:
            context.say(f"{name} is left out: {end.what} (ensembler.seconds)")
            continue
        found[name] = given
        # Judging and storing take their time too, and again for what is fitted again; the cache only knows of fitting.
        fitted = sum(fold["featurize"] + fold["fit"] for fold in given["fitting"]["folds"])
        limit.keep(max(fitted, limit.clock() - began))
        context.say(
            f"{name}: model={changes['model']['name']}, {len(cut.folds)} folds {'from the cache' if cached else 'fitted'}"
        )
    return found


def refit_members(context: Any, ensembler: Combiner, fitting: Mapping[str, Any], **inputs: Any) -> Pipeline:
    """Return what is deployed: members refitted on all development rows, combined as all out-of-fold rows say."""
    learning = Learning.from_record(inputs["learning"])
    record = fitting["combination"]
    configs = member_configs(context, ensembler)
    combination = Combination(record["rule"], record["weights"], record["final"], record["passthrough"])
    found = {name: context.under(configs[name], "pipeline", "oof", label=name)[0] for name in record["members"]}
    parts: list[Part] = [item["pipeline"].root for item in found.values()]
    final = None
    if combination.final is not None:
        cut = unpack(inputs["split"])
        first = next(iter(found.values()))["oof"]
        rows = inputs["labelled"].take(np.concatenate([valid for _, valid in cut.folds]))
        outputs = np.stack([outputs_of(item["oof"], learning) for item in found.values()])
        final = fit_final(panel(context, learning, rows, first, tuple(found), outputs), combination)
    root = shared(combined_tree(combination, parts, final))
    return Pipeline(root, learning, next(iter(found.values()))["pipeline"].columns)


def member_configs(context: Any, ensembler: Combiner) -> dict[str, dict[str, Any]]:
    """Return member to the changes under which it runs alone."""
    configs = {}
    for name, node in ensembler.members.items():
        if node is None:
            continue
        model, held = apart(node)
        featurizer = held.get("featurizer", context.config["featurizer"])
        configs[name] = {"ensembler": {"name": ALONE}, "model": model, "featurizer": featurizer}
    return configs


def outputs_of(oof: pl.DataFrame, learning: Learning) -> Any:
    """Return out-of-fold predictions as probabilities (rows, classes) or values (rows,)."""
    if not learning.classes:
        return oof["y_pred"].to_numpy()
    return oof.select([f"p_{name}" for name in learning.classes]).to_numpy()


def check_alike(oofs: Mapping[str, pl.DataFrame], learning: Learning) -> None:
    """Refuse members that did not predict the same rows, folds and classes.

    Raises:
        ConfigError: names the member and what differs.
    """
    names = iter(oofs)
    first = next(names)
    classes = [column for column in oofs[first].columns if column.startswith("p_")]
    for name, oof in oofs.items():
        own = [column for column in oof.columns if column.startswith("p_")]
        if own != classes or own != [f"p_{label}" for label in learning.classes]:
            raise ConfigError(
                f"The members {first} and {name} predict different classes",
                value={first: [c[2:] for c in classes], name: [c[2:] for c in own]},
                where=f"ensembler.members.{name}",
                hint="members must learn the same target from the same rows",
            )
        if not oof.select("row_id", "fold").equals(oofs[first].select("row_id", "fold")):
            raise ConfigError(
                f"The members {first} and {name} were judged on different rows or folds",
                where=f"ensembler.members.{name}",
                hint="members must share data, labeler and splitter",
            )


def crossfitted(
    whole: _Panel, ensembler: Combiner, folds: Mapping[str, Sequence[Part]]
) -> tuple[list[Part], list[pl.DataFrame]]:
    """Return each fold's tree and predictions; what is learned from outputs comes from the other folds."""
    learning, given = whole.learning, whole.given
    nodes: list[Part] = []
    frames: list[pl.DataFrame] = []
    for number in np.unique(given.fold):
        rows = np.flatnonzero(given.fold == number)
        taught = whole.take(others(whole.oof, int(number))) if ensembler.crossfit else whole
        combination = ensembler.combine(taught.given)
        final = fit_final(taught, combination) if combination.final is not None else None
        tree = combined_tree(combination, [folds[name][number] for name in given.names], final)
        nodes.append(tree)
        held = whole.take(rows)
        node = Node(combination.rule, [], combination.weights, final)
        outputs = node.combine(list(held.given.outputs), Rows(held.table.frame), len(learning.classes))
        check_finite(outputs, whole.context)
        weight = held.oof["weight"].to_numpy()
        ids = held.oof["row_id"].to_numpy()
        frames.append(as_predictions(outputs, ids, held.oof["y"], weight, int(number), learning, "folds").frame)
    return nodes, frames


def fit_final(taught: _Panel, combination: Combination) -> Member:
    """Fit the model that learns from outputs, and its featurizer when it reads the rows too."""
    assert combination.final is not None
    taught = once_each(taught)
    context, learning, given = taught.context, taught.learning, taught.given
    registry = context.plugins.registry
    node, held = apart(combination.final)
    estimator = registry.create("model", node, task=learning.task)
    adapter = registry.adapter("model", str(node["name"]))
    own: Features | None = None
    featurizer = None
    if combination.passthrough:
        featurizer = registry.create("featurizer", held.get("featurizer", context.config["featurizer"]))
        featurizer.fit(taught.table, given.target, wants_of(estimator, adapter))
        own = featurizer.transform(taught.table.frame)
    matrix = stacked(list(given.outputs), len(learning.classes), own)
    width = matrix.shape[1] - (len(own.names) if own else 0)
    names = tuple(f"output {number}" for number in range(width)) + (own.names if own else ())
    categorical = tuple(width + index for index in own.categorical) if own else ()
    origins = ("",) * width + (own.origins if own else ())
    weight = given.weight if bool((given.weight != 1.0).any()) else None
    label = f"ensembler.final={node['name']}"
    fit_estimator(estimator, adapter, Features(matrix, names, origins, categorical), given.target, weight, None, label)
    return Member(featurizer, estimator, str(node["name"]), names, origins, adapter)


def once_each(panel: _Panel) -> _Panel:
    """Return each row once, with the mean of its outputs where the folds were cut repeatedly.

    A row that stands there twice would weigh twice and loosen the final model's regularization. Means and not weights,
    which not every model takes.
    """
    _, first, place, times = np.unique(
        panel.oof["row_id"].to_numpy(), return_index=True, return_inverse=True, return_counts=True
    )
    if len(first) == panel.oof.height:
        return panel
    order = np.argsort(first)  # rows stay in the order in which they first came
    outputs = np.moveaxis(panel.given.outputs, 1, 0)
    sums = np.zeros((len(first), *outputs.shape[1:]))
    np.add.at(sums, place, outputs)
    means = np.moveaxis(sums / times.reshape(-1, *[1] * (sums.ndim - 1)), 0, 1)
    rows = first[order]
    return panel._with(panel.table.take(rows), panel.oof[rows], panel.given.names, means[:, order])


def facts(whole: _Panel, combination: Combination, members: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return `fitting` of an ensemble: what the members cost together, how each scores alone, how they are combined."""
    weights = combination.weights or (1.0,) * len(whole.given.names)
    kept = [index for index, weight in enumerate(weights) if weight > 0]
    folds = []
    for parts in zip(*(member["folds"] for member in members), strict=True):
        added = {key: sum(part[key] for part in parts) for key in ("featurize", "fit", "features")}
        folds.append({**parts[0], **added, "rounds": None})
    return {
        "folds": folds,
        "alone": {
            name: whole.given.score(outputs)
            for name, outputs in zip(whole.given.names, whole.given.outputs, strict=True)
        },
        "combination": {
            "rule": combination.rule,
            "members": [whole.given.names[index] for index in kept],
            "weights": None if combination.weights is None else [weights[index] for index in kept],
            "final": combination.final,
            "passthrough": combination.passthrough,
        },
    }


def tell_result(whole: _Panel, combination: Combination, oof: pl.DataFrame) -> None:
    """Say how members are combined, and what that brings against the best of them."""
    given = whole.given
    alone = [given.score(outputs) for outputs in given.outputs]
    best = int(np.argmax(alone))
    score = given.score(outputs_of(oof, whole.learning))
    shares = ""
    if combination.weights is not None:
        total = sum(combination.weights)
        order = sorted(zip(combination.weights, given.names, strict=True), key=lambda item: -item[0])
        shares = " of " + ", ".join(f"{name} {weight / total:.2g}" for weight, name in order if weight > 0)
        left = [name for weight, name in order if weight == 0]
        shares += f" (left out: {', '.join(left)})" if left else ""
    context = whole.context
    sign = 1 if declared_figures(context, whole.learning.task)[whole.metric].better == "higher" else -1
    context.say(
        f"{combination.rule}{shares}: {whole.metric} {sign * score:.4f} out of fold, the best member alone "
        f"({given.names[best]}) {sign * alone[best]:.4f}"
    )


def within(whole: _Panel, ensembler: Combiner, folds: Mapping[str, Part]) -> _Panel:
    """Drop members until one row is predicted within the limit: each time the one that gains least for its time.

    Raises:
        ConfigError: no member alone is quick enough.
    """
    limit, context = float(ensembler.latency_ms or 0.0), whole.context

    def taken(names: Sequence[str]) -> float:
        tree = shared(Node("mean", [folds[name] for name in names]))
        return latency(Pipeline(tree, whole.learning), whole.table.frame, SURE_TRIES)

    def score(names: Sequence[str]) -> float:
        kept = whole.keep(names)
        return kept.given.score(
            outputs_of(pl.concat(crossfitted(kept, ensembler, {n: _Same(folds[n]) for n in names})[1]), whole.learning)
        )

    names, cost = list(whole.given.names), taken(whole.given.names)
    start = cost
    while cost > limit:
        if len(names) == 1:
            raise ConfigError(
                f"No member predicts a row within {limit:g} ms; {names[0]}, the last one left, takes {cost:.2f} ms",
                where="ensembler.latency_ms",
                hint="allow more time, or bring quicker members",
            )
        whole_score = score(names)
        rests = {name: [other for other in names if other != name] for name in names}
        saved = {name: max(cost - taken(rest), 1e-6) for name, rest in rests.items()}
        lost = {name: max(whole_score - score(rest), 0.0) for name, rest in rests.items()}
        worst = min(names, key=lambda name: (lost[name] / saved[name], -saved[name]))
        context.say(
            f"{worst} is left out: {saved[worst]:.2f} ms a row for {lost[worst]:.4f} of {whole.metric} "
            f"({cost:.2f} ms, ensembler.latency_ms={limit:g})"
        )
        names.remove(worst)
        cost = taken(names)
    if len(names) < len(whole.given.names):
        context.say(f"one row takes {cost:.2f} ms with {', '.join(names)}, {start:.2f} ms with all")
    return whole.keep(names)


class _Same(Sequence[Part]):
    """One part in the place of every fold's."""

    def __init__(self, part: Part) -> None:
        self.part = part

    def __getitem__(self, index: Any) -> Any:
        return self.part

    def __len__(self) -> int:
        return 1


def shared(root: Any) -> Any:
    """Return the tree with equal featurizers made one, so that rows are turned into numbers once."""
    from mlframe.store.bundle import kept_skops

    known: dict[str, Any] = {}
    for member in leaves(root):
        if member.featurizer is not None:
            member.featurizer = known.setdefault(
                hashlib.sha256(kept_skops(member.featurizer)).hexdigest(), member.featurizer
            )
    return root
