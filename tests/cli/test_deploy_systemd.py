"""Units for systemd: checked by systemd itself; what the server's unit starts answers."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from workbench import TABLE, Bench, refused

from mlframe.deployers.systemd import _command

SYSTEMD = ("deploy", *TABLE, "deployer=systemd", "trackers=[]", "output=units")
UNITS = ("mlframe-csv-server.service", "mlframe-csv-operate.service")


def settings(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("more", [(), ("deployer.user=daemon", "deployer.host=0.0.0.0", "deployer.memory=2GB")])
def test_systemd_takes_the_units(served: Bench, more: tuple[str, ...]):
    assert served(*SYSTEMD, *more).code == 0
    command = ["systemd-analyze", "verify", "--man=no", *(str(Path("units") / unit) for unit in UNITS)]
    done = subprocess.run(command, capture_output=True, text=True)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "mlframe-csv" in line]
    assert (done.returncode, ours) == (0, []), done.stderr


def test_units_hold_commands_limits_and_rights(served: Bench):
    result = served(*SYSTEMD, "deployer.memory=512MB", "deployer.user=ml")
    assert result.code == 0, result.err
    server, operate = (settings(Path("units") / unit) for unit in UNITS)
    assert shlex.split(server["ExecStart"][0])[:3] == [sys.executable, "-m", "mlframe.serving"]
    assert shlex.split(server["ExecStart"][0])[3] == str(Path("units/serving.json").absolute())
    words = shlex.split(operate["ExecStart"][0])
    assert words[1:4] == ["-m", "mlframe", "operate"]
    assert set(TABLE) <= set(words)
    assert "update=triggered" in words
    assert not any(word.startswith("~task") for word in words)
    assert server["MemoryMax"] == ["512M"]
    for unit in (server, operate):
        assert unit["User"] == ["ml"]
        assert unit["ReadWritePaths"] == [str(Path(".mlframe").absolute())]
        assert (unit["ProtectSystem"], unit["NoNewPrivileges"]) == (["strict"], ["yes"])
    serving = json.loads(Path("units/serving.json").read_text())
    assert (serving["version"], serving["auth"]) == ("csv@champion", "none")
    assert Path("units/monitoring/rules.yaml").is_file()
    assert "credentials_file" not in Path("units/monitoring/prometheus.yaml").read_text()


def test_a_server_for_others_has_keys_and_prometheus_has_one(served: Bench):
    assert served(*SYSTEMD, "deployer.host=0.0.0.0").code == 0
    assert json.loads(Path("units/serving.json").read_text())["auth"] == "keys"
    assert "credentials_file: /etc/prometheus/mlframe.key" in Path("units/monitoring/prometheus.yaml").read_text()


def test_words_are_quoted_as_systemd_reads_them():
    command = _command(["/usr/bin/python", "a b", "50%", "$HOME", 'say "hi"', "data.columns={a: [1, 2]}"])
    assert command == r'/usr/bin/python "a b" 50%% "$$HOME" "say \"hi\"" "data.columns={a: [1, 2]}"'


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("deployer.python=python", ("deployer.python", "whole path")),
        ('deployer.user="x y"', ("deployer.user",)),
        ("deployer.memory=lots", ("deployer.memory",)),
        ("deployer.alerts.errors=5", ("deployer.alerts.errors",)),
        ("+deployer.alerts.erors=0.5", ("erors", "errors")),
    ],
)
def test_mistakes_are_told(served: Bench, override: str, words: tuple[str, ...]):
    refused(served(*SYSTEMD, override), *words)
    assert not Path("units").exists()


def test_a_strange_folder_is_left_alone(served: Bench):
    served.write("mine", "other/file")
    refused(served(*SYSTEMD[:-1], "output=other"), "was not written by this deployer")
    assert served(*SYSTEMD).code == 0
    assert served(*SYSTEMD).code == 0
