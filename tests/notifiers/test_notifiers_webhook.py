"""The notifier `webhook`, against a server of HTTP."""

from __future__ import annotations

import time

import pytest

from mlframe.errors import ConfigError, MlframeError
from mlframe.notifiers.post import post
from mlframe.notifiers.webhook import WebhookNotifier
from mlframe.testing import NotifierSuite, make_notice


class TestConformance(NotifierSuite):
    @pytest.fixture
    def component(self, receiver):
        return {"name": "webhook", "url": receiver.url, "retries": 0}

    @pytest.fixture
    def received(self, receiver):
        return receiver.text

    @pytest.fixture
    def unreachable(self, dead_port, monkeypatch):
        monkeypatch.setenv("HOOK_URL", f"http://127.0.0.1:{dead_port}/s3cret")
        return {"url_env": "HOOK_URL", "retries": 0}

    @pytest.fixture
    def secrets(self):
        return ("s3cret",)


def test_it_posts_json_with_all_that_is_known(receiver):
    WebhookNotifier(receiver.url).notify([make_notice("one")])
    ((headers, body),) = receiver.posts
    assert headers["Content-Type"] == "application/json"
    assert "Authorization" not in headers
    assert body["notices"][0]["record"]["evidence"] == {"share": 0.12, "rows": 1204}
    assert (body["notices"][0]["model"], body["notices"][0]["version"]) == ("made", "made/1")


def test_address_and_token_come_from_variables(receiver, monkeypatch):
    monkeypatch.setenv("HOOK_URL", receiver.url)
    monkeypatch.setenv("HOOK_TOKEN", "t0ken")
    WebhookNotifier(url_env="HOOK_URL", token_env="HOOK_TOKEN").notify([make_notice()])
    assert receiver.posts[0][0]["Authorization"] == "Bearer t0ken"


@pytest.mark.parametrize("variable", ["url_env", "token_env"])
def test_a_variable_that_is_not_set_is_named(receiver, monkeypatch, variable):
    monkeypatch.delenv("NOT_SET", raising=False)
    parameters = {"url": receiver.url, "token_env": "NOT_SET"} if variable == "token_env" else {"url_env": "NOT_SET"}
    with pytest.raises(ConfigError, match="NOT_SET is not set"):
        WebhookNotifier(**parameters).notify([make_notice()])
    assert receiver.posts == []


def send(receiver, **more):
    post(receiver.url, "it", {}, headers={}, **{"timeout": 5.0, "retries": 2, "pause": 0.01, **more})


def test_what_passes_by_itself_is_tried_again(receiver):
    receiver.answers = [503, 429]
    send(receiver)
    assert len(receiver.posts) == 3


def test_what_does_not_pass_is_not_tried_again(receiver):
    receiver.answers = [404]
    with pytest.raises(MlframeError, match="it answered 404"):
        send(receiver)
    assert len(receiver.posts) == 1


def test_retries_end(receiver):
    receiver.answers = [500] * 9
    with pytest.raises(MlframeError, match="it answered 500"):
        send(receiver)
    assert len(receiver.posts) == 3


def test_a_server_that_asks_for_an_hour_is_asked_by_the_next_run(receiver):
    receiver.answers, receiver.headers = [429], {"Retry-After": "3600"}
    with pytest.raises(MlframeError, match="429"):
        send(receiver)
    assert len(receiver.posts) == 1


def test_a_redirect_is_no_success(receiver):
    receiver.answers, receiver.headers = [302], {"Location": receiver.url}
    with pytest.raises(MlframeError, match="302"):
        send(receiver)
    assert len(receiver.posts) == 1


def test_a_server_that_says_nothing_is_given_up(dead_port):
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        with pytest.raises(MlframeError, match="timed out"):
            post(f"http://127.0.0.1:{silent.getsockname()[1]}/", "it", {}, headers={}, timeout=0.1, retries=0)
        assert time.monotonic() - began < 5


def test_what_is_no_http_is_an_error_of_ours():
    import socket
    import threading

    with socket.socket() as odd:
        odd.bind(("127.0.0.1", 0))
        odd.listen()

        def answer():
            held, _ = odd.accept()
            with held:
                held.recv(4096)
                held.sendall(b"220 this is no web server\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(MlframeError):
            post(f"http://127.0.0.1:{odd.getsockname()[1]}/", "it", {}, headers={}, timeout=5, retries=0)
        thread.join()
