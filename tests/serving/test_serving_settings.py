"""A server's settings are checked before anything starts, and their faults are told as any other's."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from mlframe.deployers.http import HttpDeployer
from mlframe.errors import ConfigError, MlframeError
from mlframe.serving.settings import Settings

BASE = {"name": "made", "version": "made@champion", "store": "/nowhere"}


def made(**changes: Any) -> Settings:
    return Settings.made({**BASE, **changes}, where="test")


def test_a_file_comes_back_as_it_was_written(tmp_path: Path):
    settings = made(
        port=0, canary={"version": "8", "share": 0.5, "by": "header:x-user"}, block=["a"], log={"pii": "drop"}
    )
    settings.write(tmp_path / "serving.json")
    assert Settings.read(tmp_path / "serving.json") == settings


def test_the_deployer_and_the_server_know_the_same_settings():
    own = set(json.loads(json.dumps(dict.fromkeys(Settings.__dataclass_fields__))))
    assert own - set(HttpDeployer().settings) == {"name", "version", "store", "run", "block", "parent"}
    assert set(HttpDeployer().settings) <= own


def test_defaults_agree():
    ours = made()
    for key, value in HttpDeployer().settings.items():
        if key not in ("canary", "log"):
            assert getattr(ours, key) == value, key


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"prot": 1}, "did you mean 'port'"),
        ({"port": "8080"}, "whole number"),
        ({"port": 70000}, "between 0 and 65,535"),
        ({"port": True}, "whole number"),
        ({"workers": 0}, "above 0"),
        ({"auth": "key"}, "did you mean 'keys'"),
        ({"canary": {"shere": 1}}, "did you mean 'share'"),
        ({"canary": {"share": 2}}, "between 0 and 1"),
        ({"canary": {"by": "moon"}}, "header:NAME"),
        ({"canary": 3}, "holds several settings"),
        ({"log": {"pii": "keep"}}, "hash, or drop|drop, hash"),
        ({"log": {"flush": 0}}, "above 0"),
        ({"tls_cert": "cert.pem"}, "tls_key"),
        ({"name": ""}, "'name'"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], text: str):
    with pytest.raises(ConfigError, match=text):
        made(**changes)


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"name": "made"}'])
def test_a_file_that_says_nothing_useful_is_refused(tmp_path: Path, text: str):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(MlframeError, match="settings"):
        Settings.read(tmp_path / "s.json")


def test_keys_are_off_on_loopback_only():
    assert not made().keys_needed()
    assert not made(host="localhost").keys_needed()
    assert made(host="0.0.0.0").keys_needed()
    assert made(auth="keys").keys_needed()
    assert not made(host="0.0.0.0", auth="none").keys_needed()


def test_a_port_in_use_is_refused_even_where_it_could_be_shared():
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        with pytest.raises(ConfigError, match=r"cannot listen on 127\.0\.0\.1"):
            made(port=other.getsockname()[1]).reserve()


def test_unknown_hosts_and_foreign_addresses_are_refused():
    with pytest.raises(ConfigError, match="host is unknown"):
        made(host="no-such-host.invalid").address()
    with pytest.raises(ConfigError, match="cannot listen"):
        made(host="203.0.113.7", port=0).reserve()


def test_tls_files_are_read_before_anything_starts(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot be read"):
        made(tls_cert=str(tmp_path / "no.pem"), tls_key=str(tmp_path / "no.pem")).check_tls()
    (tmp_path / "bad.pem").write_text("nothing")
    with pytest.raises(ConfigError, match="cannot be used"):
        made(tls_cert=str(tmp_path / "bad.pem"), tls_key=str(tmp_path / "bad.pem")).check_tls()
