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
        if len(rows) == 0:
            context.say("no holdout: splitter.holdout is 0")
            return {"holdout": predictions.frame, "evaluation": pack_evaluation(Evaluation())}
        check_finite(predictions.proba if learning.classes else predictions.y_pred, context)
        figures: dict[str, Interval] = {}
        charts: list[Chart] = []
        tables: dict[str, pl.DataFrame] = {}
        findings: list[Finding] = []
        oof = Predictions(inputs["oof"], learning.task, learning.classes, "folds")
        goal = {key: context.config["goal"].get(key) for key in ("metric", "value")}
        judged = Judged(predictions, pipeline, held, oof, _rows_of(table, oof), goal)
        for key, evaluator in context.components("evaluators"):
            if learning.task not in evaluator.tasks:
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
        split_key = context.keys["split"]
        context.store.record_holdout(context.run.id, data_fingerprint=context.keys["rows"], split_key=split_key)
        uses = context.store.holdout_uses(split_key)
        if uses > 1:
            context.say(f"this holdout has now been read by {uses} runs; figures chosen on it grow optimistic")
        return {
            "holdout": predictions.frame,
            "evaluation": pack_evaluation(Evaluation(figures, charts, tables, findings)),
        }

    def summarize(self, **given: Any) -> Mapping[str, Any]:
        """Return the holdout's figures."""
        return {"figures": {"holdout": given["evaluation"]["figures"]}}


def _rows_of(table: Table, predictions: Predictions) -> Table:
    """Return the rows that predictions are about, in their order."""
    order = np.argsort(table.row_ids, kind="stable")
    wanted = predictions.frame["row_id"].to_numpy()
    return table.take(order[np.searchsorted(table.row_ids, wanted, sorter=order)])
