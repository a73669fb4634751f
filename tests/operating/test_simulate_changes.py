"""The experiment static_vs_dynamic on a small cut: known changes are noticed, and where there is none nothing is trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlframe.operating.simulate_alarms import TRIES, Watch
from mlframe.operating.simulate_changes import noticed

SHOP = ("data=shopping_trends", "experiment=static_vs_dynamic", "simulate.start=60d", "model.n_estimators=30",
        "resources.threads=1", "simulate.strategies.every_day=null", "simulate.strategies.scheduled=null")  # fmt: skip
ANSWER = ("competitor", "taste", "gifts", "gifts_again")


@pytest.fixture
def simulate(run_cli: Callable[..., Any], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def run(*more: str) -> dict[str, Any]:
        done = run_cli("simulate", *SHOP, *more)
        assert done.code == 0, done.err
        file = max((tmp_path / "work").glob(".mlframe/runs/*/simulation.json"), key=lambda one: one.stat().st_mtime_ns)
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        found["page"] = file.with_suffix(".html").read_text(encoding="utf-8")
        found["by"] = {item["name"]: item for item in found["strategies"]}
        return found

    return run


def test_known_changes_stand_beside_alarms_and_trainings(simulate: Callable[..., dict[str, Any]]) -> None:
    record = simulate("simulate.rows=12000", "simulate.delay=0d")
    found = {change["name"]: change["by"]["triggered"] for change in noticed(record)}
    assert found["visitors"] == {"alarm": None, "trained": None}, "columns alone are no reason to train"
    assert found["competitor"]["alarm"] is not None
    assert "2025-06-01" < found["competitor"]["trained"] < "2025-06-08"
    assert record["by"]["triggered"]["value"] > record["by"]["static"]["value"] + 0.08
    assert "columns only: no reason to train" in record["page"]
    assert "known changes" in record["page"]


@pytest.mark.parametrize(
    "more", [("simulate.shuffle=true",), tuple(f"data.source.changes.{name}=null" for name in ANSWER)]
)
def test_the_twin_trains_once_and_gains_nothing(simulate: Callable[..., dict[str, Any]], more: tuple[str, ...]) -> None:
    record = simulate("data.source.daily=25", *more)
    assert record["by"]["triggered"]["trainings"] == 1
    assert record["by"]["triggered"]["value"] == record["by"]["static"]["value"]
    assert record["by"]["triggered"]["alarms"] == []
    assert [change["name"] for change in record["changes"]] == ([] if "shuffle" in more[0] else ["visitors"])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("simulate.changes={a: {since: soon}}", "simulate.changes.a.since"),
        ("simulate.changes={a: 2025-06-01}", "Not a change"),
        ("simulate.changes={a: {since: 2025-06-01, until: 2025-05-01}}", "no end before it"),
        ("simulate.changes={a: {since: 2025-06-01, about: anser}}", "answer"),
        ("simulate.start=0d", "simulate.start"),
        ("simulate.delay=-1d", "simulate.delay"),
        ("simulate.delay=900d", "delay of 900 days"),
    ],
)
def test_bad_input_is_refused(run_cli: Callable[..., Any], override: str, said: str) -> None:
    done = run_cli("simulate", *SHOP, "data.source.daily=5", override)
    assert done.code == 2, done.out
    assert said in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(("shares", "more"), [((0.6, 0.3, 0.3), False), ((0.6, 0.3, 0.6), True)])
def test_tries_begin_anew_where_a_model_is_worse_than_the_one_before(shares: tuple[float, ...], more: bool) -> None:
    """A model that is as bad as the one before has been given up; one that is worse has met another change."""
    watch = Watch([], delta=0.002, rows=0)
    moment, none = datetime(2026, 1, 1), pl.DataFrame()

    def errors(share: float) -> Any:
        return (np.arange(100) % 10 < 10 * share).astype(float)

    watch.look(errors(0.1).repeat(5), none, moment, "0")
    watch.look(errors(shares[0]).repeat(2), none, moment, "0")
    assert watch.level is not None
    found = []
    for number in range(TRIES + 1):
        watch.begin(none)
        share = shares[1] if number < TRIES else shares[2]
        found.append(bool(watch.look(errors(share), none, moment + timedelta(days=number + 1), str(number + 1))))
    assert found == [True] * TRIES + [more]
