"""Reads the rows and gives each column its role and kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from mlframe.contracts import Step
from mlframe.errors import DataError, ParameterError
from mlframe.table import ROW, Table, describe_columns, to_polars


class Ingest(Step):
    """Gives `rows`: what the source holds, numbered.

    Args:
        sample: read about the first so many rows only, to try everything quickly; None reads all.
    """

    summary = "reads the rows"
    reads = ("data.source", "data.columns")
    gives = {"rows": "table"}

    def __init__(self, sample: int | None = None) -> None:
        if sample is not None and sample < 1:
            raise ParameterError(
                "A sample has a row or more", value=sample, where="task.steps.ingest.sample", hint="null reads all rows"
            )
        self.sample = sample

    def key(self, context: Any) -> Any:
        """Return the source's fingerprint: it tells whether the data changed."""
        return context.component("data/source").fingerprint()

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Read the source."""
        source = context.component("data/source")
        frame = number_rows(to_polars(source.read() if self.sample is None else source.sample(self.sample)))
        table = Table(frame, describe_columns(frame, context.config["data"].get("columns") or {}))
        inferred = [column for column in table.columns if column.inferred and column.role == "feature"]
        of = "" if self.sample is None else " (a sample: task.steps.ingest.sample)"
        context.say(f"{len(table):,} rows, {len(table.columns)} columns{of}")
        if inferred:
            kinds = ", ".join(f"{column.name}={column.kind}" for column in inferred[:12])
            more = f" and {len(inferred) - 12} more" if len(inferred) > 12 else ""
            context.say(f"kinds inferred: {kinds}{more}")
        return {"rows": table}


def number_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """Add the column that numbers the rows.

    Raises:
        DataError: there are no rows, or the reserved name is taken.
    """
    if ROW in frame.columns:
        raise DataError(
            f"A column is called {ROW!r}, a name that mlframe keeps for itself",
            where="data.source",
            hint="rename that column in the source",
        )
    if frame.height == 0:
        raise DataError(
            "The data has no rows",
            where="data.source",
            hint="look at the file, and at the source's filters and options",
        )
    return frame.with_row_index(ROW)
