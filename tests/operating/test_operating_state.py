"""What a process that operates a model counts as its reasons: alarms of the rows that it monitors, and its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlframe.operating.state import State
from mlframe.store import Store

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rows", "counted"),
    [("log", {"drift/log", "champion/gone"}), ("source", {"drift/log", "drift/table", "champion/gone"})],
)
def test_a_file_that_somebody_looked_at_is_no_reason_to_train(tmp_path: Path, rows: str, counted: set[str]) -> None:
    with Store.open(str(tmp_path / "store")) as store:
        for key, source in (
            ("drift/log", "log"),
            ("drift/table", "data.source"),
            ("drift/file", "input=new.csv"),
        ):
            seen = {key: ("problem", {"text": key})}
            store.alarms.see("small", seen, scope=["drift"], since=NOON, until=NOON + timedelta(hours=1), source=source)
        config = {"name": "small", "input": None, "monitor": {"rows": rows}}
        context = SimpleNamespace(store=store, config=config, components=lambda group: (), say=print)
        state = State(context, "me", 10.0)
        state.alarm("champion/gone", "problem", {"text": "there is none"})
        assert {row["key"] for row in state.live()} == counted
        state.alarm("champion/gone")
        assert {row["key"] for row in state.live()} == counted - {"champion/gone"}
