"""Rules and dashboard: checked by promtool, against the metrics of a real server, and by a real Prometheus."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from watched import watched

from mlframe.contracts import Deployment
from mlframe.deployers.observing import alert_values, operate_words, write_observing
from mlframe.errors import ConfigError, ParameterError
from mlframe.serving import metrics
from mlframe.serving import watched as monitored
from mlframe.store import Store

sys.path.insert(0, str(Path(__file__).parent.parent / "serving"))
from server_bench import rows_of, serving
from wire_bench import needs

TESTS = Path(__file__).parent / "rules" / "rules-test.yaml"
HISTOGRAM = ("_bucket", "_sum", "_count")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the files as a deployer writes them."""
    write(tmp_path / "monitoring", "127.0.0.1:8080")
    return tmp_path / "monitoring"


def write(folder: Path, target: str, **alerts: Any) -> None:
    values = {"name": "made", "slug": "made", "target": target, "key_file": None}
    write_observing(folder, {**values, "prometheus": "http://p:9090", "dashboards": "/d", **alert_values(alerts)})


def promtool(*words: str, folder: Path) -> None:
    done = subprocess.run(["promtool", *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def exported() -> set[str]:
    """Give every name that a server exports."""
    names = {**metrics.HELP, **monitored.HELP}
    return {name for name, (kind, _) in names.items() if kind != "histogram"} | {
        f"{name}{end}" for name, (kind, _) in names.items() if kind == "histogram" for end in HISTOGRAM
    }


def expressions(folder: Path) -> list[str]:
    """Give what the dashboard asks, as Grafana would."""
    dashboard = json.loads((folder / "grafana" / "mlframe.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    asked += [item["expr"] for item in dashboard["annotations"]["list"]]
    return [text.replace("$model", "made").replace("$__rate_interval", "1m") for text in asked]


@needs("promtool")
def test_promtool_takes_configuration_rules_and_their_unit_tests(folder: Path):
    promtool("check", "config", "prometheus.yaml", folder=folder)
    promtool("check", "rules", "rules.yaml", folder=folder)
    shutil.copy(TESTS, folder)
    promtool("test", "rules", TESTS.name, folder=folder)


@needs("promtool")
def test_the_unit_tests_notice_other_limits(tmp_path: Path):
    for name, value in (("errors", 0.1), ("latency_ms", 900), ("stale", "30d"), ("silence", "4d")):
        write(tmp_path / name, "127.0.0.1:8080", **{name: value})
        shutil.copy(TESTS, tmp_path / name)
        done = subprocess.run(["promtool", "test", "rules", TESTS.name], cwd=tmp_path / name, capture_output=True)
        assert done.returncode != 0, name


@needs("promtool")
def test_the_dashboard_asks_what_promql_can_answer_of_names_that_are_exported(folder: Path):
    asked = expressions(folder)
    assert len(asked) > 20
    rules = [{"record": f"asked:{place}", "expr": text} for place, text in enumerate(asked)]
    (folder / "asked.yaml").write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    promtool("check", "rules", "asked.yaml", folder=folder)
    rules_text = (folder / "rules.yaml").read_text()
    named = set(re.findall(r"\bmlframe_[a-z_]+", " ".join([*asked, rules_text])))
    assert named <= exported(), named - exported()


def test_every_part_of_a_model_at_work_is_on_the_dashboard(folder: Path):
    dashboard = json.loads((folder / "grafana" / "mlframe.json").read_text())
    rows = {panel["title"] for panel in dashboard["panels"] if panel["type"] == "row"}
    assert {"Quality", "Drift", "Latency and throughput", "Value"} <= rows
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    taken = set()
    for panel in dashboard["panels"]:  # nothing covers anything else, nothing stands outside
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or all(
            target["datasource"]["uid"] == "${datasource}" for target in panel["targets"]
        )


@pytest.mark.parametrize(
    ("alerts", "error", "words"),
    [
        ({"errors": 2}, ConfigError, "deployer.alerts.errors"),
        ({"errors": True}, ConfigError, "deployer.alerts.errors"),
        ({"latency_ms": "fast"}, ConfigError, "deployer.alerts.latency_ms"),
        ({"stale": "0d"}, ConfigError, "deployer.alerts.stale"),
        ({"silence": "1 hour"}, ConfigError, "30m, 1h or 2d"),
        ({"sillence": "1h"}, ParameterError, "silence"),
    ],
)
def test_limits_that_are_none_are_refused(alerts: dict[str, Any], error: type[Exception], words: str):
    with pytest.raises(error) as raised:
        alert_values(alerts)
    assert words in f"{raised.value.where} {raised.value.hint}"


def test_a_trainings_words_become_those_of_operating_it():
    command = ("data=csv", "model=linear", "~task.steps.explore", "task=train", "seed=1")
    assert operate_words(command, ["update=triggered"]) == [
        "operate",
        "data=csv",
        "model=linear",
        "seed=1",
        "update=triggered",
    ]


# ------------------------------------------------------------------------------------------------ a real Prometheus


@contextlib.contextmanager
def prometheus(folder: Path) -> Iterator[str]:
    """Run Prometheus on the files of a folder, every second; give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = folder / "prometheus.yaml"
    file.write_text(file.read_text().replace(": 15s", ": 1s"))
    command = ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def asked(address: str, expression: str) -> list[dict[str, Any]]:
    query = urllib.parse.urlencode({"query": expression})
    with contextlib.suppress(urllib.error.URLError, ConnectionError):
        told = json.loads(urllib.request.urlopen(f"{address}/api/v1/query?{query}", timeout=10).read())
        assert told["status"] == "success"
        found: list[dict[str, Any]] = told["data"]["result"]
        return found
    return []


@pytest.mark.slow
@needs("prometheus")
def test_a_real_prometheus_answers_every_question_of_the_dashboard(trained_version: Deployment, tmp_path: Path):
    shutil.copytree(trained_version.store_root, tmp_path / "store")
    with Store.open(str(tmp_path / "store"), create=False) as store:
        watched(store, "made", days=18)
    row = rows_of(trained_version.bundle, 1)[0]
    with serving(tmp_path / "server", str(tmp_path / "store")) as running:
        write(tmp_path / "monitoring", f"{running.place.hostname}:{running.place.port}")
        with prometheus(tmp_path / "monitoring") as address:
            end, empty, firing = time.monotonic() + 60, ["not asked"], set[str]()
            while empty or "MlframeDrift" not in firing:
                assert time.monotonic() < end, (empty, firing)
                running.ask(row)
                questions = [
                    text
                    for text in expressions(tmp_path / "monitoring")
                    if "changes(" not in text and "unless" not in text
                ]
                empty = [text for text in questions if not asked(address, text)]
                firing = {item["metric"]["alertname"] for item in asked(address, 'ALERTS{alertstate="firing"}')}
                time.sleep(0.5)
    assert firing == {"MlframeDrift"}, "a warning is told after an hour, staleness after a quarter of one"
