"""The notifier `log`."""

from __future__ import annotations

import json

import pytest

from mlframe.errors import UserError
from mlframe.notifiers.log import LogNotifier
from mlframe.testing import NotifierSuite, make_notice


class TestConformance(NotifierSuite):
    @pytest.fixture
    def component(self, tmp_path):
        return {"name": "log", "file": str(tmp_path / "alarms.jsonl")}

    @pytest.fixture
    def received(self, tmp_path):
        return (tmp_path / "alarms.jsonl").read_text

    @pytest.fixture
    def unreachable(self, tmp_path):
        return {"file": str(tmp_path / "not there" / "alarms.jsonl")}


def test_a_file_holds_one_json_line_a_notice(tmp_path):
    file = tmp_path / "alarms.jsonl"
    notifier = LogNotifier(str(file))
    notifier.notify([make_notice("one"), make_notice("two\nlines")])
    notifier.notify([make_notice("three", kind="over")])
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["title"], line["kind"]) for line in lines] == [
        ("one", "alarm"),
        ("two\nlines", "alarm"),
        ("three", "over"),
    ]
    assert lines[0]["record"]["evidence"] == {"share": 0.12, "rows": 1204}


def test_without_a_file_it_goes_to_the_log_by_severity(caplog):
    caplog.set_level("INFO", "mlframe.alarms")
    LogNotifier().notify([make_notice("bad", severity="problem"), make_notice("gone", severity="problem", kind="over")])
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "alarm: bad"),
        ("INFO", "over: gone"),
    ]


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot be written: Is a directory"):
        LogNotifier(str(tmp_path)).notify([make_notice()])
