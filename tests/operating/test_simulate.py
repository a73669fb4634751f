"""Simulations: what was not known teaches nothing, changes are found, and without a change there is no alarm."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlframe.operating.simulate import Stream, last_label
from mlframe.pipeline import Learning
from mlframe.stats.adwin import Adwin
from mlframe.table import ROW, Table, describe_columns

WORDS = ("data=csv", "data.source.path=shop.csv", "data.source.times={when: '%Y-%m-%d %H:%M:%S'}", "goal.task=binary",
         "data.columns={when: {role: time, kind: datetime}, bought: {role: target}}", "model=linear", "featurizer=linear",
         "simulate.start=20d", "simulate.drift_rows=200")  # fmt: skip
TRIGGERED = tuple(f"simulate.strategies.triggered.{word}" for word in ("cooldown=2d", "window=sliding", "sliding=10d"))


def shop(rows: int, turn: int | None, seed: int = 5) -> pl.DataFrame:
    """Return half-hours in which `a` sells until the turn, and `b` after it; None never turns."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, rows))
    wanted = np.where(np.arange(rows) < (rows if turn is None else turn), a, -a + b)
    bought = wanted + 0.5 * rng.normal(size=rows) > 0
    when = [datetime(2026, 1, 1) + timedelta(minutes=30 * index) for index in range(rows)]
    return pl.DataFrame({"when": when, "a": a, "b": b, "bought": np.where(bought, "yes", "no")})


