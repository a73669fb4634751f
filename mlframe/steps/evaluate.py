"""Judges the fitted pipeline on the holdout, the only step that reads it, and records that it did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from mlframe.contracts import Chart, Evaluation, Finding, Interval, Judged, Predictions, Step
from mlframe.pipeline import Learning, Pipeline
from mlframe.steps.fit import check_finite
from mlframe.steps.records import pack_evaluation
from mlframe.steps.split import unpack
from mlframe.table import Table


class Evaluate(Step):
    """Gives `holdout` (predictions) and `evaluation` (figures, charts, tables)."""

    summary = "judges the pipeline on the holdout"
    reads = ("evaluators", "goal.metric", "goal.value")
    needs = ("pipeline", "labelled", "labels", "learning", "split", "oof")
    gives = {"holdout": "frame", "evaluation": "json"}

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Predict the holdout once and ask each evaluator."""
        learning = Learning.from_record(inputs["learning"])
        pipeline: Pipeline = inputs["pipeline"]
        table: Table = inputs["labelled"]
        rows = unpack(inputs["split"]).holdout
        held = table.take(rows)
        labels: pl.DataFrame = inputs["labels"][rows]
        predictions = pipeline.predictions(held, labels["target"], labels["weight"].to_numpy(), "holdout")
        goal = {key: context.config["goal"].get(key) for key in ("metric", "value")}
        # Where folds are cut repeatedly, a row counts once.
        oof = Predictions(first_of_each(inputs["oof"]), learning.task, learning.classes, "folds")
        oof_table = _rows_of(table, oof)
        if len(rows):
            check_finite(predictions.proba if learning.classes else predictions.y_pred, context)
            judged = Judged(predictions, pipeline, held, oof, oof_table, goal)
        else:
            context.say("no holdout (splitter.holdout is 0): out-of-fold rows are judged in its place")
            judged = Judged(oof, None, oof_table, oof, oof_table, goal)
        figures: dict[str, Interval] = {}
        charts: list[Chart] = []
        tables: dict[str, pl.DataFrame] = {}
        findings: list[Finding] = []
        for key, evaluator in context.components("evaluators"):
            if learning.task not in evaluator.tasks:
                continue
            # `score` has asked those that judge fold by fold; rows of different folds are never ranked together.
            if not len(rows) and any(not figure.holdout_only for figure in evaluator.declares()):
                continue
            context.progress(None, None, key)
            found = evaluator.evaluate(judged)
            figures.update(found.figures)
            charts.extend(found.charts)
            tables.update(found.tables)
            findings.extend(found.findings)
        for finding in findings:
            if finding.severity != "info":
                context.say(f"{finding.severity}: {finding.text}")
        if len(rows):
            split_key = context.keys["split"]
            context.store.record_holdout(context.run.id, data_fingerprint=context.keys["rows"], split_key=split_key)
            uses = context.store.holdout_uses(split_key)
            if uses > 1:
                context.say(f"this holdout has now been read by {uses} runs; figures chosen on it grow optimistic")
        evaluation = Evaluation(figures, charts, tables, findings)
        return {
            "holdout": predictions.frame,
            "evaluation": pack_evaluation(evaluation, "holdout" if len(rows) else "folds"),
        }

    def summarize(self, **given: Any) -> Mapping[str, Any]:
        """Return the figures of the rows that were judged."""
        return {"figures": {given["evaluation"]["part"]: given["evaluation"]["figures"]}}


def first_of_each(oof: pl.DataFrame) -> pl.DataFrame:
    """Return out-of-fold predictions with each row once: as it was predicted when the folds were first cut."""
    return oof.unique("row_id", keep="first", maintain_order=True)


def _rows_of(table: Table, predictions: Predictions) -> Table:
    """Return the rows that predictions are about, in their order."""
    order = np.argsort(table.row_ids, kind="stable")
    wanted = predictions.frame["row_id"].to_numpy()
    return table.take(order[np.searchsorted(table.row_ids, wanted, sorter=order)])
