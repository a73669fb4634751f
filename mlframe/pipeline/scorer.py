"""Scores columns of plain values: what a prediction server asks for each request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlframe.contracts import Features, Featurizer
from mlframe.errors import StepError
from mlframe.pipeline.deployed import Pipeline
from mlframe.pipeline.inputs import plain_columns, to_frame
from mlframe.pipeline.tree import Member, Part, Rows

if TYPE_CHECKING:
    import polars as pl

    from mlframe.contracts.learning import Array

__all__ = ["MANY", "TOLERANCE", "Scorer", "prove", "quickened", "told"]

MANY = 512
"""From so many rows a frame costs no more than plain values do."""

TOLERANCE = 1e-9
"""How far the fast path's scores may lie from the ordinary ones, as a share of these."""

SINGLE = 32
"""So many rows of a proof are scored one by one, the others so many at a time: both ways are taken in serving."""

NUMBERS = ("Float", "Int", "UInt", "Boolean")
TYPES = {
    "numeric": NUMBERS,
    "boolean": NUMBERS,
    "categorical": ("String", "Int", "UInt", "Boolean", "Categorical", "Enum"),
    "text": ("String",),
    "datetime": ("Date", "Datetime", "Time"),
}
"""Kind to the types (how their names begin) whose plain values say all that a frame says."""


class Scorer:
    """Scores columns of plain Python or numpy values.

    The fast path asks featurizers for `plain` and adapters for `fast`, and builds no frame. It is made of what the parts
    offer: one that offers nothing is asked in the ordinary way, and `ordinary` says so.

    Args:
        pipeline: what is deployed.
        fast: use the fast path where the pipeline has one; it must have been proven to score the same.

    Attributes:
        fast: whether the fast path is used.
        ordinary: of a fast path, a sentence for each part that has none.
    """

    def __init__(self, pipeline: Pipeline, *, fast: bool) -> None:
        self.pipeline = pipeline
        self.fast, self.ordinary = False, list[str]()
        if not fast:
            return
        self._quick = quickened(pipeline)
        members = self._quick.members
        featurizers = {id(member.featurizer): member.featurizer for member in members if member.featurizer is not None}
        unfit = [f"column {c['name']!r} has the type {c['dtype']}" for c in pipeline.columns if not _has_plain_form(c)]
        self._plain = {key for key, made in featurizers.items() if hasattr(made, "plain") and not unfit}
        self.ordinary = [
            *(
                unfit
                or [f"{type(f).__name__} takes frames only" for f in featurizers.values() if not hasattr(f, "plain")]
            ),
            *(f"model={name} has no fast predictor" for name in sorted({m.model for m in members if m.ask is None})),
        ]
        self.fast = bool(self._plain) or any(member.ask for member in members)

    def outputs(self, columns: Mapping[str, Sequence[Any] | Array], rows: int) -> Array:
        """Return calibrated probabilities (rows, classes) or values (rows,), float64: those of `Pipeline.outputs`.

        Args:
            columns: each of the pipeline's columns to its values, by its type: numbers, truth values, texts, dates, times
                without a zone, or None; a list or a numpy array.
            rows: how many rows they are.
        """
        if self.fast and rows < MANY:
            return self._quick.answer(_PlainRows(None, {}, columns, rows, self.pipeline.columns, self._plain))
        return self.pipeline.outputs(to_frame(columns, self.pipeline.columns))

    def labels(self, outputs: Array) -> list[Any]:
        """Return the predictions as people know them: classes in the type that the data had, or numbers.

        Args:
            outputs: what `outputs` gave.

        Raises:
            StepError: a probability is not finite.
        """
        learning, threshold = self.pipeline.learning, self.pipeline.threshold
        if not learning.classes:
            values: list[Any] = outputs.tolist()
            return values
        if not np.isfinite(outputs).all():
            raise StepError(
                "The model gave probabilities that are not finite", where="model", hint="check the features"
            )
        codes = outputs.argmax(axis=1) if threshold is None else (outputs[:, 1] >= threshold).astype(np.intp)
        return [learning.values[code] for code in codes.tolist()]


