"""What monitors saw, as a server shows it: metrics, the status page, the page of the model at work."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time

import pytest
from server_bench import serving, until
from watched import DAY, START, WORDS, watched
from wire_bench import needs

from mlframe.contracts import Deployment
from mlframe.serving import watched as module
from mlframe.serving.messages import Request
from mlframe.serving.watched import HELP, Look, Watched, text
from mlframe.store import Store


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "store")) as made:
        yield made


def lines(told: bytes) -> dict[str, float]:
    found = [line.rpartition(" ") for line in told.decode().splitlines() if not line.startswith("#")]
    return {key: float(value) for key, _, value in found}


def test_the_newest_window_and_the_live_alarms_are_exported(store):
    watched(store, "made", days=18)
    store.alarms.acknowledge(store.alarms.many("made", status=["open"])[0]["id"], who="ada", why="known")
    found = lines(text(Watched(store, "made").look()))
    labels = 'version="made/1",monitor="performance",figure="roc_auc"'
    newest = store.windows.many("made")[-1]
    assert found[f"mlframe_monitor_figure{{{labels}}}"] == newest["record"]["figures"]["roc_auc"]["value"]
    assert found[f"mlframe_monitor_figure_reference{{{labels}}}"] == 0.93
    assert found['mlframe_monitor_health{version="made/1"}'] == 2
    assert found['mlframe_monitor_rows{version="made/1"}'] == 1217
    assert found["mlframe_monitor_window_end_seconds"] == (START + 18 * DAY).timestamp()
    assert found["mlframe_monitor_up"] == 1
    assert found['mlframe_alarms{monitor="quality",severity="problem",status="open"}'] == 0
    alarms = {key: value for key, value in found.items() if key.startswith("mlframe_alarms") and value}
    assert len(alarms) == 2
    assert sum(value for key, value in alarms.items() if "acknowledged" in key) == 1
    assert found['mlframe_decision_seconds{kind="trigger"}'] > 1.7e9
    assert {key.partition("{")[0] for key in found} == set(HELP)


def test_a_figure_whose_labels_are_late_is_that_of_the_newest_window_that_has_it(store):
    watched(store, "made", days=5, broken=False)
    newest = store.windows.many("made")[-1]
    late = {**newest["record"], "figures": {"missing_share": {"value": 0.5}, "roc_auc": {"value": None}}}
    store.windows.put("made", "made/1", newest["until"], newest["until"] + DAY, 7, "run", late)
    found = lines(text(Watched(store, "made").look()))
    head = 'mlframe_monitor_figure{version="made/1",monitor='
    assert found[head + '"performance",figure="roc_auc"}'] == newest["record"]["figures"]["roc_auc"]["value"]
    assert found[head + '"quality",figure="missing_share"}'] == 0.5
    assert found['mlframe_monitor_rows{version="made/1"}'] == 7


def test_what_a_file_shows_is_no_metric_of_what_serves(store):
    watched(store, "made", days=3, broken=False)
    before = text(Watched(store, "made").look())
    seen = {"drift/column/a": ("problem", {"text": "a has moved"})}
    since, until = START + 9 * DAY, START + 10 * DAY
    store.alarms.see("made", seen, scope=["drift"], since=since, until=until, source="input=new.csv")
    record = {"figures": {"drift_share": {"value": 1.0}}, "health": "problem"}
    store.windows.put("made", "made/1", since, until, 5, "run", record, source="input=new.csv")
    look = Watched(store, "made").look()
    assert text(look) == before
    assert look.health().word == "Healthy"


def test_nothing_happened_nothing_is_counted(store):
    watched(store, "made", days=3, broken=False)
    found = lines(text(Watched(store, "made").look()))
    assert {value for key, value in found.items() if key.startswith("mlframe_alarms")} == {0.0}
    assert found['mlframe_monitor_health{version="made/1"}'] == 0


def test_an_unwatched_model_has_no_windows_and_no_alarms(store):
    found = lines(text(Watched(store, "made").look()))
    assert found["mlframe_monitor_up"] == 1
    assert not any(key.startswith("mlframe_monitor_figure") for key in found)


def test_values_that_are_no_numbers_are_left_out_and_figures_have_a_limit(store):
    figures = {f"f{i}": {"value": float(i)} for i in range(1000)}
    figures = {"none": {"value": None}, "word": {"value": "x"}, "nan": {"value": float("nan")}, **figures}
    store.windows.put("made", 'made/1"\n', START, START + DAY, 1, "run", {"figures": figures, "health": "odd"})
    told = text(Watched(store, "made").look())
    names = [key for key in lines(told.replace(b"\\n", b"")) if key.startswith("mlframe_monitor_figure{")]
    assert len(names) == module.FIGURES - 3
    assert b'version="made/1\\"\\n"' in told


def test_a_store_that_is_away_keeps_the_last_look_and_says_so(store, monkeypatch):
    watched(store, "made", days=2)
    look = Watched(store, "made")
    assert look.look().up
    monkeypatch.setattr(store.windows, "many", lambda *a, **k: 1 / 0)
    look._looked -= module.GOOD + 1
    found = lines(text(look.look()))
    assert found["mlframe_monitor_up"] == 0
    assert 'mlframe_monitor_rows{version="made/1"}' in found


def test_who_asks_for_metrics_does_not_wait_for_a_slow_store(store, monkeypatch):
    watched(store, "made", days=2)
    look = Watched(store, "made")
    read = look._read

    def slow() -> Look:
        time.sleep(0.5)
        return read()

    async def ask() -> None:
        assert b"mlframe_monitor_up 1" in await look.metrics()
        monkeypatch.setattr(look, "_read", slow)
        look._looked -= module.GOOD + 1
        begun = time.perf_counter()
        assert b"mlframe_monitor_up 1" in await look.metrics()
        assert look._task is not None
        assert time.perf_counter() - begun < 0.5, "it waited for the store"
        await look._task

    asyncio.run(ask())


def test_the_page_is_made_once_for_many_who_ask(store, monkeypatch):
    watched(store, "made", days=18)
    look = Watched(store, "made")
    monkeypatch.setattr(store, "history", lambda name: [])
    asked: list[int] = []
    write = look._write
    monkeypatch.setattr(look, "_write", lambda: (asked.append(1), write())[1])

    async def ask() -> None:
        replies = await asyncio.gather(*(look.page(Request("GET", "/monitor"), None) for _ in range(5)))
        assert {reply.status for reply in replies} == {200}
        assert WORDS.encode() not in replies[0].body
        assert b"Mail comes from a domain" in replies[0].body

    asyncio.run(ask())
    assert len(asked) == 1


@needs("promtool")
def test_promtool_finds_nothing_to_mend(store):
    watched(store, "made", days=18)
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text(Watched(store, "made").look()), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_server_shows_what_monitors_saw(trained_version: Deployment, tmp_path):
    shutil.copytree(trained_version.store_root, tmp_path / "store")
    with Store.open(str(tmp_path / "store"), create=False) as store:
        watched(store, "made", days=18)
        key, _ = store.create_key("ops", ["admin"], who="test")
        other, _ = store.create_key("shop", ["predict"], who="test")
    with serving(tmp_path / "server", str(tmp_path / "store"), auth="keys") as running:
        assert running.send("GET", "/monitor")[0] == 401
        assert running.send("GET", "/monitor", x_api_key=other)[0] == 403
        status, page, headers = running.send("GET", "/monitor", x_api_key=key)
        assert status == 200
        assert headers["x-frame-options"] == "DENY"
        assert b"made at work" in page
        assert b"1 problem and 1 warning open" in page
        status, page, _ = running.send("GET", "/", x_api_key=key)
        assert b"1 problem and 1 warning open" in page
        assert b'href="monitor"' in page
        until(
            lambda: (
                b'mlframe_alarms{monitor="drift",severity="problem",status="open"} 1'
                in running.send("GET", "/metrics", x_api_key=key)[1]
            ),
            "the metrics say so",
        )
