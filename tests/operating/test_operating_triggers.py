"""Triggers fire on their reason and on nothing else; policies combine them and cool down; bad ones are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlframe.errors import ParameterError, Problems
from mlframe.operating.policy import DataWindow, Policy, read_policy
from mlframe.operating.schedule import parse_schedule
from mlframe.operating.triggers import Age, Decay, Drift, Labels, NewData, Schedule, Situation

NOW = datetime(2027, 3, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def situation(**given: Any) -> Situation:
    return Situation(**{"now": NOW, "trained": NOW - 30 * DAY, **given})


def alarm(
    key: str = "drift/column/age", severity: str = "problem", status: str = "open", ago: int = 1
) -> dict[str, Any]:
    return {"key": key, "severity": severity, "status": status, "last": NOW - ago * DAY, "record": {"text": "it moved"}}


def window(ago: int, **figures: Any) -> dict[str, Any]:
    return {"since": NOW - (ago + 1) * DAY, "until": NOW - ago * DAY, "record": {"figures": figures}}


def test_rows_and_labels_are_counted_since_the_last_update() -> None:
    assert NewData(100).fires(situation(new_rows=99)) is None
    fired = NewData(100).fires(situation(new_rows=100))
    assert fired
    assert fired.evidence == {"rows": 100, "wanted": 100}
    assert "100 new rows" in fired.text
    assert NewData(100).fires(situation(new_rows=None)) is None
    assert Labels(5).fires(situation(new_rows=100, new_labels=4)) is None
    assert Labels(5).fires(situation(new_labels=5))


def test_a_schedule_counts_from_the_last_update_and_age_from_training() -> None:
    assert Schedule("30d").fires(situation())
    assert not Schedule("31d").fires(situation())
    assert Schedule("7d").fires(situation(updated=NOW - 6 * DAY)) is None
    assert Schedule("0 3 * * *").fires(situation(updated=NOW.replace(hour=2)))
    assert Schedule("0 3 * * *").fires(situation(updated=NOW.replace(hour=4))) is None
    assert Age(30).fires(situation(updated=NOW - DAY))
    assert Age(30.5).fires(situation()) is None


def test_drift_fires_on_open_alarms_that_were_seen_since_the_last_update() -> None:
    assert Drift().fires(situation()) is None
    fired = Drift().fires(situation(alarms=[alarm("drift/b"), alarm("drift/a")]))
    assert fired
    assert fired.evidence["alarms"] == ["drift/a", "drift/b"]
    assert "(and 1 more)" in fired.text
    assert Drift().fires(situation(alarms=[alarm(severity="warning")])) is None
    assert Drift("warning").fires(situation(alarms=[alarm(severity="warning")]))
    assert Drift().fires(situation(alarms=[alarm(status="acknowledged")])) is None
    assert Drift().fires(situation(alarms=[alarm("quality/missing/age")])) is None
    assert Drift().fires(situation(alarms=[alarm(ago=2)], updated=NOW - DAY)) is None


def test_decay_needs_a_fall_that_chance_does_not_explain() -> None:
    was = {"roc_auc": {"value": 0.9, "low": 0.88, "high": 0.92}}

    def fires(value: float, low: float | None, high: float | None, figure: str = "roc_auc", **more: Any) -> bool:
        seen = [window(1, **{figure: {"value": value, "low": low, "high": high}})]
        return Decay(figure, 0.02).fires(situation(windows=seen, reference=was, **more)) is not None

    assert fires(0.85, 0.83, 0.87)
    assert fires(0.85, None, None)
    assert not fires(0.89, 0.88, 0.895)  # surely worse, and by too little
    assert not fires(0.85, 0.78, 0.91)  # may be chance
    assert not fires(0.95, 0.94, 0.96)
    assert not fires(0.85, 0.83, 0.87, updated=NOW)  # an update has answered it
    assert Decay("roc_auc", 0.02).fires(situation(windows=[window(1)], reference=was)) is None


def test_decay_knows_figures_of_which_less_is_better_and_a_champion_without_figures() -> None:
    seen = [
        window(2, rmse={"value": 2.0, "low": 1.9, "high": 2.1}),
        window(1, rmse={"value": 3.0, "low": 2.8, "high": 3.2}),
    ]
    assert Decay("rmse", 0.5).fires(situation(windows=seen, lower=("rmse",)))
    assert Decay("rmse", 0.5).fires(situation(windows=seen)) is None
    assert Decay("rmse", 0.5).fires(situation(windows=seen[1:], lower=("rmse",))) is None  # nothing to compare with


def test_any_or_all_and_cool_down() -> None:
    both = {"new_data": NewData(10), "labels": Labels(10)}
    one = situation(new_rows=10, new_labels=0)
    assert [fired.trigger for fired in Policy(both).decide(one)] == ["new_data"]
    assert Policy(both, combine="all").decide(one) == []
    assert len(Policy(both, combine="all").decide(situation(new_rows=10, new_labels=10))) == 2
    assert Policy({}, combine="all").decide(one) == []
    cooling = Policy(both, cooldown=86400.0)
    assert cooling.decide(situation(new_rows=10, updated=NOW - DAY / 2)) == []
    assert cooling.decide(situation(new_rows=10, updated=NOW - DAY))


def test_windows_of_data() -> None:
    last = NOW - 5 * DAY
    assert DataWindow("all").since(NOW, last) is None
    assert DataWindow("since_last").since(NOW, last) == last
    assert DataWindow("sliding", seconds=86400.0).since(NOW, last) == NOW - DAY
    assert DataWindow("sliding", rows=50).since(NOW, last) is None


def test_a_policy_is_read_from_plain_values() -> None:
    node = {
        "name": "triggered",
        "triggers": {"schedule": {"every": "7d"}, "drift": {"severity": "warning"}, "age": None},
    }
    policy = read_policy(
        {**node, "combine": "all", "cooldown": "1d", "window": "sliding", "sliding": "90d", "tune_every": 3}
    )
    assert policy.triggers == {"schedule": Schedule("7d"), "drift": Drift("warning")}
    assert (policy.combine, policy.cooldown, policy.window) == ("all", 86400.0, DataWindow("sliding", 90 * 86400.0))
    assert [policy.tunes(number) for number in (1, 2, 3, 6)] == [False, False, True, True]
    assert read_policy({"window": "sliding", "sliding": 500}).window.rows == 500
    assert read_policy({}) == Policy()


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ({"triggers": {"drfit": {}}}, ["no trigger 'drfit'", "'drift'", "update.triggers"]),
        ({"triggers": {"drift": {"severty": "warning"}}}, ["no parameter 'severty'", "'severity'"]),
        ({"triggers": {"drift": {"severity": "bad"}}}, ["severity 'bad'", "update.triggers.drift.severity"]),
        ({"triggers": {"schedule": {"every": "soon"}}}, ["Not a duration", "update.triggers.schedule.every"]),
        ({"triggers": {"schedule": {"every": "61 * * * *"}}}, ["Not a schedule", "minute (0 to 59)"]),
        ({"triggers": {"schedule": {"every": "0 0 30 2 *"}}}, ["never comes"]),
        ({"triggers": {"labels": {"count": 0}}}, ["1 or more", "update.triggers.labels.count"]),
        ({"triggers": {"labels": {"count": "many"}}}, ["count must be a whole number"]),
        ({"triggers": {"labels": 100}}, ["parameters by name", "labels: {count: 1000}"]),
        ({"triggers": {"age": {"days": -1}}}, ["above 0"]),
        ({"triggers": {"decay": {"by": -0.1}}}, ["0 or more"]),
        ({"combine": "either"}, ["word for update.combine 'either'"]),
        ({"how": "hot"}, ["word for update.how 'hot'"]),
        ({"window": "slidng"}, ["did you mean 'sliding'"]),
        ({"window": "sliding"}, ["needs a length"]),
        ({"window": "sliding", "sliding": 0}, ["Not a number of rows"]),
        ({"cooldown": "-3d"}, ["Not a duration", "update.cooldown"]),
        ({"tune_every": 0}, ["Not a number of updates"]),
    ],
)
def test_what_cannot_be_is_said_all_at_once(node: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(Problems) as caught:
        read_policy({**node, "combine": node.get("combine", "any")})
    for word in words:
        assert word in str(caught.value)
    with pytest.raises(Problems) as twice:
        read_policy({**node, "tune_every": -1})
    assert "2 problems" in str(twice.value) or "tune_every" in node


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), st.integers(0, 59), st.integers(0, 23), st.integers(0, 7)
)
def test_cron_finds_the_next_moment(moment: datetime, minute: int, hour: int, weekday: int) -> None:
    last = moment.replace(tzinfo=UTC)
    found = parse_schedule(f"{minute} {hour} * * {weekday}", where="x").after(last)
    assert timedelta(0) < found - last <= 7 * DAY
    assert (found.minute, found.hour, found.isoweekday() % 7, found.second) == (minute, hour, weekday % 7, 0)


def test_cron_steps_lists_ranges_and_either_day() -> None:
    start = datetime(2027, 1, 1, tzinfo=UTC)  # a Friday
    assert parse_schedule("*/15 * * * *", where="x").after(start) == start + timedelta(minutes=15)
    assert parse_schedule("0 9-17/4,20 * * *", where="x").after(start + timedelta(hours=18)) == start + timedelta(
        hours=20
    )
    assert parse_schedule("0 0 1 * 1", where="x").after(start).day == 4  # Monday comes before the first of February
    assert parse_schedule("0 0 29 2 *", where="x").after(start) == datetime(2028, 2, 29, tzinfo=UTC)
    with pytest.raises(ParameterError, match="five fields"):
        parse_schedule("0 0 *", where="x")
