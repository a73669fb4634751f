from __future__ import annotations

import base64
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mlframe.contracts import Chart, RunInfo
from mlframe.errors import ParameterError
from mlframe.trackers.wandb import WandbTracker, find_key, why_not

KEY = "k" * 40
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><title>t</title></svg>'


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


def info(folder: Path, number: int = 1, group: str | None = None) -> RunInfo:
    config = {"seed": 0, "model": {"name": "lgbm"}, "data": {"path": Path("x.csv")}}
    facts = {"code": {"commit": "abc", "diff": "secret diff text"}}
    return RunInfo(f"run-{number}", "email", "train", group, config, folder / f"r{number}", facts)


def written(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def record(folder: Path) -> bytes:
    """Return what W&B's service wrote of a finished run; it may still be writing for a moment."""
    (file,) = folder.glob("*.wandb")
    end = time.monotonic() + 60
    while file.stat().st_size < 100 and time.monotonic() < end:
        time.sleep(0.02)
    return file.read_bytes()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    servers: list[ThreadingHTTPServer] = []
    stop, answered = threading.Event(), list[str]()

    def start(kind: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if kind == "hang":
                    stop.wait(60)
                    answered.append(kind)
                    return
                allowed = base64.b64encode(f"api:{KEY}".encode()).decode() in self.headers.get("Authorization", "")
                body = json.dumps({"data": {"viewer": {"id": "1"} if kind == "good" and allowed else None}}).encode()
                body = b"<html>" if kind == "html" else body
                self.send_response(int(kind) if kind.isdigit() else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        made.daemon_threads = True
        servers.append(made)
        threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
        url = f"http://127.0.0.1:{made.server_address[1]}"
        monkeypatch.setenv("WANDB_BASE_URL", url)
        return url

    start.answered = answered  # type: ignore[attr-defined]
    yield start
    stop.set()
    for made in servers:
        made.shutdown()
        made.server_close()


def test_three_offline_runs_in_one_process_are_three_records(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    addresses = []
    for number in (1, 2, 3):
        tracker = WandbTracker(mode="offline", tags=["a"], notes="n")
        tracker.open(info(tmp_path, number, group="sweep-1"))
        tracker.figures({"holdout/roc_auc": 0.9 + number / 100})
        tracker.chart(Chart("roc", "ROC", "words", SVG))
        tracker.table("thresholds", pl.DataFrame({"threshold": [0.1], "when": [pl.date(2024, 1, 1)]}, strict=False))
        addresses.append(tracker.address())
        tracker.close("finished" if number < 3 else "failed")
        assert tracker.address() is None
    assert len({str(address) for address in addresses}) == 3
    for number, address in enumerate(addresses, 1):
        assert address is not None
        said = record(Path(address))
        assert f"run-{number}".encode() in said
        assert b"sweep-1" in said
        assert b"holdout/roc_auc" in said
        assert b"secret diff" not in written(Path(address))
        assert list(Path(address).rglob("*.html"))
    out = capfd.readouterr()
    assert out.out == ""
    assert out.err == ""


def test_two_runs_at_once_keep_apart(tmp_path: Path) -> None:
    first, second = WandbTracker(mode="offline"), WandbTracker(mode="offline")
    first.open(info(tmp_path, 1))
    second.open(info(tmp_path, 2))
    first.figures({"first": 1.0})
    second.figures({"second": 2.0})
    folders = [Path(str(tracker.address())) for tracker in (first, second)]
    first.close("finished")
    second.close("finished")
    records = [record(folder) for folder in folders]
    assert b"first" in records[0]
    assert b"second" not in records[0]
    assert b"second" in records[1]


def test_bundle_files_are_recorded_only_when_asked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "bundle"
    model.mkdir()
    (model / "weights.txt").write_text("these are the weights")
    found = {}
    for number, upload in enumerate(("none", "bundle"), 1):
        tracker = WandbTracker(mode="offline", upload=upload)  # type: ignore[arg-type]
        tracker.open(info(tmp_path, number))
        tracker.bundle("email/7", model)
        folder = Path(str(tracker.address()))
        tracker.close("finished")
        found[upload] = record(folder)
    assert b"email/7" in found["none"]
    assert b"weights.txt" not in found["none"]
    assert b"weights.txt" in found["bundle"]
    assert capfd.readouterr() == ("", "")


def test_rows_are_recorded_only_when_asked(tmp_path: Path) -> None:
    for number, upload in enumerate(("none", "rows"), 1):
        tracker = WandbTracker(mode="offline", upload=upload)  # type: ignore[arg-type]
        tracker.open(info(tmp_path, number))
        tracker.table("rows/holdout", pl.DataFrame({"name": ["a person"]}))
        folder = Path(str(tracker.address()))
        tracker.close("finished")
        assert (b"a person" in written(folder)) == (upload == "rows")


@pytest.mark.parametrize(
    ("kind", "words"),
    [("401", "refuses the API key"), ("500", "answered 500"), ("null", "refuses"), ("hang", "within")],
)
def test_a_server_that_cannot_be_used_is_one_warning_and_an_offline_record(
    kind: str,
    words: str,
    server: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server(kind)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    # Who answers does so at once, however busy the machine is; who hangs is not waited for.
    tracker = WandbTracker(timeout=1 if kind == "hang" else 30)
    with caplog.at_level(logging.WARNING, "mlframe"):
        tracker.open(info(tmp_path))
        tracker.figures({"a": 1.0})
        address = tracker.address()
        tracker.close("finished")
    assert server.answered == []  # type: ignore[attr-defined]
    assert len(caplog.records) == 1
    assert words in caplog.text
    assert KEY not in caplog.text
    assert address is not None
    assert list(Path(address).glob("*.wandb"))
    assert KEY.encode() not in written(tmp_path)


def test_nobody_at_the_address_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    tracker = WandbTracker(mode="online")
    tracker.open(info(tmp_path))
    tracker.close("interrupted")
    assert "cannot be reached" in caplog.text


def test_a_server_that_dies_after_the_login_does_not_hold_the_run(
    server: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server("good")  # knows the key, and answers nothing else that W&B's client asks
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    tracker = WandbTracker(timeout=1)
    begun = time.monotonic()
    tracker.open(info(tmp_path, 99))
    tracker.figures({"a": 1.0})
    address = tracker.address()
    tracker.close("finished")
    assert time.monotonic() - begun < 80  # W&B's own patience is 90 seconds
    assert len([record for record in caplog.records if record.name == "mlframe"]) == 1
    assert address is not None
    assert list(Path(address).glob("*.wandb"))


def test_without_a_login_the_record_is_offline_and_nobody_is_asked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = WandbTracker()
    tracker.open(info(tmp_path))
    address = tracker.address()
    tracker.close("finished")
    assert address is not None
    assert "offline-run" in address
    assert not [record for record in caplog.records if record.name == "mlframe"]


def test_a_malformed_key_does_not_stop_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "short key\twith blanks")
    tracker = WandbTracker()
    tracker.open(info(tmp_path))
    tracker.figures({"a": 1.0})
    tracker.close("finished")
    assert "W&B" in caplog.text
    assert "with blanks" not in caplog.text


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    tracker = WandbTracker(mode="offline", dir=str(tmp_path / "file" / "below"))
    tracker.open(info(tmp_path))
    tracker.figures({"a": 1.0})
    tracker.close("finished")
    assert "goes on without it" in caplog.text


def test_disabled_writes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for number, mode in enumerate(("disabled", "auto"), 1):
        if mode == "auto":
            monkeypatch.setenv("WANDB_MODE", "disabled")
        tracker = WandbTracker(mode=mode)  # type: ignore[arg-type]
        tracker.open(info(tmp_path, number))
        tracker.figures({"a": 1.0})
        assert tracker.address() is None
        tracker.close("finished")
        assert not (tmp_path / f"r{number}").exists()


def test_a_record_that_fails_is_one_warning_and_the_next_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = WandbTracker(mode="offline")
    tracker.open(info(tmp_path))
    for _ in range(2):
        tracker.figures({"bad": "no number"})  # type: ignore[dict-item]
    tracker.figures({"good": 1.0})
    folder = Path(str(tracker.address()))
    tracker.close("finished")
    assert len([item for item in caplog.records if item.name == "mlframe"]) == 1
    assert b"good" in record(folder)


def test_close_without_open_and_bad_timeout() -> None:
    WandbTracker().close("failed")
    with pytest.raises(ParameterError, match="timeout"):
        WandbTracker(timeout=0)


def test_key_comes_from_the_variable_or_the_servers_own_netrc_entry(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "netrc"
    file.write_text(
        "machine here.example\n  login user\n  password secret\nmachine api.wandb.ai login u password cloud\n"
    )
    file.chmod(0o600)
    assert find_key("https://here.example") == "secret"
    assert find_key("https://api.elsewhere.example") == "cloud"
    monkeypatch.setenv("WANDB_BASE_URL", "https://other.example")
    assert find_key("https://other.example") is None
    monkeypatch.setenv("WANDB_API_KEY", "first")
    assert find_key("https://here.example") == "first"


def test_a_good_server_can_be_used_and_a_web_page_cannot(server: Callable[[str], str]) -> None:
    assert why_not(server("good"), KEY, 5) is None
    assert why_not(server("good"), "x", 5) == "refuses the API key"
    assert "not answer as" in str(why_not(server("html"), KEY, 5))


def test_the_tracker_module_does_not_import_wandb() -> None:
    code = "import sys, mlframe.trackers.wandb; sys.exit('wandb' in sys.modules or 'polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
