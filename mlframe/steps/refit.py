"""Fits what will be deployed, on development rows only."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlframe.contracts import Combiner, Step
from mlframe.pipeline import Node, Pipeline
from mlframe.steps.candidate import Candidate
from mlframe.steps.ensemble import refit_members
from mlframe.steps.finish import RAW, finishes
from mlframe.steps.split import keeps_folds, unpack
from mlframe.steps.warm import warm_pipeline


class Refit(Step):
    """Gives `pipeline`: fitted again on all development rows, or the mean of the folds' pipelines."""

    summary = "fits what will be deployed"
    reads = ("featurizer", "model", "ensembler", "splitter", "fit", "seed")
    needs = ("labelled", "labels", "learning", "split", "members", "fitting")
    gives = {"pipeline": "pipeline"}

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Fit once more, with the median of the folds' rounds, or keep the folds."""
        if finishes(context.config):
            raw, _ = context.under(RAW, "pipeline")
            return {"pipeline": replace(raw["pipeline"], **inputs["fitting"]["last"])}
        if context.config["fit"]["warm"]:
            return {"pipeline": warm_pipeline(context, **inputs)}
        members: Pipeline = inputs.pop("members")
        fitting = inputs.pop("fitting")
        cut = unpack(inputs["split"])
        if keeps_folds(context.config["fit"]["refit"], cut):
            assert isinstance(members.root, Node)
            context.say(f"mean of {len(members.root.parts)} fold pipelines")
            return {"pipeline": members}
        ensembler = context.component("ensembler")
        if isinstance(ensembler, Combiner):
            return {"pipeline": refit_members(context, ensembler, fitting, **inputs)}
        candidate = Candidate.of(context, **inputs)
        development = cut.development
        rounds = [fold["rounds"] for fold in fitting["folds"] if fold["rounds"] is not None]
        fixed = (
            max(1, round(statistics.median(rounds))) if rounds and candidate.stops_early(candidate.adapter()) else None
        )
        featurized, _ = candidate.featurize(development, development[:0], stop=False)
        part, used = candidate.fit(featurized, development, rounds=fixed)
        suffix = f", {used} rounds (median of the folds)" if fixed else ""
        context.say(f"{len(development):,} rows, {len(featurized.learned.names):,} features{suffix}")
        return {"pipeline": Pipeline(part, candidate.learning, candidate.inputs())}
