"""What a component must do: one small abstract class for each hook, and the records that pass between them.

A plugin author reads `mlframe.hookspecs` for how to offer a component and this module for what it must do. Nothing here
imports an algorithm library; numpy and polars are named for type checkers only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars as pl
    import scipy.sparse as sp

    from mlframe.table import Table

    Array = npt.NDArray[Any]
    Matrix = npt.NDArray[Any] | sp.csr_matrix

__all__ = [
    "TASKS",
    "Adapter",
    "Chart",
    "Evaluation",
    "Evaluator",
    "Exploration",
    "Explorer",
    "Features",
    "Featurizer",
    "Figure",
    "Finding",
    "Interval",
    "Judged",
    "Labeler",
    "Labels",
    "Predictions",
    "ReportInput",
    "Reporter",
    "RunInfo",
    "Source",
    "Split",
    "Splitter",
    "Step",
    "Stop",
    "Tracker",
    "Validation",
    "Validator",
    "Wants",
]

TASKS = ("binary", "multiclass", "regression")
"""The learning tasks."""

Part = Literal["folds", "holdout", "live"]


# ---------------------------------------------------------------------------------------------------------- data in


class Source(ABC):
    """Where rows come from (hook `mlframe_sources`, config group `data/source`)."""

    @abstractmethod
    def read(self) -> Any:
        """Return the rows as any frame that narwhals understands: polars, pandas, pyarrow, DuckDB, lazy or not.

        Raises:
            DataError: the rows cannot be read; the text names file, line and what to do.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a short text that changes when the data changes, without reading all rows.

        Two equal texts make the runner use the rows it already has. File sizes and modification times will do.

        Raises:
            DataError: the data cannot be reached.
        """

    def sample(self, rows: int) -> Any:
        """Return about the first `rows` rows; override where that is cheaper than reading all."""
        from mlframe.table import to_polars

        return to_polars(self.read()).head(rows)


@dataclass(frozen=True)
class Validation:
    """What a validator found.

    Args:
        failures: one row a failure, columns row (UInt32: value of `mlframe.table.ROW`, null when a whole column or
            table fails), column (String), check (String), value (String: the offending value as text).
        policy: what the runner does with failing rows: `fail` stops the run, `drop` leaves them out, `quarantine`
            leaves them out and keeps them in a Parquet file with the reasons. A failure without a row always stops.
    """

    failures: pl.DataFrame
    policy: Literal["fail", "drop", "quarantine"] = "fail"


class Validator(ABC):
    """Checks rows before anything learns from them (hook `mlframe_validators`, group `validators`)."""

    @abstractmethod
    def validate(self, table: Table, *, labelled: bool) -> Validation:
        """Return every failure in the table, not the first.

        Args:
            table: the rows; never changed.
            labelled: False at prediction time, when columns of the roles target and weight may be absent.
        """


@dataclass(frozen=True)
class Labels:
    """What is to be learned, row by row.

    Args:
        frame: columns row_id (UInt32), target (any type, null = unknown), label_source (String: `column`, `manual`,
            or how else the label was made), weight (Float64, not negative).
    """

    frame: pl.DataFrame


class Labeler(ABC):
    """Gives each row its target, where the target comes from, and its weight (hook `mlframe_labelers`)."""

    @abstractmethod
    def label(self, table: Table) -> Labels:
        """Return one row a row of the table, in the table's order.

        Raises:
            DataError: the target is absent or unusable.
        """


@dataclass(frozen=True)
class Split:
    """Positions in the labelled table, never copies of rows.

    Args:
        folds: K pairs (train, valid) of positions, shape (n,), intp; a row may be in no fold (a gap).
        holdout: positions that only `evaluate` may read; may be empty.
        development: positions that may be learned from once the folds have chosen: all but the holdout and its gap.
    """

    folds: tuple[tuple[Array, Array], ...]
    holdout: Array
    development: Array


class Splitter(ABC):
    """Cuts rows into folds and a holdout (hook `mlframe_splitters`, group `splitter`). Seeded; equal seeds, equal cuts."""

    @abstractmethod
    def split(self, table: Table, target: Array, task: str) -> Split:
        """Return folds and holdout.

        Args:
            table: the rows that have a label.
            target: codes 0..K-1 (intp) or values (float64), shape (rows,).
            task: one of `TASKS`.

        Raises:
            DataError: the rows cannot be cut so (a class with fewer rows than folds, no time column, …).
        """

    @abstractmethod
    def cut(self, table: Table, target: Array, task: str, rows: Array, share: float) -> tuple[Array, Array]:
        """Cut `rows` in two by this splitter's own rule: (train, stop), for early stopping.

        Args:
            table: the rows that have a label.
            target: as in `split`.
            task: one of `TASKS`.
            rows: positions to cut: the train rows of one fold.
            share: share of `rows` that goes to the second part, 0 < share < 1.
        """


# ---------------------------------------------------------------------------------------------------------- learning


@dataclass(frozen=True)
class Wants:
    """What an estimator can take, so that a featurizer can suit it.

    Args:
        sparse: CSR matrices.
        missing: NaN.
        categories: integer codes of categories in marked columns (adapter `categories`).
        nonnegative: only values of zero and above.
    """

    sparse: bool = False
    missing: bool = False
    categories: bool = False
    nonnegative: bool = False


@dataclass(frozen=True)
class Features:
    """Numbers for an estimator.

    Args:
        matrix: shape (rows, features), float32 or float64; numpy, or CSR when most is zero.
        names: one unique name a feature.
        origins: the input column that each feature comes from.
        categorical: indices of features that hold category codes (0..K-1; NaN = missing or unseen).
    """

    matrix: Matrix
    names: tuple[str, ...]
    origins: tuple[str, ...]
    categorical: tuple[int, ...] = ()


class Featurizer(ABC):
    """Turns columns into numbers (hook `mlframe_featurizers`, group `featurizer`).

    A featurizer keeps what it learned in plain attributes (numbers, strings, lists, dictionaries, numpy arrays,
    scikit-learn estimators): it is saved with skops, never with pickle.
    """

    @abstractmethod
    def fit(self, table: Table, target: Array, wants: Wants) -> None:
        """Learn from the train rows of one fold.

        Args:
            table: the train rows; only columns with the role feature may be used.
            target: codes or values of the same rows, shape (rows,).
            wants: what the candidate's estimator can take.
        """

    @abstractmethod
    def transform(self, frame: pl.DataFrame) -> Features:
        """Turn rows into numbers; unseen categories, missing values and text are never an error.

        Args:
            frame: holds at least the feature columns seen in `fit`.
        """


@dataclass(frozen=True)
class Stop:
    """Rows that tell a boosted model when to stop; cut from the fold's own train rows.

    Args:
        matrix: features, shape (rows, features).
        target: codes or values, shape (rows,).
        weight: shape (rows,) or None.
        rounds: stop when this many rounds bring nothing better.
    """

    matrix: Matrix
    target: Array
    weight: Array | None
    rounds: int


class Adapter:
    """What scikit-learn's interface cannot say about an estimator (`Component(…, adapter="pkg:Class")`).

    Every method is optional: an adapter defines those it can do, an absent one means "cannot". This class defines
    none of them, so that `hasattr` tells the truth; their forms are:

        fit(estimator, features: Features, target, *, weight=None, stop: Stop | None = None) -> None
            Fit with categories, weights and early stopping; the estimator is changed in place.
        rounds(estimator) -> int
            How many rounds the fitted estimator uses.
        with_rounds(estimator, rounds: int) -> estimator
            An unfitted copy that trains exactly so many rounds.
        save(estimator) -> bytes, load(data: bytes) -> estimator
            The library's own format; without them the estimator goes through skops.
        gain(estimator) -> array of shape (features,)
            How much each feature lowered the loss in training.
        contributions(estimator, matrix) -> array of shape (rows, features + 1) or (rows, classes, features + 1)
            Additive contributions to the raw score, the last one the baseline.
    """

    categories: ClassVar[bool] = False
    """Whether the estimator takes category codes in marked columns."""


@dataclass(frozen=True)
class Predictions:
    """What a pipeline said of rows, and what was true.

    Args:
        frame: columns row_id (UInt32), fold (Int32; -1 outside folds), y, y_pred (class names as String, or Float64),
            one `p_<class>` (Float64) for each class in the order of `classes`, weight (Float64).
        task: one of `TASKS`.
        classes: class names; with two, the second is the positive one. Empty for regression.
        part: which rows these are.
    """

    frame: pl.DataFrame
    task: str
    classes: tuple[str, ...]
    part: Part

    @property
    def y(self) -> Array:
        """Codes 0..K-1 (intp) or values (float64), shape (rows,)."""
        return self._codes("y")

    @property
    def y_pred(self) -> Array:
        """Predicted codes (intp) or values (float64), shape (rows,)."""
        return self._codes("y_pred")

    @property
    def proba(self) -> Array:
        """Probabilities, float64, shape (rows, classes)."""
        return self.frame.select([f"p_{name}" for name in self.classes]).to_numpy()

    @property
    def weight(self) -> Array:
        """Weights, float64, shape (rows,)."""
        return self.frame["weight"].to_numpy()

    def _codes(self, name: str) -> Array:
        import numpy as np
        import polars as pl

        if not self.classes:
            return self.frame[name].to_numpy()
        codes = self.frame[name].cast(pl.Enum(list(self.classes))).to_physical()
        return codes.to_numpy().astype(np.intp)


# ---------------------------------------------------------------------------------------------------------- judging


@dataclass(frozen=True)
class Figure:
    """A number that judges predictions; goal, targets, sweeps and gates know it by its name.

    Args:
        name: lower snake case, unique over all evaluators.
        better: which way is better.
        unit: unit of the value; "1" for shares and scores, "target" for the target's own unit.
        tasks: learning tasks that it is defined for.
        summary: one line that a stakeholder understands.
    """

    name: str
    better: Literal["higher", "lower"]
    unit: str = "1"
    tasks: tuple[str, ...] = TASKS
    summary: str = ""


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
        tables: name to frame, small enough to read.
    """

    figures: Mapping[str, Interval] = field(default_factory=dict)
    charts: Sequence[Chart] = ()
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class Judged:
    """What an evaluator gets.

    Args:
        predictions: predictions and truth.
        pipeline: the fitted pipeline, for evaluators that ask it again (importance); None for out-of-fold rows.
            It offers `predict(frame) -> Predictions`-like numbers; see `mlframe.pipeline.Pipeline`.
        table: the rows themselves, in the order of the predictions; None for out-of-fold rows.
        pictures: whether charts and tables are wanted; figures always are.
    """

    predictions: Predictions
    pipeline: Any = None
    table: Table | None = None
    pictures: bool = True


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


