"""The notifier `slack`, against a server of HTTP that takes what Slack takes."""

from __future__ import annotations

import pytest

from mlframe.notifiers.slack import SlackNotifier, message_of
from mlframe.testing import NotifierSuite, make_notice


class TestConformance(NotifierSuite):
    @pytest.fixture
    def component(self, receiver):
        return {"name": "slack", "url": receiver.url, "retries": 0}

    @pytest.fixture
    def received(self, receiver):
        return receiver.text

    @pytest.fixture
    def unreachable(self, dead_port, monkeypatch):
        monkeypatch.setenv("HOOK_URL", f"http://127.0.0.1:{dead_port}/services/T0/B0/s3cret")
        return {"url_env": "HOOK_URL", "retries": 0}

    @pytest.fixture
    def secrets(self):
        return ("s3cret",)


def test_messages_keep_slacks_limits(receiver):
    SlackNotifier(url=receiver.url).notify([make_notice("a & b <c> " * 900, text="&" * 9000)] * 45)
    assert len(receiver.posts) == 3
    for _, message in receiver.posts:
        assert len(message["blocks"]) <= 50
        assert all(len(block["text"]["text"]) <= 3000 for block in message["blocks"])
        assert message["text"]


def test_nothing_in_a_text_is_a_command():
    message = message_of([make_notice("<!channel> & <@U123>")])
    assert message["text"] == "&lt;!channel&gt; &amp; &lt;@U123&gt;"
    assert "<" not in message["blocks"][0]["text"]["text"]


def test_no_entity_is_cut_in_two():
    text = message_of([make_notice("t", text="&" * 2000)])["blocks"][0]["text"]["text"]
    assert text.endswith("&amp; …")


def test_the_sign_tells_how_bad_it_is():
    signs = [
        message_of([make_notice(severity=severity, kind=kind)])["blocks"][0]["text"]["text"].split()[0]
        for severity, kind in (("problem", "alarm"), ("warning", "alarm"), ("info", "decision"), ("problem", "over"))
    ]
    assert signs == [":red_circle:", ":large_yellow_circle:", ":information_source:", ":white_check_mark:"]
