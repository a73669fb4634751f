"""An online learner beside static, scheduled and triggered training: it follows a change, and is no worse without one."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

ROWS, TURN = 1600, 800
WORDS = ("data=csv", "data.source.path=shop.csv", "data.source.times={when: '%Y-%m-%d %H:%M:%S'}", "featurizer=linear",
         "data.columns={when: {role: time, kind: datetime}, bought: {role: target}}", "model=linear",
         "simulate.start=8d", "simulate.look=2d", "simulate.drift_rows=0", "simulate.strategies.scheduled.every=10d",
         "simulate.strategies.triggered.cooldown=4d",
         "simulate.strategies.online={kind: online, model: {name: online_linear}}")  # fmt: skip


@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize("turn", [TURN, None])
def test_side_by_side(run_cli: Callable[..., Any], tmp_path: Path, task: str, turn: int | None) -> None:
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(2, ROWS))
    wanted = np.where(np.arange(ROWS) < (turn or ROWS), a, -a + b) + 0.5 * rng.normal(size=ROWS)
    bought = pl.Series(np.where(wanted > 0, "yes", "no")) if task == "binary" else pl.Series(1000 + 50 * wanted)
    when = [datetime(2026, 1, 1) + timedelta(minutes=30 * place) for place in range(ROWS)]
    frame = pl.DataFrame({"when": when, "a": a, "b": b, "bought": bought})
    frame.write_csv(tmp_path / "work" / "shop.csv", datetime_format="%Y-%m-%d %H:%M:%S")
    done = run_cli("simulate", *WORDS, f"goal.task={task}")
    assert done.code == 0, done.err
    (file,) = (tmp_path / "work").glob(".mlframe/runs/*/simulation.json")
    by = {item["name"]: item for item in json.loads(file.read_text(encoding="utf-8"))["strategies"]}
    assert {"no_change", "static", "scheduled", "triggered", "online"} <= set(by)
    assert by["online"]["lessons"] == ROWS - 384 - 1  # each label after the first eight days, but the last row's
    assert by["online"]["trainings"] == 1
    gain = (
        by["online"]["value"] - by["static"]["value"]
        if task == "binary"
        else 1 - by["online"]["value"] / by["static"]["value"]
    )
    if turn:
        assert gain > 0.15
        assert by["triggered"]["trainings"] > 1
    else:
        assert gain > -0.05  # steps of a tenth have a price where nothing changes
        assert by["triggered"]["trainings"] == 1
        assert by["triggered"]["alarms"] == []
