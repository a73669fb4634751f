"""Lets a registered model learn on: what it knows stays, and only rows that are new to it are learned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from mlframe.errors import ConfigError, DataError
from mlframe.pipeline import Learning, Pipeline
from mlframe.pipeline.tree import Member
from mlframe.steps.candidate import columns_of
from mlframe.steps.learned import digested_by, label_columns, label_digests, learned_rows, not_learned
from mlframe.steps.register import TRAINED_ROWS, row_digests
from mlframe.steps.split import unpack
from mlframe.table import Table

__all__ = ["warm_pipeline"]

LEAST_ROUNDS = 5
"""Rounds that a boosted model adds at least."""


def warm_pipeline(context: Any, **inputs: Any) -> Pipeline:
    """Return the pipeline of `fit.warm` after it has learned the development rows that are new to it.

    They are given in order of time where a column tells it, so a model that learns row by row meets them as they came.
    A boosted model adds rounds in proportion to the rows: half as many new rows as it has learned, half its rounds.

    Raises:
        ConfigError: the version is another model, learned something else, or cannot learn on.
        DataError: no development row is new to it.
    """
    config, reference = context.config, str(context.config["fit"]["warm"])
    learning = Learning.from_record(inputs["learning"])
    folder = context.store.open_bundle(reference)
    before = Pipeline.load(folder / "pipeline", context.plugins.registry)
    model = str(config["model"]["name"])
    member = before.root
    if not isinstance(member, Member) or member.featurizer is None:
        raise _cannot(
            reference, "it is made of several models", "set fit.refit=full ensembler=none, and train one anew"
        )
    if member.model != model:
        raise _cannot(reference, f"it is a {member.model}, and the config says {model}", f"set model={member.model}")
    if (before.learning.task, before.learning.classes) != (learning.task, learning.classes):
        raise _cannot(reference, "it learned another task or other classes", "train a model anew")
    estimator = context.component("model", task=learning.task)
    adapter = context.plugins.registry.adapter("model", model)
    if not hasattr(adapter, "learn_on") or (hasattr(adapter, "learns_on") and not adapter.learns_on(estimator)):
        raise _cannot(reference, f"model={model} cannot as it is set up", "set update.how=scratch")
    table: Table = inputs["labelled"]
    rows = unpack(inputs["split"]).development
    time = table.one("time")
    if time is not None:
        rows = rows[table.frame[time][rows].arg_sort().to_numpy()]
    columns = label_columns(table, before.inputs)
    seen = learned_rows(context.store, reference, columns)
    if seen is not None:
        rows = rows[not_learned(label_digests(table.frame[rows], columns), seen)]
    else:  # of an earlier mlframe, or of other columns: rows with known features are left out, whatever their label
        known = context.store.beside(reference).get(TRAINED_ROWS, folder / TRAINED_ROWS)
        if not known.exists() or digested_by(folder) != pl.__version__:
            raise _cannot(reference, "which rows it learned from is not known here", "train a model anew")
        seen = np.load(known, allow_pickle=False)
        rows = rows[~np.isin(row_digests(table.frame[rows], before.inputs), seen)]
    if not len(rows):
        hint = "wait for more rows, or train on other data"
        raise DataError(f"No development row is new to {reference}", where="fit.warm", hint=hint)
    labels = inputs["labels"][rows]
    weight = labels["weight"].to_numpy()
    features = columns_of(member.featurizer.transform(table.take(rows).frame), member.columns)
    rounds = None
    if hasattr(adapter, "rounds"):
        rounds = max(LEAST_ROUNDS, round(adapter.rounds(member.estimator) * min(1.0, len(rows) / max(1, len(seen)))))
    fitted = adapter.learn_on(
        estimator,
        member.estimator,
        features,
        learning.codes(labels["target"]),
        weight=None if (weight == 1.0).all() else weight,
        rounds=rounds,
        leaves=config["fit"]["warm_by"] == "leaves",
    )
    context.say(f"{reference} learns on: {len(rows):,} rows that are new to it, {len(seen):,} that it knew")
    return Pipeline(replace(member, estimator=fitted, adapter=adapter, ask=None), learning, before.columns)


def _cannot(reference: str, why: str, hint: str) -> ConfigError:
    return ConfigError(f"{reference} cannot learn on: {why}", value=reference, where="fit.warm", hint=hint)
