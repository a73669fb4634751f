"""What the end of a monitoring run says: nothing is called healthy that nobody has looked at."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mlframe.operating.shown import show
from mlframe.store import Store


@pytest.fixture
def context(tmp_path):
    with Store.open(str(tmp_path)) as store:
        config = {"monitor": {"since": None, "until": None}}
        yield SimpleNamespace(store=store, config=config, summary={}, say=lambda text: None)


def health(context: Any, **more: Any) -> str:
    """Return the line about health of a look that found no window due."""
    given = {"name": "own", "source": "log", "looked": 0, "known": 0, "health": "ok", "alarms": [], "gone": []}
    show(context, {**given, "untold": {}, **more}, None)
    return dict(context.summary["lines"])["health"]


def test_without_a_window_nothing_is_known(context):
    assert health(context) == "nothing is known of own: no window has been looked at"


def test_nothing_that_is_logged_is_said_of_the_time_that_was_asked_for(context):
    health(context)
    assert "no prediction of 'own' is logged; 'python -m mlframe serve'" in dict(context.summary["lines"])["looked at"]
    context.config["monitor"]["since"] = "2026-11-01"
    health(context)
    assert "is logged in that time; " in context.summary["lines"][-1][1]


def test_windows_that_are_known_already_tell_the_health(context):
    assert health(context, known=3) == "own is healthy: no alarm"


def test_an_alarm_tells_the_health_without_a_window(context):
    alarm = {"id": 1, "key": "monitor/silence", "severity": "warning", "status": "open"}
    assert health(context, alarms=[alarm], health="warning") == "own needs a look: 1 warning"
