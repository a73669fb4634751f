"""What the baseline inside a bundle says of single columns, in the words of the quality monitor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Known", "known_columns"]

LONG = 120
"""Names of so many characters may have been cut in the baseline; they are not compared."""


@dataclass(frozen=True)
class Known:
    """A column as it was in training.

    Args:
        rows: rows that the baseline was made from.
        missing: share of them without a value.
        low: least value of a numeric column, None where it is not known.
        high: greatest value.
        names: every value of a categorical column, None where the baseline does not hold all of them.
        rare: share of the rows whose name occurs once: about so many rows of the same population have a new name
            (I. J. Good (1953), The population frequencies of species and the estimation of population parameters).
    """

    rows: int
    missing: float
    low: float | None = None
    high: float | None = None
    names: tuple[str, ...] | None = None
    rare: float = 0.0


def known_columns(baseline: Mapping[str, Any]) -> dict[str, Known]:
    """Return what is known of each column of a `baseline.json`."""
    rows = int(baseline.get("rows") or 0)
    return {name: _known(entry, rows) for name, entry in (baseline.get("columns") or {}).items()}


def _known(entry: Mapping[str, Any], rows: int) -> Known:
    kind = entry.get("sketch")
    if kind is None:  # bundles of format 1: shares and histograms
        missing, edges, counts = float(entry.get("missing") or 0.0), entry.get("edges"), entry.get("counts")
        if edges:
            return Known(rows, missing, float(edges[0]), float(edges[-1]))
        if isinstance(counts, Mapping):
            return _names(
                rows, missing, list(counts), list(counts.values()), round(rows * (1 - missing)) - sum(counts.values())
            )
        return Known(rows, missing)
    held = entry.get("length") if kind == "texts" else entry
    missing = float((held or {}).get("missing") or 0) / max(1, rows)
    if kind == "numbers":
        return Known(rows, missing, entry.get("low"), entry.get("high"))
    if kind == "names":
        return _names(rows, missing, entry["names"], entry["counts"], int(entry.get("other") or 0))
    return Known(rows, missing)


def _names(rows: int, missing: float, names: list[str], counts: list[int], other: int) -> Known:
    whole = other <= 0 and all(len(str(name)) < LONG for name in names)
    once = sum(count == 1 for count in counts)
    return Known(rows, missing, names=tuple(map(str, names)) if whole else None, rare=once / max(1, rows))
