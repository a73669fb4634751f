"""The experiment static_vs_dynamic on a small cut: known changes are noticed, and where there is none nothing is trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
