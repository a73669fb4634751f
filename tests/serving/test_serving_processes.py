"""Real servers: what they answer, what they refuse, and what they survive."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from server_bench import PATIENCE, Running, begun, rows_of, serving, until

from mlframe.contracts import Deployment
from mlframe.store.predictions import scan_failures, scan_feedback, scan_predictions
from mlframe.store.store import Store


@pytest.fixture(scope="module")
def stored(trained_version: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a store with two equal versions, the first of them champion."""
    root = tmp_path_factory.mktemp("store") / ".mlframe"
    shutil.copytree(trained_version.store_root, root)
    with Store.open(str(root), create=False) as store:
        bundle = store.open_bundle("made/1")
        figures = store.version("made/1")["figures"]
        store.register("made", bundle, run_id="again", figures=figures, facts={"passed": True})
    return root


@pytest.fixture
def root(stored: Path, tmp_path: Path) -> str:
    """Give a copy of the store."""
    shutil.copytree(stored, tmp_path / "store")
    return str(tmp_path / "store")


@pytest.fixture(scope="module")
def shared(stored: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Give one server for all tests that do it no harm."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copytree(stored, folder / "store")
    with serving(folder, str(folder / "store"), body_mb=0.1, rows=50, timeout=2.0) as running:
        yield running


@pytest.fixture(scope="module")
def rows(trained_version: Deployment) -> list[dict[str, Any]]:
    return rows_of(trained_version.bundle)


def promote(root: str, reference: str) -> None:
    with Store.open(root, create=False) as store:
        store.promote(reference, who="test", why="test", evidence={})


# ------------------------------------------------------------------------------------------------ answers


def test_answers_are_those_that_were_registered(shared: Running, trained_version: Deployment):
    expected = pl.read_ipc(trained_version.bundle / "expected.arrow")
    rows = rows_of(trained_version.bundle, len(expected))[:50]
    status, told, headers = shared.send("POST", "/predict", {"rows": rows}, x_request_id="mine-1")
    assert status == 200
    assert told["version"] == "made/1"
    assert told["request_id"] == headers["x-request-id"] == "mine-1"
    assert told["predictions"] == expected["y_pred"].to_list()[:50]
    for name in told["probabilities"][0]:
        assert [p[name] for p in told["probabilities"]] == pytest.approx(expected[f"p_{name}"].to_list()[:50], abs=1e-9)


def test_three_protocols_and_the_rest_answer(shared: Running, rows: list[dict[str, Any]]):
    alone = shared.ask(rows[0])
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    status, told, _ = shared.send("POST", "/v1/models/made:predict", {"instances": rows})
    assert status == 200
    assert told["predictions"][0]["y_pred"] == alone["prediction"]
    status, told, _ = shared.send("POST", "/v1/models/made/versions/1:predict", {"inputs": columns})
    assert status == 200
    assert told["outputs"]["y_pred"][0] == alone["prediction"]
    for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/made", "/v2/models/made/versions/1/ready"):
        assert shared.send("GET", path)[0] == 200, path
    assert shared.send("GET", "/v1/models/made")[0] == 200
    status, told, _ = shared.send("GET", "/openapi.json")
    assert status == 200
    assert told["info"]["version"] == "made/1"
    status, told, _ = shared.send("GET", "/")
    assert status == 200
    assert b"made/1" in told
    status, told, _ = shared.send("GET", "/metrics")
    assert status == 200
    assert b'mlframe_requests_total{route="predict",status="200",version="made/1"}' in told


def test_reasons_are_given_on_request(shared: Running, rows: list[dict[str, Any]]):
    status, told, _ = shared.send("POST", "/predict?explain=2", rows[0])
    assert status == 200
    assert len(told["reasons"]) == 2
    assert {reason["field"] for reason in told["reasons"]} <= set(rows[0])


def test_what_cannot_be_answered_is_refused_in_words(shared: Running, rows: list[dict[str, Any]]):
    row = rows[0]
    for method, path, body, status in (
        ("POST", "/predict", b"{", 400),
        ("POST", "/predict", b"\xff\xfe", 400),
        ("POST", "/predict", b"[" * 50_000, 400),
        ("POST", "/predict", {**row, "nonsense": 1}, 422),
        ("POST", "/predict", {name: row[name] for name in list(row)[1:]}, 422),
        ("POST", "/predict", {"rows": [row] * 51}, 413),
        ("POST", "/predict", b" " * 200_000, 413),
        ("GET", "/predict", None, 405),
        ("GET", "/nothing", None, 404),
        ("DELETE", "/v2/health/live", None, 405),
        ("POST", "/v1/models/other:predict", {"instances": [row]}, 404),
        ("POST", "/v1/models/made/versions/9:predict", {"instances": [row]}, 404),
        ("POST", "/v2/models/made/versions/9/infer", {"inputs": []}, 404),
        ("GET", "/v2/models/nobody", None, 404),
        ("GET", "/%00%ff", None, 404),
    ):
        found, told, headers = shared.send(method, path, body)
        assert found == status, (method, path, told)
        assert headers["x-request-id"]
        assert told["title"] if "title" in told else told["error"]
    assert shared.ask(row)["version"] == "made/1"


def test_request_ids_that_are_not_sane_are_replaced(shared: Running, rows: list[dict[str, Any]]):
    for given in ("", "a b", "x" * 129, '"', "ü"):
        answer = shared.ask(rows[0], x_request_id=given.encode("latin-1", "replace").decode("latin-1"))
        assert len(answer["request_id"]) == 32
    assert shared.ask(rows[0], x_request_id="A-1.b:2/3")["request_id"] == "A-1.b:2/3"


def raw(running: Running, data: bytes, *, wait: float = PATIENCE) -> bytes:
    """Send bytes and return what comes back until the server closes."""
    with socket.create_connection((running.place.hostname, running.place.port), timeout=wait) as sock:
        sock.sendall(data)
        found = b""
        with contextlib.suppress(ConnectionResetError):
            while part := sock.recv(65536):
                found += part
        return found


def test_heads_have_a_size_and_a_time(shared: Running):
    assert b" 431 " in raw(shared, b"GET / HTTP/1.1\r\nx: " + b"a" * 40_000 + b"\r\n\r\n")[:40]
    assert b" 431 " in raw(shared, b"GET / HTTP/1.1\r\n" + b"x: " + b"a" * 300_000)[:40]
    assert b" 408 " in raw(shared, b"GET / HTTP/1.1\r\nx: a")[:40]
    assert b" 408 " in raw(shared, b"")[:40]


def test_bodies_have_a_time(shared: Running):
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    assert b" 408 " in raw(shared, head)[:40]


def test_chunked_bodies_have_a_size(shared: Running):
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    assert b" 413 " in raw(shared, head + (b"4000\r\n" + b" " * 0x4000 + b"\r\n") * 12)[:40]


def test_bytes_that_are_no_http_are_refused(shared: Running, rows: list[dict[str, Any]]):
    assert b" 400 " in raw(shared, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")[:40]
    assert shared.ask(rows[0])["version"] == "made/1"


# ------------------------------------------------------------------------------------------------ what is held


def test_a_server_holds_nothing_of_training(shared: Running):
    """Looks at the files that the processes have mapped, and asks a worker's own interpreter."""
    forbidden = ("pandas", "hydra", "omegaconf", "pandera", "wandb", "matplotlib", "optuna")
    for pid in (shared.process.pid, *shared.ready["workers"]):
        maps = Path(f"/proc/{pid}/maps").read_text()
        assert not [name for name in forbidden if f"/{name}/" in maps]
    supervisor = Path(f"/proc/{shared.process.pid}/maps").read_text()
    assert not [name for name in ("sklearn", "lightgbm", "polars", "numpy") if f"/{name}/" in supervisor]


LOADED = """
import json, sys
from pathlib import Path
from mlframe.serving.lean import Absent
Absent().install()
from mlframe.serving.settings import Settings
from mlframe.serving.serve import Worker
worker = Worker(Settings.read(Path(sys.argv[1])), 0, Path(sys.argv[2]))
worker.close()
import mlframe.serving.connection
print(json.dumps(sorted(sys.modules)))
"""


def test_a_worker_imports_nothing_of_training(root: str, tmp_path: Path):
    values = {"name": "made", "version": "made@champion", "store": root, "access_log": None}
    (tmp_path / "serving.json").write_text(json.dumps(values))
    command = [sys.executable, "-c", LOADED, str(tmp_path / "serving.json"), str(tmp_path / "metrics")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout.splitlines()[-1])
    roots = {name.partition(".")[0] for name in loaded}
    assert not roots & {"pandas", "hydra", "omegaconf", "pandera", "wandb", "matplotlib", "optuna", "pytest"}
    own = ("mlframe.config", "mlframe.runner", "mlframe.sweep", "mlframe.cli", "mlframe.commands")
    assert not [name for name in loaded if name.startswith(own) or name.startswith("mlframe.steps.")]


# ------------------------------------------------------------------------------------------------ versions


def test_a_promotion_and_a_rollback_reach_a_running_server(root: str, tmp_path: Path, rows: list[dict[str, Any]]):
    with serving(tmp_path / "server", root) as running:
        assert running.ask(rows[0])["version"] == "made/1"
        seen: list[str] = []
        ended = threading.Event()

        def load() -> None:
            while not ended.is_set():
                seen.append(running.ask(rows[0])["version"])

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        promote(root, "made/2")
        until(lambda: "made/2" in seen, "the new champion answers")
        with Store.open(root, create=False) as store:
            store.rollback("made", who="test", why="test")
        until(lambda: seen[-1] == "made/1", "the old champion answers again")
        ended.set()
        for thread in threads:
            thread.join()
        assert set(seen) == {"made/1", "made/2"}
        with Store.open(root, create=False) as store:
            found = until(lambda: store.servers.versions() == {"made/1", "made/2"}, "both versions are in the record")
            assert found
            assert store.servers.running("made")[0]["address"] == running.ready["address"]
    with Store.open(root, create=False) as store:
        assert store.servers.running() == []


def test_a_broken_version_is_told_and_not_served(
    trained_version: Deployment, root: str, tmp_path: Path, rows: list[dict[str, Any]]
):
    broken = tmp_path / "broken"
    shutil.copytree(trained_version.bundle, broken)
    expected = pl.read_ipc(broken / "expected.arrow")
    name = next(column for column in expected.columns if column.startswith("p_"))
    expected.with_columns(pl.col(name) + 0.01).write_ipc(broken / "expected.arrow")
    manifest = json.loads((broken / "manifest.json").read_text())
    from mlframe.store.bundle import write_manifest

    own = {"format", "name", "run_id", "files"}
    write_manifest(
        broken,
        name="made",
        run_id="broken",
        files=list(manifest["files"]),
        extra={key: value for key, value in manifest.items() if key not in own},
    )
    with serving(tmp_path / "server", root) as running:
        with Store.open(root, create=False) as store:
            reference = store.register("made", broken, run_id="broken", figures={}, facts={"passed": True})
        promote(root, reference)
        until(
            lambda: [line for line in running.log() if f"{reference} cannot be served" in line.get("text", "")],
            "the log says so",
        )
        assert running.ask(rows[0])["version"] == "made/1"
        until(lambda: b"mlframe_reload_errors_total 1" in running.send("GET", "/metrics")[1], "the metrics say so")
        until(lambda: b"does not score its examples" in running.send("GET", "/")[1], "the page says so")
        promote(root, "made/2")
        until(lambda: running.ask(rows[0])["version"] == "made/2", "a good one is taken")


def test_a_named_version_stays(root: str, tmp_path: Path, rows: list[dict[str, Any]]):
    with serving(tmp_path / "server", root, version="made/2") as running:
        assert running.ask(rows[0])["version"] == "made/2"


def test_canary_and_shadow(root: str, tmp_path: Path, rows: list[dict[str, Any]]):
    canary = {"version": "2", "share": 0.5, "by": "header:x-user"}
    with serving(tmp_path / "server", root, canary=canary, log={"flush": 0.1}) as running:
        by_user = {user: running.ask(rows[0], x_user=user)["version"] for user in map(str, range(40))}
        assert set(by_user.values()) == {"made/1", "made/2"}
        again = {user: running.ask(rows[0], x_user=user)["version"] for user in by_user}
        assert again == by_user
    with serving(tmp_path / "other", root, shadow="2", log={"flush": 0.1}) as running:
        for number in range(20):
            assert running.ask(rows[0], x_request_id=f"shadowed-{number}")["version"] == "made/1"
    with Store.open(root, create=False) as store:
        logged = scan_predictions(store, "made").collect()
    roles = {tuple(pair) for pair in logged.select("version", "role").unique().iter_rows()}
    assert roles == {("made/1", "champion"), ("made/2", "canary"), ("made/2", "shadow")}
    twice = logged.filter(pl.col("request_id").str.starts_with("shadowed-")).group_by("request_id").len()
    assert set(twice["len"]) == {2}
    assert len(twice) == 20


# ------------------------------------------------------------------------------------------------ faults


def test_a_killed_worker_is_replaced_while_others_answer(root: str, tmp_path: Path, rows: list[dict[str, Any]]):
    with serving(tmp_path / "server", root, workers=2) as running:
        first = set(running.ready["workers"])
        victim = running.ready["workers"][0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{victim}/stat").exists(), "the worker has gone, and its sockets with it")
        for _ in range(20):
            assert running.ask(rows[0])["version"] == "made/1"
        with Store.open(root, create=False) as store:

            def replaced() -> bool:
                found = store.servers.running()
                now = set(found[0]["workers"]) if found else first
                return len(now) == 2 and now != first

            until(replaced, "a new worker")
        assert running.ask(rows[0])["version"] == "made/1"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_the_end_answers_what_was_accepted(
    root: str, tmp_path: Path, rows: list[dict[str, Any]], number: int, code: int
):
    with serving(tmp_path / "server", root, workers=1, log={"flush": 30.0}) as running:
        body = json.dumps(rows[0]).encode()
        connection = running.connection()
        head = f"POST /predict HTTP/1.1\r\nhost: x\r\nx-request-id: late\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.connect()
        connection.sock.sendall(head.encode() + body[:10])
        for count in range(5):
            running.ask(rows[0], x_request_id=f"early-{count}")
        running.process.send_signal(number)
        until(lambda: _refused(running), "nobody new is accepted")
        connection.sock.sendall(body[10:])
        assert connection.sock.recv(65536).startswith(b"HTTP/1.1 200")
        connection.close()
        assert running.end(number) == code
    with Store.open(root, create=False) as store:
        assert set(scan_predictions(store, "made").collect()["request_id"]) == {
            "late",
            *(f"early-{i}" for i in range(5)),
        }


def _refused(running: Running) -> bool:
    try:
        socket.create_connection((running.place.hostname, running.place.port), timeout=5).close()
    except OSError:
        return True
    return False


def test_workers_end_with_their_supervisor(root: str, tmp_path: Path):
    with serving(tmp_path / "server", root) as running:
        (worker,) = running.ready["workers"]
        running.process.kill()
        running.process.wait()
        until(
            lambda: not Path(f"/proc/{worker}/cmdline").exists() or not Path(f"/proc/{worker}/cmdline").read_bytes(),
            "the worker ends",
        )


def test_feedback_and_refused_requests_are_kept(root: str, tmp_path: Path, rows: list[dict[str, Any]]):
    with serving(tmp_path / "server", root) as running:
        answer = running.ask(rows[0])
        told = {"request_id": answer["request_id"], "label": answer["prediction"], "outcome": {"money": 12}}
        assert running.send("POST", "/feedback", told)[0] == 202
        assert running.send("POST", "/feedback", {"request_id": "x", "label": "no such class"})[0] == 422
        for _ in range(3):
            assert running.send("POST", "/predict", {"no such column": 1})[0] == 422
    with Store.open(root, create=False) as store:
        kept = scan_feedback(store, "made").collect()
        refused = scan_failures(store, "made").collect()
    # Those of other routes are no requests for predictions.
    counted = refused.group_by("version", "route", "status").agg(pl.col("requests").sum())
    assert counted.rows() == [("made/1", "predict", 422, 3)]
    assert kept["request_id"].to_list() == [answer["request_id"]]
    assert kept["label"].to_list() == [str(answer["prediction"])]
    assert json.loads(kept["outcome"][0]) == {"money": 12}


def test_keys_open_what_they_are_for(root: str, tmp_path: Path, rows: list[dict[str, Any]]):
    with Store.open(root, create=False) as store:
        key, record = store.create_key("shop", ["predict"], who="test")
        admin, _ = store.create_key("ops", ["admin"], who="test")
        with serving(tmp_path / "server", root, auth="keys") as running:
            assert running.send("POST", "/predict", rows[0])[0] == 401
            assert running.send("POST", "/predict", rows[0], authorization="Bearer nonsense")[0] == 401
            assert running.send("POST", "/predict", rows[0], x_api_key=key)[0] == 200
            assert running.send("POST", "/predict", rows[0], authorization=f"Bearer {key}")[0] == 200
            assert running.send("POST", "/feedback", {}, x_api_key=key)[0] == 403
            assert running.send("GET", "/metrics", x_api_key=key)[0] == 403
            assert running.send("GET", "/metrics", x_api_key=admin)[0] == 200
            assert running.send("GET", "/v2/health/ready")[0] == 200
            store.revoke_key(record["id"])
            until(
                lambda: running.send("POST", "/predict", rows[0], x_api_key=key)[0] == 401, "a revoked key is refused"
            )
    lines = running.errors.read_text()
    assert key not in lines
    assert record["id"] in lines


def test_the_access_log_has_no_values(root: str, tmp_path: Path, rows: list[dict[str, Any]]):
    row = {**rows[0], "note": "a secret that nobody logs"} if "note" in rows[0] else rows[0]
    with serving(tmp_path / "server", root) as running:
        running.ask(row, x_request_id="logged-1")
        running.send("POST", "/predict", {**row, "surprise": "another secret"})
    (line,) = [line for line in running.log() if line.get("request_id") == "logged-1"]
    assert line["event"] == "request"
    assert (line["status"], line["rows"], line["version"], line["path"]) == (200, 1, "made/1", "/predict")
    assert "secret" not in running.errors.read_text()


# ------------------------------------------------------------------------------------------------ starting


def fails(folder: Path, **values: Any) -> tuple[int, dict[str, Any], str]:
    """Start a server that cannot serve; return its code, what it told and what it wrote."""
    process, errors = begun(folder, {"name": "made", "version": "made@champion", "port": 0, **values})
    out, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, json.loads(out.splitlines()[-1])["failed"], errors.read_text()


def test_what_cannot_be_served_is_said(root: str, tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        code, told, text = fails(tmp_path / "a", store=root, port=port)
    assert code == 2
    assert "cannot listen" in told["what"]
    assert "Traceback" not in text
    for number, (changes, words) in enumerate(
        (
            ({"version": "made/9"}, "There is no version 'made/9'"),
            ({"version": "made@nobody"}, "made has no nobody"),
            ({"canary": {"version": "9"}}, "There is no version 'made/9'"),
            ({"shadow": "nobody"}, "made has no nobody"),
            ({"store": str(tmp_path / "empty")}, "There is no store here"),
            ({"tls_cert": "no.pem", "tls_key": "no.pem"}, "TLS file cannot be read"),
        )
    ):
        code, told, text = fails(tmp_path / str(number), **{"store": root, **changes})
        assert code == 2, text
        assert words in told["what"], told
        assert "Traceback" not in text


@pytest.mark.parametrize("argv", [[], ["--help"], ["a", "b"], ["nowhere.json"]])
def test_a_wrong_command_line_is_told(argv: list[str], tmp_path: Path):
    command = [sys.executable, "-m", "mlframe.serving", *argv]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert "usage" in done.stderr or "cannot be read" in done.stderr
