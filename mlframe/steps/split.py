"""Cuts folds and holdout: positions, never copies."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from mlframe.contracts import Split as Cut
from mlframe.contracts import Step
from mlframe.errors import DataError
from mlframe.pipeline import Learning
from mlframe.table import Table

TRUSTED_SOURCES = ("column", "manual")
"""Label sources that may be judged on."""


class Split(Step):
    """Gives `split`: K pairs of train and valid rows, the holdout, and the development rows."""

    summary = "cuts folds and holdout"
    reads = ("splitter",)
    needs = ("labelled", "labels", "learning")
    gives = {"split": "arrays"}

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Ask the splitter, and keep labels that nobody vouches for out of the holdout."""
        table: Table = inputs["labelled"]
        labels: pl.DataFrame = inputs["labels"]
        learning = Learning.from_record(inputs["learning"])
        cut: Cut = context.component("splitter").split(table, learning.codes(labels["target"]), learning.task)
        vouched = labels["label_source"].is_in(TRUSTED_SOURCES).to_numpy()
        holdout = cut.holdout[vouched[cut.holdout]]
        if len(holdout) < len(cut.holdout):
            context.say(f"{len(cut.holdout) - len(holdout):,} rows leave the holdout: their labels are not by hand")
        if not cut.folds or any(len(train) == 0 or len(valid) == 0 for train, valid in cut.folds):
            raise DataError(
                "A fold has no rows",
                where="splitter",
                hint="ask for fewer folds or a smaller holdout, or bring more rows",
            )
        context.say(f"{len(cut.folds)} folds, {len(cut.development):,} development rows, {len(holdout):,} holdout rows")
        return {"split": pack(Cut(cut.folds, holdout, cut.development))}


def keeps_folds(how: str, cut: Cut) -> bool:
    """Whether the folds' models are deployed instead of one that is fitted again.

    `auto` keeps them where each fold learns from all rows of the one before and more, as windows along time do: when the
    world changes, the mean over windows errs less than the latest (Pesaran and Timmermann 2007).

    Args:
        how: `fit.refit`.
        cut: folds and development rows.
    """
    if how != "auto":
        return how == "folds"
    trains = [train for train, _ in cut.folds]
    return len(trains) > 1 and all(
        len(early) < len(late) and bool(np.isin(early, late).all()) for early, late in pairwise(trains)
    )


def pack(cut: Cut) -> dict[str, Any]:
    """Return a split as named arrays."""
    arrays = {"holdout": cut.holdout.astype(np.intp), "development": cut.development.astype(np.intp)}
    for index, (train, valid) in enumerate(cut.folds):
        arrays[f"train_{index}"] = train.astype(np.intp)
        arrays[f"valid_{index}"] = valid.astype(np.intp)
    return arrays


def unpack(arrays: Mapping[str, Any]) -> Cut:
    """Rebuild a split from `pack`."""
    count = sum(name.startswith("train_") for name in arrays)
    folds = tuple((arrays[f"train_{index}"], arrays[f"valid_{index}"]) for index in range(count))
    return Cut(folds, arrays["holdout"], arrays["development"])
