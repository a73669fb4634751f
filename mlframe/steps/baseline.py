"""What a bundle keeps of the rows that it was made from, so that drift can be told without them.

`baseline.json`, format 2: `rows`; `columns`, a sketch of each input column (`mlframe.stats.sketch`), made of the development
rows; `predictions`, sketches of what was predicted of rows that the model had not seen, and their `part`; `importance`, each
column's share in what an answer depends on.

`sample.arrow` has up to 1,000 development rows, without private columns and dates, and of texts only their lengths. Only the
classifier two-sample test needs it. It is kept beside the bundle: a server has no use for rows of the data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mlframe import stats
from mlframe.pipeline import Pipeline
from mlframe.table import Table

__all__ = ["BASELINE", "FORMAT", "SAMPLE", "column_sketches", "prediction_sketches", "write_baseline", "write_sample"]

BASELINE, SAMPLE = "baseline.json", "sample.arrow"
FORMAT = 2
"""Format 1 had histograms that could not be added up; it is told from another by having no `format`."""
SAMPLED = 1_000
ENOUGH = 100
"""From so many holdout rows on, their predictions are the reference; else the out-of-fold ones are."""
CHANGED_CELLS = 4_000
"""About so many rows are scored to tell which columns matter."""


def write_baseline(
    folder: Path, table: Table, pipeline: Pipeline, holdout: pl.DataFrame, oof: pl.DataFrame, seed: int = 0
) -> None:
    """Write `baseline.json`.

    Args:
        folder: of the bundle.
        table: the development rows.
        pipeline: what will be deployed.
        holdout: predictions of the holdout rows.
        oof: out-of-fold predictions of the development rows.
        seed: of the rows that tell which columns matter.
    """
    part, said = ("holdout", holdout) if len(holdout) >= ENOUGH or not len(oof) else ("folds", oof)
    record = {
        "format": FORMAT,
        "rows": len(table),
        "columns": column_sketches(table.frame, pipeline.columns),
        "predictions": {"part": part, "rows": len(said), "columns": prediction_sketches(said, pipeline.learning.task)},
        "importance": importance(table.frame, pipeline, seed),
    }
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    (folder / BASELINE).write_text(text, encoding="utf-8")


def write_sample(path: Path, table: Table, columns: Sequence[Mapping[str, Any]], seed: int = 0) -> None:
    """Write `sample.arrow`.

    Args:
        path: the file.
        table: the development rows.
        columns: records of the input columns.
        seed: of the drawing.
    """
    chosen = np.arange(len(table))
    if len(chosen) > SAMPLED:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, SAMPLED, replace=False))
    stats.comparable(table.frame[chosen], columns).write_ipc(path, compression="zstd")


def column_sketches(frame: pl.DataFrame, columns: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return a record for each input column: its kind and its sketch; a private one's has no value in it."""
    return {
        column["name"]: {
            "kind": column["kind"],
            **stats.sketch(frame[column["name"]], column["kind"], private="pii" in column["tags"]).record(),
        }
        for column in columns
    }


def prediction_sketches(said: pl.DataFrame, task: str) -> dict[str, dict[str, Any]]:
    """Return sketches of the probabilities, in two classes of the second one's, and of the classes; or of the values.

    Args:
        said: `y_pred` and one `p_<class>` a class, in the order of the classes.
        task: binary, multiclass or regression.
    """
    if task == "regression":
        return {"y_pred": {"kind": "numeric", **stats.sketch(said["y_pred"], "numeric").record()}}
    scores = [name for name in said.columns if name.startswith("p_")]
    scores = scores[-1:] if task == "binary" else scores
    found = {name: {"kind": "numeric", **stats.sketch(said[name], "numeric").record()} for name in scores}
    return {**found, "y_pred": {"kind": "categorical", **stats.sketch(said["y_pred"], "categorical").record()}}


def importance(frame: pl.DataFrame, pipeline: Pipeline, seed: int = 0) -> dict[str, float]:
    """Return how much answers change when a column takes another row's value, as shares; {} where nothing changes it.

    The same measure for every model; all columns' changed rows are scored at once.
    """
    names = pipeline.inputs
    count = min(len(frame), max(20, min(100, CHANGED_CELLS // max(1, len(names)))))
    if count < 2 or not names:
        return {}
    rng = np.random.default_rng(seed)
    rows = frame[np.sort(rng.choice(len(frame), count, replace=False))]
    others = [frame[name].gather(rng.choice(len(frame), count)).alias(name) for name in names]
    answers = pipeline.outputs(pl.concat([rows, *(rows.with_columns(other) for other in others)]))
    answers = answers.reshape(len(names) + 1, count, -1)
    changed = np.abs(answers[1:] - answers[0]).mean(axis=(1, 2))
    total = float(changed.sum())
    if not np.isfinite(total) or total <= 0:
        return {}
    return {name: round(float(share) / total, 6) for name, share in zip(names, changed, strict=True)}
