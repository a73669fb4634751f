"""River's detectors raise an alarm when errors have risen, keep it while they are high, and are silent without a change."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from mlframe_river.detecting import DETECTORS, signals
from mlframe_river.monitor import NAMES, ErrorMonitor

from mlframe.contracts import Observation, Reference, Window
from mlframe.errors import MlframeError
from mlframe.store import Store
from mlframe.testing import MonitorSuite, make_reference, make_window


class TestRiverErrors(MonitorSuite):
    @pytest.fixture
    def component(self) -> dict[str, Any]:
        return {"name": "river_errors"}


def day(number: int, wrong: Sequence[float], task: str = "binary", before: Sequence[Any] = (), seed: int = 0) -> Window:
    """Make a day of labelled answers: each is wrong, or far off, with its own chance."""
    rng = np.random.default_rng([seed, number])
    chance = np.asarray(wrong)
    rows, base = len(chance), make_window(task, rows=2)
    since = base.since + timedelta(days=number)
    bad = rng.random(rows) < chance
    truth = rng.random(rows) < 0.5
    sure = rng.uniform(0.6, 0.9, rows)
    frame = pl.DataFrame({
        "request_id": [f"{number}-{place}" for place in range(rows)],
        "row": pl.Series([0] * rows, dtype=pl.UInt32),
        "time": pl.Series([since + place * timedelta(days=1) / rows for place in range(rows)], dtype=pl.Datetime("us", "UTC")),
        "version": ["tiny/7"] * rows,
        "role": ["champion"] * rows,
    })  # fmt: skip
    if task == "regression":
        value = rng.normal(100, 10, rows)
        said: dict[str, Any] = {"y_pred": value + rng.normal(0, np.where(bad, 10, 2))}
        label = value
    else:
        yes = np.where(truth ^ bad, sure, 1 - sure)
        said = {"y_pred": np.where(yes > 0.5, "yes", "no"), "p_no": 1 - yes, "p_yes": yes}
        label = np.where(truth, "yes", "no")
    feedback = frame.select("request_id", "row", "time", label=pl.Series(label), outcome=pl.lit(None, pl.String))
    return replace(base, since=since, until=since + timedelta(days=1), now=since + timedelta(days=1), rows=rows,
                   predictions=frame.with_columns(**{k: pl.Series(v) for k, v in said.items()}).lazy(),
                   feedback=feedback.lazy(), before=tuple(before))  # fmt: skip


def watch(reference: Reference, days: Sequence[Sequence[float]], seed: int = 0, **more: Any) -> list[Observation]:
    """Look at day after day, each with the state that the one before left."""
    before: list[Any] = []
    found = []
    for number, wrong in enumerate(days):
        found.append(ErrorMonitor(**more).observe(reference, day(number, wrong, reference.task, before, seed)))
        state = json.loads(json.dumps(found[-1].state, allow_nan=False))
        before.append({"version": "tiny/7", "rows": len(wrong), "figures": {}, "state": state})
    return found


USUAL = [0.2] * 500
WORSE = [0.2] * 100 + [0.45] * 400


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_rise_is_an_alarm_until_it_is_over(tmp_path: Path, task: str) -> None:
    days = [USUAL, USUAL, WORSE, [0.45] * 500, [0.45] * 500, USUAL, USUAL]
    found = watch(make_reference(tmp_path, task), days)
    assert [[alarm.key for alarm in one.alarms] for one in found] == [[], [], *[["river_errors/rise"]] * 3, [], []]
    (alarm,) = found[4].alarms
    turn = make_window(rows=1).since + timedelta(days=2, hours=24 / 5)
    assert alarm.since is not None
    assert turn - timedelta(hours=1) < alarm.since < turn + timedelta(hours=18)
    assert len(alarm.evidence["detectors"]) >= 2
    assert found[2].figures["error_rise"].low > 0


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_twin_without_a_change_is_silent(tmp_path: Path, task: str) -> None:
    reference = make_reference(tmp_path, task)
    loud = [seed for seed in range(3) if any(one.alarms for one in watch(reference, [USUAL] * 6, seed))]
    assert loud == []


def test_fewer_errors_are_no_alarm(tmp_path: Path) -> None:
    found = watch(make_reference(tmp_path), [[0.4] * 500, [0.4] * 500, [0.1] * 500, [0.1] * 500])
    assert not any(one.alarms for one in found)
    assert found[3].figures["error_rise"].high < 0


def test_a_slow_rise_over_days_is_found(tmp_path: Path) -> None:
    days = [[0.2 + 0.03 * number] * 400 for number in range(8)]
    assert any(one.alarms for one in watch(make_reference(tmp_path), days))


@pytest.mark.parametrize(("task", "bad"), [("regression", float("nan")), ("regression", None), ("binary", "maybe")])
def test_what_cannot_be_read_is_left_out(tmp_path: Path, task: str, bad: Any) -> None:
    reference = make_reference(tmp_path, task)
    strange, window = pl.int_range(pl.len()) < 100, day(0, USUAL, task)
    answers, labels = window.predictions, window.feedback
    if bad is None:
        answers = answers.with_columns(y_pred=pl.when(strange).then(None).otherwise("y_pred"))
    else:
        labels = labels.with_columns(label=pl.when(strange).then(pl.lit(bad)).otherwise("label"))
    found = ErrorMonitor().observe(reference, replace(window, predictions=answers, feedback=labels))
    rest = ErrorMonitor().observe(reference, replace(window, feedback=window.feedback.filter(~strange)))
    assert json.dumps(found.state, allow_nan=False) == json.dumps(rest.state)
    assert rest.state["count"] == 400


@pytest.mark.parametrize("name", NAMES)
def test_each_detector_finds_a_rise_and_most_are_silent_without(name: str) -> None:
    rng = np.random.default_rng(4)
    usual = rng.random(1500) < 0.2
    risen = np.concatenate([usual, rng.random(500) < 0.7])

    def read(wrong: Any) -> Any:
        return wrong if DETECTORS[name].reads == "wrong" else np.where(wrong, 0.6, 0.05)

    assert any(place >= 1500 for place in signals(name, read(risen), spread=0.2, seed=0))
    if name != "eddm":
        assert len(signals(name, read(usual), spread=0.2, seed=0)) == 0


def test_rows_come_before_labels(tmp_path: Path) -> None:
    """Without labels nothing is said, few ones are gathered until they tell what is usual, and another version begins anew."""
    reference = make_reference(tmp_path)
    found = ErrorMonitor().observe(reference, make_window())
    assert not found.alarms
    assert "no label" in found.notes[0]
    found, later = watch(reference, [[0.2] * 120] * 2)[:2]
    assert "120 of the 200" in found.notes[0]
    assert later.state["count"] == 240
    other = [{"version": "tiny/6", "rows": 1, "figures": {}, "state": later.state}]
    assert (
        "of this version tell what is usual" in ErrorMonitor().observe(reference, day(3, WORSE, before=other)).notes[0]
    )


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"detectors": ["adwim"]}, "adwin"),
        ({"agree": 6}, "1 to 5"),
        ({"agree": 0}, "1 to 5"),
        ({"least": 3}, "50 or more"),
    ],
)
def test_bad_parameters_are_refused(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(MlframeError, match=said):
        ErrorMonitor(**parameters)


DATA = ("data=csv", "data.source.times={moment: '%Y-%m-%dT%H:%M:%S'}", "data.columns.label.role=target",
        "data.columns.moment.role=time", "data.source.path=rows.csv", "name=small", "trackers=[]")  # fmt: skip


def write(name: str, turn: int, seed: int) -> None:
    """Write 4 days of rows whose label follows from `a`, and from a row on from -a."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=1600)
    label = np.where(np.where(np.arange(1600) < turn, a, -a) + 0.5 * rng.normal(size=1600) > 0, "yes", "no")
    moment = [
        (datetime(2026, 1 + seed, 1) + place * timedelta(days=4) / 1600).isoformat()[:19] for place in range(1600)
    ]
    pl.DataFrame({"moment": moment, "a": a, "label": label}).write_csv(name)


def test_through_the_command_line(run_cli: Callable[..., Any], tmp_path: Path) -> None:
    write("rows.csv", 1600, 0)
    assert run_cli(*DATA, "model=linear", "experiment=quick", "evaluators=[classification]", "reporters=[]").code == 0
    assert run_cli("promote", "small/1").code == 0
    alarms = {}
    for name, turn in (("calm.csv", 1600), ("turned.csv", 1000)):
        write(name, turn, 1)
        seen = run_cli("monitor", *DATA, "monitors=[river_errors]", "monitor.window=1d", f"input={name}")
        assert seen.code == 0, seen.err
        with Store.open(".mlframe") as store:
            found = store.alarms.many("small", source=f"input={name}", status=("open",))
            alarms[name] = [row["key"] for row in found]
    assert alarms == {"calm.csv": [], "turned.csv": ["river_errors/rise"]}
    refused = run_cli("monitor", *DATA, "monitors=[river_errors]", "monitors.river_errors.agree=9", "input=calm.csv")
    assert refused.code == 2
    assert "monitors.river_errors.agree" in refused.err
    assert "Traceback" not in refused.err
