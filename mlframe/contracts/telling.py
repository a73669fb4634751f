"""Telling: runs, trackers, reporters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe.contracts.judging import Chart, Evaluation, Exploration, Figure, Interval

if TYPE_CHECKING:
    import polars as pl


__all__ = ["ReportInput", "Reporter", "RunInfo", "Tracker"]


@dataclass(frozen=True)
class RunInfo:
    """A run, as trackers and reporters see it.

    Args:
        id: the run's id.
        name: the registered model's name.
        task: the task (`train`, `predict`, …).
        group: id of the multirun that the run belongs to, None for a single run.
        config: the resolved config, credentials left out.
        folder: folder of the run's files.
        facts: code, environment, machine and seed (plain JSON values).
    """

    id: str
    name: str
    task: str
    group: str | None
    config: Mapping[str, Any]
    folder: Path
    facts: Mapping[str, Any] = field(default_factory=dict)


class Tracker(ABC):
    """Records a run elsewhere (hook `mlframe_trackers`, group `trackers`).

    The runner opens it before the first step and closes it whatever happens. A tracker that cannot reach its server
    says so once and goes on: it never fails a run. When `open` raises, the runner warns, closes it and goes on without it.
    """

    @abstractmethod
    def open(self, run: RunInfo) -> None:
        """Begin to record a run; called once, before any other method."""

    @abstractmethod
    def figures(self, values: Mapping[str, float]) -> None:
        """Record numbers by name, such as `holdout/roc_auc`."""

    def chart(self, chart: Chart) -> None:  # noqa: B027 (optional)
        """Record a picture."""

    def table(self, name: str, frame: pl.DataFrame) -> None:  # noqa: B027 (optional)
        """Record a small table of figures (never rows of the data, unless the user asked for that)."""

    def bundle(self, name: str, folder: Path) -> None:  # noqa: B027 (optional)
        """Record that a bundle was registered under `name`; upload it only if the user asked for that."""

    def address(self) -> str | None:
        """Return where a person can look at the record, None if nowhere."""
        return None

    @abstractmethod
    def close(self, status: str) -> None:
        """End the record: `finished`, `failed` or `interrupted`. Called once, also after a failure in `open`."""


@dataclass(frozen=True)
class ReportInput:
    """What a reporter gets: everything known at the end of a run.

    Args:
        run: the run.
        goal: the config's goal.
        data: rows, columns (records of `Table.column_records`), split sizes, source and fingerprint.
        figures: part to figure name to interval (`folds`, `holdout`).
        declared: the figures' declarations by name.
        exploration: what `explore` gave, None when the task has no such step.
        evaluation: charts, tables and findings of the holdout and of the out-of-fold rows.
        assessment: what `assess` gave (plain JSON values: findings, baselines, learning curve, verdict), None when the
            task has no such step.
        gate: the verdict: {"passed": bool | None, "checks": [{"name", "passed", "value", "wanted", "evidence"}]}; with
            `value`, what decisions are worth, when the goal states a value per outcome.
        version: the registered version (`email/7`), None when nothing was registered.
        promote: the command that promotes the version, None when there is nothing to promote.
        folder: where the report's files go; exists and is empty.
        history: {"aliases": moves of the name's aliases, the first one first, "holdout_uses": runs that have read this
            holdout, this one too}; what the store does not know is left out.
        fast: whether the version scores on the fast path in serving, in words; None when nothing was registered.
    """

    run: RunInfo
    goal: Mapping[str, Any]
    data: Mapping[str, Any]
    figures: Mapping[str, Mapping[str, Interval]]
    declared: Mapping[str, Figure]
    exploration: Exploration | None
    evaluation: Evaluation
    gate: Mapping[str, Any]
    version: str | None
    promote: str | None
    folder: Path
    assessment: Mapping[str, Any] | None = None
    history: Mapping[str, Any] = field(default_factory=dict)
    fast: str | None = None


class Reporter(ABC):
    """Writes files for people (hook `mlframe_reporters`, group `reporters`)."""

    @abstractmethod
    def report(self, material: ReportInput) -> Sequence[Path]:
        """Write files into `material.folder` and return them, the one to open first in front.

        A reporter that cannot write a part writes the rest, says in the file what is missing, and raises then: the files
        stay, and the run ends with exit code 1.
        """