@pytest.fixture
def simulate(run_cli: Callable[..., Any], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def run(frame: pl.DataFrame, *more: str) -> dict[str, Any]:
        frame.write_csv(tmp_path / "work" / "shop.csv", datetime_format="%Y-%m-%d %H:%M:%S")
        done = run_cli("simulate", *WORDS, *TRIGGERED, *more)
        assert done.code == 0, done.err
        newest = max(
            (tmp_path / "work").glob(".mlframe/runs/*/simulation.json"), key=lambda path: path.stat().st_mtime_ns
        )
        record: dict[str, Any] = json.loads(newest.read_text(encoding="utf-8"))
        record["by"] = {item["name"]: item for item in record["strategies"]}
        assert "<svg" in newest.with_suffix(".html").read_text(encoding="utf-8")
        return record

    return run


def test_a_change_is_found_and_learned(simulate: Callable[..., dict[str, Any]]) -> None:
    found = simulate(shop(4000, turn=2000))["by"]
    assert found["triggered"]["value"] > found["static"]["value"] + 0.1
    assert found["triggered"]["against_static"]["low"] > 0
    assert "concept/error_rate" in {alarm["key"] for alarm in found["triggered"]["alarms"]}
    assert found["triggered"]["trained"][1]["when"] > "2026-02-11"  # the turn: 2,000 half-hours
    assert found["static"]["trainings"] == 1


@pytest.mark.parametrize(("turn", "more"), [(2000, ("simulate.shuffle=true",)), (None, ())])
def test_the_twin_without_a_change_shows_no_alarm(
    simulate: Callable[..., dict[str, Any]], turn: int | None, more: Sequence[str]
) -> None:
    found = simulate(shop(4000, turn), *more)["by"]
    assert found["triggered"]["trainings"] == 1
    assert found["triggered"]["alarms"] == []
    np.testing.assert_array_equal(found["triggered"]["value"], found["static"]["value"])


def test_equal_runs_give_equal_figures(simulate: Callable[..., dict[str, Any]]) -> None:
    frame = shop(1500, turn=1100)
    first, second = (simulate(frame)["strategies"] for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert (one["figures"], one["along"], one["alarms"]) == (other["figures"], other["along"], other["alarms"])


def test_labels_that_come_late_teach_late(simulate: Callable[..., dict[str, Any]]) -> None:
    frame = shop(4000, turn=2000)
    soon, late = simulate(frame), simulate(frame, "simulate.delay=5d")
    first = [record["by"]["triggered"]["trained"][1]["when"] for record in (soon, late)]
    assert datetime.fromisoformat(first[1]) - datetime.fromisoformat(first[0]) >= timedelta(days=4)


def test_a_model_that_learns_each_label(simulate: Callable[..., dict[str, Any]]) -> None:
    more = "simulate.strategies.online={kind: online, model: {name: mlp}}"
    found = simulate(shop(4000, turn=2000), more, "resources.price_per_hour=36", "goal.currency=EUR")["by"]
    assert found["online"]["lessons"] == 4000 - 960 - 1
    assert found["online"]["value"] > found["static"]["value"] + 0.1
    assert found["online"]["cost"] == pytest.approx(found["online"]["seconds"] / 100, rel=0.05, abs=1e-4)


def _stream(delay: float, target: Any, minutes: Sequence[int]) -> Stream:
    when = [datetime(2026, 1, 1) + timedelta(minutes=one) for one in minutes]
    frame = pl.DataFrame({"when": when, "a": np.arange(len(when)) * 1.0}).with_row_index(ROW)
    columns = describe_columns(frame, {"when": {"role": "time", "kind": "datetime"}})
    labels = pl.DataFrame({"target": target, "weight": np.ones(len(when))})
    learning = Learning("binary", "y", ("0", "1"), (0, 1))
    return Stream.of(Table(frame, columns), labels, learning, start=60.0, delay=delay, look=60.0)


def test_a_row_never_knows_its_own_label_nor_one_of_its_moment() -> None:
    stream = _stream(0.0, [0, 1, 1, 0, 1], [0, 1, 1, 2, 3])
    assert [stream.known(int(moment)) for moment in stream.times] == [0, 1, 1, 3, 4]
    assert last_label(stream).outputs.tolist() == [0, 0, 1, 0]
    late = _stream(60.0, [0, 1, 1, 0, 1], [0, 1, 1, 2, 3])
    assert [late.known(int(moment)) for moment in late.times] == [0, 1, 1, 3, 4]
    later = _stream(61.0, [0, 1, 1, 0, 1], [0, 1, 1, 2, 3])
    assert [later.known(int(moment)) for moment in later.times] == [0, 0, 0, 1, 3]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("simulate.start=soon", "simulate.start"),
        ("simulate.start=900d", "first stretch"),
        ("simulate.strategies.a={kind: statc}", "static"),
        ("simulate.strategies.a={kind: scheduled, evry: 7d}", "evry"),
        ("simulate.strategies.a={kind: scheduled, every: never}", "duration"),
        ("simulate.strategies.a={kind: triggered, triggers: {drft: {}}}", "drift"),
        ("simulate.strategies.a={kind: triggered, triggers: {decay: {figure: roc_auc}}}", "accuracy"),
        ("simulate.strategies.no_change={kind: static}", "baseline"),
        ("simulate.strategies.a={kind: online}", "learn"),
        ("simulate.delta=2", "0.002"),
        ("ensembler=bagging", "ensembler=none"),
        ("data.columns={bought: {role: target}, when: {role: ignore}}", "role"),
    ],
)
def test_bad_input_is_refused(run_cli: Callable[..., Any], tmp_path: Path, override: str, said: str) -> None:
    shop(1200, None).write_csv(tmp_path / "work" / "shop.csv", datetime_format="%Y-%m-%d %H:%M:%S")
    words = [word for word in WORDS if override.split("=")[0] not in (word.split("=")[0],)]
    done = run_cli("simulate", *words, override)
    assert done.code == 2, done.out
    assert said in done.err
    assert "Traceback" not in done.err


def test_adwin_finds_a_change_soon_and_stays_calm_without_one() -> None:
    rng = np.random.default_rng(2)
    calm = 0
    for _ in range(20):
        detector = Adwin()
        calm += any(detector.update(float(value)) for value in rng.random(3000) < 0.3)
    assert calm <= 1  # of 20
    detector = Adwin()
    said = [detector.update(float(value)) for value in np.concatenate([rng.random(2000) < 0.2, rng.random(400) < 0.5])]
    assert not any(said[:2000])
    assert 2000 < said.index(True) < 2200
    assert detector.before is not None
    assert detector.before < 0.25 < detector.mean
