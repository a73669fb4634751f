"""The bundle's input schema: checks what came over the wire and turns it into columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Schema"]


class Schema:
    """The input columns of a model.

    Args:
        columns: records of the feature columns (`Pipeline.columns`).
        rules: what the validators ask of values (`Validator.rules`), by column.
    """

    def __init__(
        self, columns: Sequence[Mapping[str, Any]], rules: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        self.columns = [dict(column) for column in columns]
        self.rules = dict(rules or {})
