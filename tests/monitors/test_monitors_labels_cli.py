"""Monitors of labels and money through the real command line, on a file of dated rows with labels."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from mlframe.store import Store

DATA = (
    "data=csv",
    "data.source.path=rows.csv",
    "data.columns.label.role=target",
    "data.columns.moment.role=time",
    "data.source.times={moment: '%Y-%m-%dT%H:%M:%S'}",
    "name=small",
    "trackers=[]",
)
TRAIN = (*DATA, "model=linear", "experiment=quick", "evaluators=[classification]", "reporters=[]")
WATCH = ("monitor", *DATA, "monitors=[performance,estimated,concept,business]", "input=new.csv", "monitor.window=1d")
DAYS, ROWS = 4, 600


def table(start: datetime, rows: int, seed: int, turn: int | None = None) -> pl.DataFrame:
    """Make rows whose label follows from `a`; from a row on, from -a."""
    random = np.random.default_rng(seed)
    a, b = random.normal(size=rows), random.normal(size=rows)
    sign = np.where(np.arange(rows) >= (rows if turn is None else turn), -1.0, 1.0)
    label = np.where(sign * a + 0.5 * random.normal(size=rows) > 0, "yes", "no")
    moments = [(start + k * timedelta(days=DAYS) / rows).strftime("%Y-%m-%dT%H:%M:%S") for k in range(rows)]
    return pl.DataFrame({"moment": moments, "a": a, "b": b, "label": label})


@pytest.fixture
def trained(run_cli):
    table(datetime(2026, 1, 1), 500, 0).write_csv("rows.csv")
    made = run_cli(*TRAIN)
    assert made.code == 0, made.err
    assert run_cli("promote", "small/1").code == 0
    return run_cli


def watch(run_cli, turn, *words):
    table(datetime(2026, 2, 1), DAYS * ROWS, 1, turn).write_csv("new.csv")
    seen = run_cli(*WATCH, *words)
    assert seen.code == 0, seen.err
    with Store.open(".mlframe") as store:
        windows = [row["record"] for row in store.windows.many("small", source="input=new.csv")]
        return windows, {row["key"] for row in store.alarms.many("small", source="input=new.csv", status=("open",))}


@pytest.mark.slow
def test_a_relation_that_turns_is_an_alarm(trained):
    windows, alarms = watch(trained, 3 * ROWS)
    assert len(windows) == DAYS
    assert windows[0]["figures"]["roc_auc"]["value"] > 0.85
    assert windows[-1]["figures"]["roc_auc"]["value"] < 0.3
    assert alarms == {"performance/roc_auc", "concept/relation"}
    assert windows[1]["figures"]["estimate_error"]["value"] < 0.1 if "estimate_error" in windows[1]["figures"] else True


@pytest.mark.slow
def test_a_relation_that_stays_is_none(trained):
    windows, alarms = watch(trained, None, "goal.value={tp: 10, fp: -10}")
    assert alarms == set()
    assert windows[-1]["figures"]["gain_per_1000"]["low"] > 0
    assert windows[-1]["figures"]["estimated_roc_auc"]["value"] == pytest.approx(
        windows[-1]["figures"]["roc_auc"]["value"], abs=0.05
    )
    assert json.dumps(windows)


@pytest.mark.slow
def test_a_user_s_mistake_is_told_without_a_traceback(trained):
    table(datetime(2026, 2, 1), 100, 1).write_csv("new.csv")
    for words, said in (
        (("monitors.performance.figures=[auc]",), "choose from"),
        (("monitors.performance.margin=-1",), "margin must be 0 or more"),
        (("monitors.business.source=excel",), "must be one of"),
        (("monitors.business.source=csv",), "needs file"),
        (("monitors.business.source=csv", "monitors.business.file=none.csv"), "No such file"),
    ):
        seen = trained(*WATCH, *words)
        text = seen.out + seen.err
        assert seen.code in (1, 2), words
        assert said in text, text
        assert "Traceback" not in text
