"""What a version keeps for drift: compact, readable, nothing private, and what its columns are worth."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from mlframe import stats
from mlframe.steps.baseline import (
    ENOUGH,
    SAMPLED,
    column_sketches,
    importance,
    prediction_sketches,
    write_baseline,
    write_sample,
)
from mlframe.testing import make_table
from mlframe.testing.data import CLASSES
from mlframe.testing.watched import ScoringPipeline


class Fitted(ScoringPipeline):
    """A pipeline as `register` has it."""

    class learning:
        task = "binary"

    def __init__(self, columns):
        super().__init__("binary")
        self.columns = columns


@pytest.fixture
def table():
    return make_table(2500)


@pytest.fixture
def columns(table):
    return [record for record in table.column_records() if record["role"] == "feature"]


def said(table):
    return ScoringPipeline().predict(table.frame)


def written(folder, table, columns, holdout, oof):
    write_baseline(folder, table, Fitted(columns), holdout, oof)
    return json.loads((folder / "baseline.json").read_text())


def test_the_baseline_is_sketches_that_can_be_read(tmp_path, table, columns):
    record = written(tmp_path, table, columns, said(make_table(300, seed=1)), said(table))
    assert (record["format"], record["rows"]) == (2, 2500)
    assert list(record["columns"]) == [column["name"] for column in columns]
    for name, entry in record["columns"].items():
        sketch = stats.read_sketch({key: value for key, value in entry.items() if key != "kind"})
        assert sketch.rows == 2500, name
    assert record["predictions"]["part"] == "holdout"
    assert list(record["predictions"]["columns"]) == ["p_yes", "y_pred"]
    assert (tmp_path / "baseline.json").stat().st_size < 6000 * len(columns)


def test_few_holdout_rows_give_way_to_those_out_of_fold(tmp_path, table, columns):
    record = written(tmp_path, table, columns, said(make_table(ENOUGH - 1, seed=1)), said(table))
    assert (record["predictions"]["part"], record["predictions"]["rows"]) == ("folds", 2500)


def test_columns_that_answers_depend_on_are_told(table, columns):
    found = importance(table.frame, Fitted(columns))
    assert sum(found.values()) == pytest.approx(1, abs=1e-4)
    assert found["amount"] > found["colour"] > 0
    assert {name for name, share in found.items() if share == 0} == set(found) - {"amount", "colour"}
    assert importance(table.frame.head(1), Fitted(columns)) == {}
    assert importance(table.frame, Fitted(columns)) == found


def test_nothing_private_is_kept(tmp_path, columns):
    secret = "Zyxwvut"
    table = make_table(2000)
    frame = table.frame.with_columns(
        pl.lit(f"{secret} of a person").alias("note"), pl.lit(secret).alias("colour"), pl.lit(4711.25).alias("amount")
    )
    private = [{**c, "tags": ("pii",)} if c["name"] in ("note", "colour", "amount") else c for c in columns]
    text = json.dumps(column_sketches(frame, private))
    assert not any(word in text for word in (secret, secret.lower(), "4711"))
    write_sample(tmp_path / "sample.arrow", table.with_frame(frame), private)
    sample = pl.read_ipc((tmp_path / "sample.arrow").read_bytes())
    assert len(sample) == SAMPLED
    assert not {"note", "colour", "amount", "ordered"} & set(sample.columns)
    open_sample = tmp_path / "open.arrow"
    write_sample(open_sample, table, columns)
    assert pl.read_ipc(open_sample.read_bytes())["note"].dtype == pl.Float32, "of texts only the length"


@pytest.mark.parametrize("task", CLASSES)
def test_predictions_of_every_task_are_sketched(task):
    found = prediction_sketches(ScoringPipeline(task).predict(make_table(200, task).frame), task)
    wanted = {
        "binary": ["p_yes", "y_pred"],
        "multiclass": ["p_high", "p_low", "p_middle", "y_pred"],
        "regression": ["y_pred"],
    }
    assert list(found) == wanted[task]
    assert np.isfinite(json.loads(json.dumps(found))["y_pred"].get("mean", 0.0))