# ---------------------------------------------------------------------------------------------------------- telling


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
    says so once and goes on: it never fails a run.
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
        evaluation: charts and tables of the holdout.
        gate: the verdict: {"passed": bool | None, "checks": [{"name", "passed", "value", "wanted", "evidence"}]}.
        version: the registered version (`email/7`), None when nothing was registered.
        promote: the command that promotes the version, None when there is nothing to promote.
        folder: where the report's files go; exists and is empty.
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


class Reporter(ABC):
    """Writes files for people (hook `mlframe_reporters`, group `reporters`)."""

    @abstractmethod
    def report(self, material: ReportInput) -> Sequence[Path]:
        """Write files into `material.folder` and return them, the one to open first in front."""


# ---------------------------------------------------------------------------------------------------------- steps


class Step(ABC):
    """One verb of the lifecycle (hook `mlframe_steps`).

    `needs` and `gives` alone decide the order of a task's steps. The keyword arguments of the constructor are the
    step's options in the task file.
    """

    summary: ClassVar[str]
    """One line for `plan` and the progress display."""
    reads: ClassVar[tuple[str, ...]] = ()
    """Config keys (dotted) whose values the outcome depends on; they are part of the step's cache key."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Artifacts that must be there."""
    needs_if_present: ClassVar[tuple[str, ...]] = ()
    """Artifacts that are used when some step of the task gives them; absent ones arrive as None."""
    gives: ClassVar[Mapping[str, str]] = {}
    """Artifact name to kind: table, frame, arrays, pipeline, json, files, or `value` (kept in memory, never cached)."""
    cached: ClassVar[bool] = True
    """False for steps with effects outside their artifacts; they run every time."""

    def key(self, context: Any) -> Any:
        """Return what else the outcome depends on (plain JSON values), such as a source's fingerprint."""
        return None

    @abstractmethod
    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Do the step.

        Args:
            context: the run: config, components, store, progress; see `mlframe.runner.Context`.
            **inputs: the artifacts named in `needs` and `needs_if_present`.

        Returns:
            Exactly the artifacts named in `gives`.
        """
