"""Times and truth values: a CSV input says them in text, whatever file the model was trained on."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

COLUMNS = (
    "data=parquet",
    "data.source.path=rows.parquet",
    "data.columns.bought.role=target",
    "+data.columns.seen={role: time, kind: datetime}",
    "+data.columns.born={kind: datetime}",
)
FAST = ("experiment=quick", "model=dummy", "trackers=[]", "reporters=[]", "splitter=time")


def rows() -> pl.DataFrame:
    start = datetime(2024, 1, 1)
    return pl.DataFrame(
        {
            "seen": [start + timedelta(days=day) for day in range(60)],
            "born": [start - timedelta(days=9000 + 31 * day) for day in range(60)],
            "member": [day % 3 == 0 for day in range(60)],
            "bought": ["yes" if day % 2 else "no" for day in range(60)],
        }
    )


def train(run_cli) -> None:
    rows().write_parquet("rows.parquet")
    trained = run_cli(*COLUMNS, *FAST)
    assert trained.code == 0, trained.err
    promoted = run_cli("promote", "parquet/1")
    assert promoted.code == 0, promoted.err


def test_text_is_read_as_the_types_that_the_model_knows(run_cli):
    train(run_cli)
    rows().drop("bought").write_csv("new.csv", datetime_format="%Y-%m-%dT%H:%M:%S")
    scored = run_cli("predict", "input=new.csv", "output=out.csv", *COLUMNS)
    assert scored.code == 0, scored.err
    assert pl.read_csv("out.csv").height == 60


def test_values_that_are_no_times_are_named(run_cli):
    train(run_cli)
    wrong = rows().drop("bought").with_columns(born=pl.lit("long ago"), seen=pl.lit("recently"))
    wrong.write_csv("new.csv")
    scored = run_cli("predict", "input=new.csv", "output=out.csv", *COLUMNS)
    assert scored.code == 2
    assert "'born': 60 values are no Datetime" in scored.err
    assert "'long ago'" in scored.err
    assert "'seen': 60 values are no Datetime" in scored.err
    assert not Path("out.csv").exists()
