"""Looks at the development rows, never at the holdout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from mlframe.contracts import Exploration, Step
from mlframe.steps.records import pack_exploration
from mlframe.steps.split import unpack
from mlframe.table import Table


class Explore(Step):
    """Gives `exploration`: findings and pictures."""

    summary = "looks at the development rows"
    reads = ("explorer",)
    needs = ("labelled", "labels", "learning", "split")
    gives = {"exploration": "json"}

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Ask the explorer."""
        table: Table = inputs["labelled"]
        rows = unpack(inputs["split"]).development
        target: pl.Series = inputs["labels"]["target"][rows]
        found: Exploration = context.component("explorer").explore(table.take(rows), target, inputs["learning"]["task"])
        for finding in found.findings:
            if finding.severity != "info":
                context.say(f"{finding.severity}: {finding.text}")
        return {"exploration": pack_exploration(found)}
