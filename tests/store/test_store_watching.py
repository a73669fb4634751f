"""Windows and alarms of monitors: kept, replaced, seen again, over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mlframe.errors import ConfigError, UnknownNameError
from mlframe.store import Store

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def see(store: Store, hour: int, scope: list[str] | None = None, **seen: str) -> dict[str, list[str]]:
    """Look at one hour; `seen` is key to severity, `__` for `/`."""
    found = store.alarms.see(
        "own",
        {key.replace("__", "/"): (severity, {"text": f"at {hour}"}) for key, severity in seen.items()},
        scope=scope or ["drift"],
        since=NOON + hour * HOUR,
        until=NOON + (hour + 1) * HOUR,
    )
    return {kind: [row["key"] for row in rows] for kind, rows in found.items() if rows}


def test_a_window_that_is_looked_at_again_replaces_what_it_was(store: Store) -> None:
    for rows, share in ((10, 0.1), (10, 0.9)):
        store.windows.put("own", "own/1", NOON, NOON + HOUR, rows, "run", {"labelled": share})
    store.windows.put("own", "own/1", NOON + HOUR, NOON + 2 * HOUR, 5, "run", {})
    store.windows.put("other", "other/1", NOON, NOON + HOUR, 5, "run", {})
    found = store.windows.many("own")
    assert [(one["since"], one["rows"], one["record"]) for one in found] == [
        (NOON, 10, {"labelled": 0.9}),
        (NOON + HOUR, 5, {}),
    ]
    assert [one["since"] for one in store.windows.many("own", since=NOON + HOUR)] == [NOON + HOUR]
    assert [one["since"] for one in store.windows.many("own", until=NOON + HOUR)] == [NOON]
    assert [one["since"] for one in store.windows.many("own", limit=1)] == [NOON + HOUR], "the newest"


def test_an_alarm_is_new_once_then_the_same_until_it_is_over(store: Store) -> None:
    assert see(store, 0, drift__a="warning", drift__b="warning") == {"new": ["drift/a", "drift/b"]}
    assert see(store, 1, drift__a="warning") == {"same": ["drift/a"], "over": ["drift/b"]}
    assert see(store, 2, drift__a="problem") == {"worse": ["drift/a"]}
    (alarm,) = store.alarms.many("own", status=["open"])
    assert (alarm["first"], alarm["last"], alarm["severity"]) == (NOON, NOON + 3 * HOUR, "problem")
    assert alarm["record"] == {"text": "at 2", "times": 3}
    assert see(store, 3) == {"over": ["drift/a"]}
    assert see(store, 4, drift__a="warning") == {"new": ["drift/a"]}, "what comes back is another alarm"


def test_only_alarms_that_were_looked_for_are_over(store: Store) -> None:
    see(store, 0, ["drift", "quality"], drift__a="warning", quality__a="warning")
    assert see(store, 1, ["quality"]) == {"over": ["quality/a"]}
    assert [one["key"] for one in store.alarms.many("own", status=["open"])] == ["drift/a"]


def test_what_a_file_shows_is_kept_apart_from_the_log(store: Store) -> None:
    file = "input=new.parquet"
    see(store, 0, drift__a="warning")
    store.windows.put("own", "own/1", NOON, NOON + HOUR, 10, "run", {})
    problem = {"drift/a": ("problem", {"text": "in the file"}), "drift/b": ("info", {})}
    spans = [(NOON, NOON + HOUR), (NOON + HOUR, NOON + 2 * HOUR)]
    for (since, until), seen in zip(spans, ({}, problem), strict=True):
        store.alarms.see("own", seen, scope=["drift"], since=since, until=until, source=file)
        store.windows.put("own", "own/1", since, until, 7, "run", {"health": "problem"}, source=file)
    (alarm,) = store.alarms.many("own")
    assert (alarm["key"], alarm["severity"], alarm["status"]) == ("drift/a", "warning", "open"), (
        "the log's is as it was"
    )
    assert {row["key"] for row in store.alarms.many("own", source=file)} == {"drift/a", "drift/b"}
    assert len(store.alarms.many("own", source=None)) == 3
    assert len(store.alarms.untold("own", "mail")) == 3, "people are told of all"
    assert [row["rows"] for row in store.windows.many("own")] == [10], "a window of the same hour was not replaced"
    (other,) = store.windows.others("own")
    assert (other["source"], other["since"], other["rows"]) == (file, NOON + HOUR, 7), "the newest window"
    assert other["alarms"] == {"problem": 1, "info": 1}
    assert see(store, 2) == {"over": ["drift/a"]}
    assert {row["status"] for row in store.alarms.many("own", source=file)} == {"open"}


def test_of_long_records_only_what_is_asked_for_is_read(store: Store) -> None:
    record = {"now": "2026", "partial": False, "alarms": ["drift/a"], "state": {"drift": None}, "tables": {"x": [1]}}
    for hour in range(2):
        store.windows.put("own", "own/1", NOON + hour * HOUR, NOON + (hour + 1) * HOUR, hour, "run", record)
    keys = ("now", "partial", "alarms", "state", "never")
    found = store.windows.many("own", keys=keys)
    assert [row["record"] for row in found] == [{key: record[key] for key in keys if key in record}] * 2
    whole = store.windows.many("own")
    assert [{**row, "record": record} for row in found] == whole


def test_the_same_window_twice_counts_once(store: Store) -> None:
    see(store, 0, drift__a="warning")
    assert see(store, 0, drift__a="warning") == {"same": ["drift/a"]}
    assert see(store, 0) == {}, "an older look ends nothing"
    assert store.alarms.many("own")[0]["record"]["times"] == 1


def test_a_window_that_goes_on_counts_once_however_often_it_is_looked_at(store: Store) -> None:
    seen = {"drift/a": ("warning", {"text": "moved"})}
    for minutes in (20, 40, 60):
        until = NOON + timedelta(minutes=minutes)
        store.alarms.see("own", seen, scope=["drift"], since=NOON, until=until)
        (alarm,) = store.alarms.many("own")
        assert (alarm["last"], alarm["record"]["times"]) == (until, 1)
    see(store, 1, drift__a="warning")
    assert store.alarms.many("own")[0]["record"]["times"] == 2


def test_an_acknowledged_alarm_is_open_again_when_it_gets_worse(store: Store) -> None:
    see(store, 0, drift__a="warning")
    number = store.alarms.many("own")[0]["id"]
    assert store.alarms.acknowledge(number, who="ann", why="planned")["status"] == "acknowledged"
    see(store, 1, drift__a="warning")
    alarm = store.alarms.many("own")[0]
    assert (alarm["status"], alarm["record"]["acknowledged"]["why"]) == ("acknowledged", "planned")
    see(store, 2, drift__a="problem")
    alarm = store.alarms.many("own")[0]
    assert alarm["status"] == "open"
    assert "acknowledged" not in alarm["record"]


def test_an_alarm_that_is_not_there_or_over_cannot_be_acknowledged(store: Store) -> None:
    see(store, 0, drift__a="warning")
    number = store.alarms.many("own")[0]["id"]
    see(store, 1)
    with pytest.raises(ConfigError, match="over"):
        store.alarms.acknowledge(number, who="ann", why="")
    with pytest.raises(UnknownNameError, match="alarm"):
        store.alarms.acknowledge(number + 1, who="ann", why="")
