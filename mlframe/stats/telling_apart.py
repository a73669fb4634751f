"""A classifier two-sample test: can a model tell the rows of now from those of before?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ToldApart", "comparable", "matrices", "told_apart"]

Array = npt.NDArray[Any]

FOLDS = 5
TREES = 40
LONGEST = 100
"""Characters of a name that are compared."""


@dataclass(frozen=True)
class ToldApart:
    """How well two samples can be told apart.

    Args:
        auc: mean over folds of the ROC AUC on rows that the fold's model has not seen; 0.5 is not at all, 1 always.
        p: p-value of the same population.
        importance: share of each column in what the models split by, shape (columns,); it sums to 1.
        rows: rows of both samples.
    """

    auc: float
    p: float
    importance: Array
    rows: int


def told_apart(before: Array, now: Array, *, seed: int = 0, folds: int = FOLDS) -> ToldApart | None:
    """Learn to tell two samples apart, and judge that on rows that were not learned from.

    Of samples of one population every order of a fold's rows is equally likely, whatever the fold's model has learned: that
    is the Mann-Whitney test. Folds learn from each other's rows, so their p-values belong together, and twice their mean is
    the p-value that holds for any (Rüschendorf 1982).

    Args:
        before: rows of the reference, float, shape (rows, columns); NaN is a missing value.
        now: later rows.
        seed: of folds and trees.
        folds: how many parts are judged in turn.

    Returns:
        None of fewer than ten rows a fold in one sample.

    Source: D. Lopez-Paz and M. Oquab (2017), Revisiting classifier two-sample tests.
    """
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.model_selection import StratifiedKFold

    if min(len(before), len(now)) < 10 * folds or not before.shape[1]:
        return None
    rows = np.concatenate([before, now]).astype(np.float32)
    rows[~np.isfinite(rows)] = np.nan
    label = np.concatenate([np.zeros(len(before), dtype=np.intp), np.ones(len(now), dtype=np.intp)])
    areas, chances = [], []
    importance = np.zeros(rows.shape[1])
    for learn, judge in StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows, label):
        model = ExtraTreesClassifier(
            TREES, min_samples_leaf=10, max_features=0.3, class_weight="balanced", random_state=seed, n_jobs=1
        )
        model.fit(rows[learn], label[learn])
        importance += model.feature_importances_
        area, chance = _mann_whitney(model.predict_proba(rows[judge])[:, 1], label[judge])
        areas.append(area)
        chances.append(chance)
    whole = float(importance.sum())
    return ToldApart(
        float(np.mean(areas)),
        min(1.0, 2 * float(np.mean(chances))),
        importance / whole if whole else importance,
        len(rows),
    )


def _mann_whitney(score: Array, label: Array) -> tuple[float, float]:
    """Return the ROC AUC and the one-sided p-value of no more than chance, ties by the normal limit."""
    from scipy.special import ndtr
    from scipy.stats import rankdata

    ranks = rankdata(score)
    ones = int(label.sum())
    zeros, total = len(label) - ones, len(label)
    above = float(ranks[label == 1].sum()) - ones * (ones + 1) / 2
    _, ties = np.unique(score, return_counts=True)
    spread = ones * zeros / 12 * (total + 1 - float((ties.astype(float) ** 3 - ties).sum()) / (total * (total - 1)))
    if spread <= 0:
        return 0.5, 1.0
    return above / (ones * zeros), float(ndtr(-(above - ones * zeros / 2 - 0.5) / np.sqrt(spread)))


def comparable(frame: pl.DataFrame, columns: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return what a classifier may compare of rows: numbers and truth values, names, lengths of texts.

    Private columns are left out, and dates, which move on with time.

    Args:
        frame: rows; columns that it lacks are left out.
        columns: records of the input columns: name, kind and tags.
    """
    import polars as pl

    made = []
    for column in columns:
        name, kind = column["name"], column["kind"]
        if name not in frame.columns or kind == "datetime" or "pii" in column["tags"]:
            continue
        if kind == "text":
            made.append(pl.col(name).cast(pl.String).str.len_chars().cast(pl.Float32))
        elif kind == "categorical":
            made.append(pl.col(name).cast(pl.String).str.slice(0, LONGEST))
        else:
            made.append(pl.col(name).cast(pl.Float32, strict=False))
    return frame.select(made)


def matrices(before: pl.DataFrame, now: pl.DataFrame) -> tuple[Array, Array, list[str]]:
    """Return two samples as numbers: a name is its rank by how common it is in both, so that rare ones stand together.

    Args:
        before: what `comparable` gave of the reference.
        now: the same of later rows; a column that only one has is left out.

    Returns:
        Both as float32 of shape (rows, columns), and the columns' names.
    """
    import polars as pl

    names = [name for name in before.columns if name in now.columns]
    both = pl.concat([before.select(names), now.select(names)], how="vertical_relaxed")
    coded = []
    for name in names:
        series = both[name]
        if series.dtype == pl.String:
            counted = series.drop_nulls().alias("value").value_counts(name="rows")
            order = counted.sort(["rows", "value"], descending=[True, False])["value"].to_list()
            series = series.replace_strict(order, list(range(len(order))), default=None, return_dtype=pl.Float32)
        coded.append(series.cast(pl.Float32))
    matrix = pl.DataFrame(coded).to_numpy() if coded else np.zeros((len(both), 0), dtype=np.float32)
    return matrix[: len(before)], matrix[len(before) :], names
