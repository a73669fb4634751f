"""Evaluations and explorations as plain JSON values, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import polars as pl

from mlframe.contracts import Chart, Evaluation, Exploration, Figure, Finding, Interval

__all__ = [
    "declared_figures",
    "figures_by_part",
    "figures_of",
    "pack_evaluation",
    "pack_exploration",
    "unpack_evaluation",
    "unpack_exploration",
]


def pack_evaluation(evaluation: Evaluation, part: str) -> dict[str, Any]:
    """Return an evaluation as plain values, with the rows that it is about: `holdout` or `folds`."""
    return {
        "part": part,
        "figures": {name: asdict(value) for name, value in evaluation.figures.items()},
        "charts": [asdict(chart) for chart in evaluation.charts],
        "tables": {name: _columns(frame) for name, frame in evaluation.tables.items()},
        "findings": [asdict(finding) for finding in evaluation.findings],
    }


def unpack_evaluation(record: Mapping[str, Any]) -> Evaluation:
    """Rebuild from `pack_evaluation`."""
    return Evaluation(
        figures_of(record["figures"]),
        [Chart(**chart) for chart in record["charts"]],
        {name: pl.DataFrame(columns, strict=False) for name, columns in record["tables"].items()},
        [Finding(**finding) for finding in record["findings"]],
    )


def pack_exploration(exploration: Exploration) -> dict[str, Any]:
    """Return an exploration as plain values."""
    return {
        "findings": [asdict(finding) for finding in exploration.findings],
        "charts": [asdict(chart) for chart in exploration.charts],
        "tables": {name: _columns(frame) for name, frame in exploration.tables.items()},
    }


def unpack_exploration(record: Mapping[str, Any]) -> Exploration:
    """Rebuild from `pack_exploration`."""
    return Exploration(
        [Finding(**finding) for finding in record["findings"]],
        [Chart(**chart) for chart in record["charts"]],
        {name: pl.DataFrame(columns, strict=False) for name, columns in record["tables"].items()},
    )


def figures_of(record: Mapping[str, Any]) -> dict[str, Interval]:
    """Rebuild figures from their records."""
    return {name: Interval(**value) for name, value in record.items()}


def figures_by_part(scores: Mapping[str, Any], evaluation: Mapping[str, Any] | None) -> dict[str, dict[str, Interval]]:
    """Return the figures of `folds` and of `holdout`; without a holdout the evaluation is about the folds too."""
    found = {"folds": figures_of(scores["figures"]), "holdout": dict[str, Interval]()}
    if evaluation:
        found[evaluation["part"]] |= figures_of(evaluation["figures"])
    return found


def declared_figures(context: Any, task: str) -> dict[str, Figure]:
    """Return the figures that the run's evaluators declare for a learning task, by name."""
    return {
        figure.name: figure
        for _, evaluator in context.components("evaluators")
        if task in evaluator.tasks
        for figure in evaluator.declares()
        if task in figure.tasks
    }


def _columns(frame: pl.DataFrame) -> dict[str, list[Any]]:
    """Return a frame's columns; types that JSON lacks become text."""
    plain = frame.with_columns(
        pl.col(name).cast(pl.String)
        for name, dtype in frame.schema.items()
        if dtype.is_temporal() or dtype == pl.Categorical
    )
    return plain.to_dict(as_series=False)