def prove(pipeline: Pipeline, examples: pl.DataFrame, expected: pl.DataFrame) -> dict[str, Any]:
    """Score rows on the fast path and compare with what the pipeline said of them: a bundle's key `fast`.

    Args:
        pipeline: what is deployed.
        examples: rows that it did not learn from.
        expected: what `Pipeline.predict` gave for them.

    Returns:
        `proven`: whether the fast path may be used. `difference`: the largest one, as a share of the score (of the scores'
        mean size at least); None when nothing was compared. `why`: what speaks against it, or which parts are asked in the
        ordinary way; None when there is nothing to say.
    """
    scorer = Scorer(pipeline, fast=True)
    why = "; ".join(scorer.ordinary) or None
    if not scorer.fast:
        return {"proven": False, "difference": None, "why": why}
    if not len(examples):
        return {"proven": False, "difference": None, "why": "there is no holdout row to prove it with"}
    columns, given, labels, start = plain_columns(examples, pipeline.columns), [], [], 0
    try:
        while start < len(examples):
            rows = min(1 if start < SINGLE else SINGLE, len(examples) - start)
            outputs = scorer.outputs({name: values[start : start + rows] for name, values in columns.items()}, rows)
            given.append(outputs.reshape(rows, -1))
            labels += scorer.labels(outputs)
            start += rows
    except Exception as error:  # a plugin's mistake costs the fast path, not the run
        return {"proven": False, "difference": None, "why": f"it fails on holdout row {start}: {error!r}"}
    classes = pipeline.learning.classes
    wanted = expected.select([f"p_{name}" for name in classes] or ["y_pred"]).to_numpy().astype(np.float64)
    size = np.maximum(np.abs(wanted), np.abs(wanted).mean() or 1.0)
    off = (np.abs(np.concatenate(given) - wanted) / size).max(axis=1)
    if classes:
        spelled = dict(zip(classes, pipeline.learning.values, strict=True))
        off[[label != spelled[name] for label, name in zip(labels, expected["y_pred"], strict=True)]] = np.inf
    row, difference = int(off.argmax()), float(off.max())
    if difference <= TOLERANCE:
        return {"proven": True, "difference": difference, "why": why}
    found = "it decides otherwise" if difference == np.inf else f"it differs by a share of {difference:.2g}"
    return {
        "proven": False,
        "difference": difference if np.isfinite(difference) else None,
        "why": f"{found} in holdout row {row}",
    }


def told(fast: Mapping[str, Any] | None) -> str:
    """Return a bundle's key `fast` in words; None is an older bundle, which has no such key."""
    if fast is None:
        return "not used: the version is older than the proof that the fast path needs"
    if not fast["proven"]:
        return f"not used: {fast['why']}"
    rest = f"; {fast['why']}" if fast["why"] else ""
    return f"proven on the holdout rows, largest difference {fast['difference']:.1g}{rest}"


@dataclass
class _PlainRows(Rows):
    """Rows as columns of plain values; a frame is made of them for a featurizer that needs one.

    Args:
        columns: column to values.
        rows: how many.
        records: the pipeline's columns.
        plain: identities of the featurizers that take plain values.
    """

    columns: Mapping[str, Any] = field(default_factory=dict)
    rows: int = 0
    records: Sequence[Mapping[str, Any]] = ()
    plain: set[int] = field(default_factory=set)

    def features(self, featurizer: Featurizer) -> Features:
        """Return the rows as numbers; without the features' names, which no estimator asks for."""
        key = id(featurizer)
        if key not in self.made:
            matrix = featurizer.plain(self.columns, self.rows) if key in self.plain else None  # type: ignore[attr-defined]
            if matrix is None:
                if self.frame is None:
                    self.frame = to_frame(self.columns, self.records)
                return super().features(featurizer)
            self.made[key] = Features(matrix, (), ())
        return self.made[key]


def quickened(pipeline: Pipeline) -> Pipeline:
    """Return a pipeline of the same estimators, each asked in the fastest way that its adapter knows."""
    return replace(pipeline, root=_quickened(pipeline.root))


def _quickened(part: Part) -> Part:
    if isinstance(part, Member):
        return replace(part, ask=part.adapter.fast(part.estimator) if hasattr(part.adapter, "fast") else None)
    final = None if part.final is None else _quickened(part.final)
    assert final is None or isinstance(final, Member)
    return replace(part, parts=[_quickened(inner) for inner in part.parts], final=final)


def _has_plain_form(column: Mapping[str, Any]) -> bool:
    return str(column["dtype"]).startswith(TYPES[column["kind"]])
