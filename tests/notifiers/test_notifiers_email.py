"""The notifier `email`, against servers of SMTP with and without TLS."""

from __future__ import annotations

import pytest

from mlframe.errors import ConfigError, MlframeError
from mlframe.notifiers.email import EmailNotifier
from mlframe.testing import NotifierSuite, make_notice

ENDS = {"host": "localhost", "sender": "mlframe@example.com", "to": ["ann@example.com", "bob@example.com"]}


class TestConformance(NotifierSuite):
    @pytest.fixture
    def box(self, mail_server):
        return mail_server()

    @pytest.fixture
    def component(self, box):
        return {"name": "email", **ENDS, "port": box.port, "tls": "none", "retries": 0}

    @pytest.fixture
    def received(self, box):
        return box.text

    @pytest.fixture
    def unreachable(self, dead_port, monkeypatch):
        monkeypatch.setenv("MAIL_PASSWORD", "s3cret")
        more = {"port": dead_port, "tls": "starttls", "user": "ann", "password_env": "MAIL_PASSWORD", "retries": 0}
        return {**ENDS, **more}

    @pytest.fixture
    def secrets(self):
        return ("s3cret",)


def test_one_mail_tells_everybody_of_everything(mail_server):
    box = mail_server()
    EmailNotifier(**ENDS, port=box.port, tls="none").notify([make_notice("one"), make_notice("two")])
    ((sender, to, mail),) = box.mails
    assert (sender, to) == ("mlframe@example.com", ["ann@example.com", "bob@example.com"])
    assert mail["Subject"] == "[mlframe] made: 2 notices, first: one"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content().count("do: ask who fills amount") == 2


def test_a_title_cannot_add_a_header(mail_server):
    box = mail_server()
    EmailNotifier(**ENDS, port=box.port, tls="none").notify([make_notice("a\r\nBcc: eve@example.com")])
    ((_, to, mail),) = box.mails
    assert to == ENDS["to"]
    assert mail["Bcc"] is None


@pytest.mark.parametrize("tls", ["starttls", "ssl"])
def test_password_and_tls(mail_server, certificate, monkeypatch, tls):
    box = mail_server(tls, "ann", "s3cret") if tls == "starttls" else mail_server(tls)
    monkeypatch.setenv("MAIL_PASSWORD", "s3cret")
    login = {"user": "ann", "password_env": "MAIL_PASSWORD"} if tls == "starttls" else {}
    EmailNotifier(**ENDS, port=box.port, tls=tls, ca_file=str(certificate), **login).notify([make_notice("told")])
    assert "told" in box.text()


def test_a_wrong_password_is_told_once_and_not_shown(mail_server, certificate, monkeypatch):
    box = mail_server("starttls", "ann", "right")
    monkeypatch.setenv("MAIL_PASSWORD", "wr0ng")
    notifier = EmailNotifier(
        **ENDS, port=box.port, ca_file=str(certificate), user="ann", password_env="MAIL_PASSWORD", retries=5
    )
    with pytest.raises(MlframeError, match="answered 535") as caught:
        notifier.notify([make_notice()])
    assert "wr0ng" not in str(caught.value)


def test_a_certificate_that_nobody_vouches_for_is_refused(mail_server):
    box = mail_server("starttls")
    with pytest.raises(MlframeError, match="self-signed certificate"):
        EmailNotifier(**ENDS, port=box.port, retries=5).notify([make_notice()])
    assert box.mails == []


def test_a_server_without_tls_gets_nothing(mail_server):
    box = mail_server()
    with pytest.raises(MlframeError, match="STARTTLS"):
        EmailNotifier(**ENDS, port=box.port, retries=5).notify([make_notice()])
    assert box.mails == []


def test_a_server_that_asks_to_come_later_is_asked_again(mail_server, monkeypatch):
    monkeypatch.setattr("mlframe.notifiers.email.PAUSE", 0.01)
    box = mail_server()
    box.refusals = ["451 later", "451 later"]
    EmailNotifier(**ENDS, port=box.port, tls="none").notify([make_notice("at last")])
    assert "at last" in box.text()
    box.refusals = ["554 never", "554 never"]
    with pytest.raises(MlframeError, match="answered 554"):
        EmailNotifier(**ENDS, port=box.port, tls="none").notify([make_notice()])
    assert len(box.refusals) == 1, "not asked again"


def test_a_file_of_certificates_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="certificates cannot be read"):
        EmailNotifier(**ENDS, ca_file=str(tmp_path / "no.pem")).notify([make_notice()])
