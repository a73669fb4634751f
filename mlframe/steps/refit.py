"""Fits what will be deployed, on development rows only."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from mlframe.contracts import Step
from mlframe.pipeline import Pipeline
from mlframe.steps.fit import Candidate
from mlframe.steps.split import unpack


class Refit(Step):
    """Gives `pipeline`: fitted again on all development rows, or the mean of the folds' pipelines."""

    summary = "fits what will be deployed"
    reads = ("featurizer", "model", "splitter", "fit", "seed")
    needs = ("labelled", "labels", "learning", "split", "members", "fitting")
    gives = {"pipeline": "pipeline"}

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Fit once more, with the median of the folds' rounds, or keep the folds."""
        members: Pipeline = inputs.pop("members")
        fitting = inputs.pop("fitting")
        if context.config["fit"]["refit"] == "folds":
            context.say(f"mean of {len(members.members)} fold pipelines")
            return {"pipeline": members}
        candidate = Candidate.of(context, **inputs)
        development = unpack(inputs["split"]).development
        rounds = [fold["rounds"] for fold in fitting["folds"] if fold["rounds"] is not None]
        fixed = (
            max(1, round(statistics.median(rounds))) if rounds and candidate.stops_early(candidate.adapter()) else None
        )
        featurized, _ = candidate.featurize(development, development[:0], stop=False)
        member, used = candidate.fit(featurized, development, rounds=fixed)
        suffix = f", {used} rounds (median of the folds)" if fixed else ""
        context.say(f"{len(development):,} rows, {len(member.names):,} features{suffix}")
        return {"pipeline": Pipeline([member], candidate.learning, candidate.inputs())}
