"""One finding of the leakage checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CHECKS", "Leak"]

CHECKS = {
    "duplicate_rows": "rows of one part repeat rows of another",
    "entities": "one entity lies on both sides of a cut",
    "time_overlap": "rows that are judged lie before rows that were learned from",
    "single_column": "one column alone predicts the target",
    "presence": "whether a column is filled in tells the target",
    "identifier": "a number or name of the row is a feature",
    "order": "the order of the rows is the order of the target",
    "sum": "columns add up to the target",
}
"""The checks, and what each looks for."""


@dataclass(frozen=True)
class Leak:
    """What may let a model know the answer.

    Args:
        check: a name of `CHECKS`.
        severity: `problem` when the figures cannot be believed before a person has looked, else `warning` or `info`.
        text: one sentence with the evidence.
        column: the column that it is about, if one.
        remedy: overrides that mend it, None when there is no such line.
    """

    check: str
    severity: Literal["info", "warning", "problem"]
    text: str
    column: str | None = None
    remedy: str | None = None

    @property
    def key(self) -> str:
        """How `assess.accept` names it."""
        return self.check if self.column is None else f"{self.check}:{self.column}"
