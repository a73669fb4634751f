"""Rows that are made up by a rule and a seed, so that what is true of them is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import polars as pl

from mlframe.contracts import Source
from mlframe.datasets.trends import CHANGES, shopping_trends
from mlframe.errors import ParameterError, UnknownNameError

__all__ = ["GeneratedSource"]

WHERE = "data.source"
WORDS = {"since", "until", "about"}
"""What is said of a change; `about` is for the page of a simulation."""
MADE = 1
"""Goes up when equal parameters give other rows."""


class GeneratedSource(Source):
    """Makes a table up: equal parameters give equal rows.

    Args:
        dataset: shopping_trends.
        changes: name of a change (visitors, competitor, taste, gifts, gifts_again) to `since` and `until`; null is none.
        seed: of everything that is drawn.
        daily: rows a day.
    """

    def __init__(
        self,
        dataset: str,
        changes: Mapping[str, Mapping[str, Any] | None] | None = None,
        seed: int = 0,
        daily: int = 50,
    ) -> None:
        if dataset != "shopping_trends":
            raise UnknownNameError.from_name("generated table", dataset, ["shopping_trends"], where=f"{WHERE}.dataset")
        if daily < 1:
            raise ParameterError("This must be 1 or more", value=daily, where=f"{WHERE}.daily", hint="such as 50")
        self.seed, self.daily = seed, daily
        self.changes = {name: change for name, change in (changes or {}).items() if change is not None}
        for name, change in self.changes.items():
            _refuse_no_change(name, change, f"{WHERE}.changes")

    def read(self) -> pl.DataFrame:
        """Return all rows."""
        return shopping_trends(self.changes, self.seed, self.daily)

    def fingerprint(self) -> str:
        """Return what the rows follow from: equal on every machine."""
        words = json.dumps([self.changes, self.seed, self.daily], default=str, sort_keys=True)
        return f"shopping_trends {MADE} {words}"


def _refuse_no_change(name: str, change: Any, where: str) -> None:
    if name not in CHANGES:
        raise UnknownNameError.from_name("change", name, CHANGES, where=where)
    where = f"{where}.{name}"
    if not isinstance(change, Mapping) or not set(change) <= WORDS:
        raise ParameterError("Not a change", value=change, where=where, hint=f"it has {', '.join(sorted(WORDS))}")
    since = _day(change.get("since"), f"{where}.since")
    if change.get("until") is not None and _day(change["until"], f"{where}.until") < since:
        hint = "give since, and until at the same time or later"
        raise ParameterError("A change cannot end before it begins", value=change["until"], where=where, hint=hint)


def _day(value: Any, where: str) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise ParameterError("Not a day", value=value, where=where, hint="write it like 2025-06-01") from error
