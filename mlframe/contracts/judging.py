"""Judging: figures, charts, evaluators, explorers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mlframe.contracts.learning import TASKS, Predictions

if TYPE_CHECKING:
    import polars as pl

    from mlframe.table import Table


__all__ = ["Chart", "Evaluation", "Evaluator", "Exploration", "Explorer", "Figure", "Finding", "Interval", "Judged"]


@dataclass(frozen=True)
class Figure:
    """A number that judges predictions; goal, targets, sweeps and gates know it by its name.

    Args:
        name: lower snake case, unique over all evaluators.
        better: which way is better.
        unit: unit of the value; "1" for shares and scores, "target" for the target's own unit.
        tasks: learning tasks that it is defined for.
        summary: one line that a stakeholder understands.
        holdout_only: whether it needs the rows or the pipeline, so that folds have none: a target may name it,
            `goal.metric` may not.
        measured: whether it is measured on the pipeline at work (time, size), not computed from predictions: it may
            differ each time, and better predictions need not make it better.
        low: the least that it can be, None for no end; a target beyond it is refused.
        high: the most that it can be, None for no end.
    """

    name: str
    better: Literal["higher", "lower"]
    unit: str = "1"
    tasks: tuple[str, ...] = TASKS
    summary: str = ""
    holdout_only: bool = False
    measured: bool = False
    low: float | None = None
    high: float | None = None

    def holds(self, value: float) -> bool:
        """Whether the figure can have a value."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    @property
    def range(self) -> str:
        """The values that it can have, in words."""
        if self.low is not None and self.high is not None:
            return f"between {self.low:g} and {self.high:g}"
        if self.low is not None:
            return f"{self.low:g} or more"
        return "any number" if self.high is None else f"{self.high:g} or less"


@dataclass(frozen=True)
class Interval:
    """A measured figure.

    Args:
        value: the estimate.
        low: lower end of the 95 % interval, None when there is none.
        high: upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Chart:
    """A picture with words for those who do not see it.

    Args:
        name: lower snake case, unique in a run.
        title: what it shows.
        alt: the same in words, with the main numbers.
        svg: the picture as SVG text (self-contained).
    """

    name: str
    title: str
    alt: str
    svg: str


@dataclass(frozen=True)
class Evaluation:
    """What an evaluator gives.

    Args:
        figures: name to value, for the figures that the evaluator declares and that can be computed here.
        charts: pictures.
        tables: name to frame, small enough to read; names that begin with `rows/` hold single rows of the data.
        findings: what a person should know or do, each with its numbers.
    """

    figures: Mapping[str, Interval] = field(default_factory=dict)
    charts: Sequence[Chart] = ()
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    findings: Sequence[Finding] = ()


@dataclass(frozen=True)
class Judged:
    """What an evaluator gets.

    Args:
        predictions: predictions and truth.
        pipeline: the fitted pipeline, for evaluators that ask it again (importance); None for out-of-fold rows.
            It offers `predict(frame) -> Predictions`-like numbers; see `mlframe.pipeline.Pipeline`.
        table: the rows themselves, in the order of the predictions; None for out-of-fold rows.
        oof: out-of-fold predictions of the development rows, for evaluators that look for errors without wearing the
            holdout out; None while the folds themselves are scored.
        oof_table: the rows of `oof`, in its order.
        goal: `metric` and `value` of the config's goal, so that an evaluator can speak in them; None where not given.
        pictures: whether charts, tables and findings are wanted; figures always are.
        intervals: whether figures need their intervals.
    """

    predictions: Predictions
    pipeline: Any = None
    table: Table | None = None
    oof: Predictions | None = None
    oof_table: Table | None = None
    goal: Mapping[str, Any] = field(default_factory=dict)
    pictures: bool = True
    intervals: bool = True


class Evaluator(ABC):
    """Judges predictions (hook `mlframe_evaluators`, group `evaluators`)."""

    tasks: ClassVar[tuple[str, ...]] = TASKS
    """Learning tasks that the evaluator is for; it is not asked about others."""

    @abstractmethod
    def declares(self) -> Sequence[Figure]:
        """Return the figures that `evaluate` may give; cheap, called before any data is read."""

    @abstractmethod
    def evaluate(self, judged: Judged) -> Evaluation:
        """Return figures with intervals, and pictures when they are wanted."""


@dataclass(frozen=True)
class Finding:
    """One thing that a person should know.

    Args:
        severity: `info`, `warning` or `problem`.
        text: one sentence with the numbers.
        column: the column that it is about, if one.
    """

    severity: Literal["info", "warning", "problem"]
    text: str
    column: str | None = None


@dataclass(frozen=True)
class Exploration:
    """What an explorer gives.

    Args:
        findings: what a person should know.
        charts: pictures.
        tables: name to frame, small enough to read.
    """

    findings: Sequence[Finding] = ()
    charts: Sequence[Chart] = ()
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)


class Explorer(ABC):
    """Looks at development rows before a model is made (hook `mlframe_explorers`, group `explorer`)."""

    @abstractmethod
    def explore(self, table: Table, target: pl.Series, task: str) -> Exploration:
        """Return findings and pictures.

        Args:
            table: the development rows only.
            target: their targets as the labeler gave them (class names or numbers).
            task: one of `TASKS`.
        """
