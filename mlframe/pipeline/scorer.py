"""Scores columns of plain values: what a prediction server asks for each request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlframe.errors import StepError
from mlframe.pipeline.deployed import Pipeline
from mlframe.pipeline.inputs import to_frame

if TYPE_CHECKING:
    from mlframe.contracts.learning import Array

__all__ = ["Scorer"]


class Scorer:
    """Scores columns of plain Python or numpy values.

    Args:
        pipeline: what is deployed.
        fast: use the fast path where the pipeline has one; it must have been proven to score the same.

    Attributes:
        fast: whether the fast path is used.
    """

    def __init__(self, pipeline: Pipeline, *, fast: bool) -> None:
        self.pipeline = pipeline
        self.fast = False

    def outputs(self, columns: Mapping[str, Sequence[Any] | Array], rows: int) -> Array:
        """Return calibrated probabilities (rows, classes) or values (rows,), float64: those of `Pipeline.outputs`.

        Args:
            columns: each of the pipeline's columns to its values, by its type: numbers, truth values, texts, dates, times
                without a zone, or None; a list or a numpy array.
            rows: how many rows they are.
        """
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
