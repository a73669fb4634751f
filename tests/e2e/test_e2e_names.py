"""Columns may be called as the framework calls things: training, its pages, and all monitors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

WORDS = (
    "request_id",
    "version",
    "role",
    "label",
    "caller",
    "outcome",
    "rows",
    "share",
    "name",
    "value",
    "count",
    "len",
)
NUMBERS = ("latency_ms", "known", "y_pred", "p_yes", "row", "time", "weight", "index", "part")


@pytest.mark.parametrize("target", ["count", "proportion"])
def test_columns_may_have_the_names_of_the_framework(run_cli: Any, target: str) -> None:
    rng = np.random.default_rng(0)
    columns = {name: rng.choice(["a", "b", "c"], 300) for name in WORDS}
    columns |= {name: rng.normal(size=300) for name in NUMBERS}
    truth = columns["known"] + (columns["name"] == "a") + rng.normal(0, 0.5, 300) > 0.3
    pl.DataFrame({**columns, target: np.where(truth, "yes", "no")}).write_csv("rows.csv")
    data = ["data=csv", "data.source.path=rows.csv", f"data.columns.{target}.role=target", "name=odd"]
    trained = run_cli(*data, "splitter.folds=2", "model.n_estimators=20")
    assert trained.code == 0, trained.err
    assert run_cli("promote", "odd/1", "--force", "--why", "test").code == 0
    watched = run_cli("monitor", *data, "monitor.rows=source", "monitors.performance.segments=[role,share]")
    assert watched.code == 0, watched.err
    assert "300 predictions" in watched.out
    page = next(Path(".mlframe/runs").glob("*/monitor.html")).read_text()
    assert "roc_auc" in page
    assert "drift_share" in page
