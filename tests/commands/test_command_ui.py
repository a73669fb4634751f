"""The page over the store: real processes, a real browser."""

from __future__ import annotations

import base64
import contextlib
import html
import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from watched import DAY, FIGURES, START, WORDS, watched

from mlframe.contracts import Deployment
from mlframe.store import Store
from mlframe.store import metadata as db

sys.path.insert(0, str(Path(__file__).parent.parent / "serving"))
from server_bench import rows_of, serving, until
from wire_bench import needs

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Looking:
    """A running page."""

    def __init__(self, address: str) -> None:
        self.place = urlsplit(address)

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
        connection = http.client.HTTPConnection(str(self.place.hostname), self.place.port, timeout=60)
        try:
            connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
            reply = connection.getresponse()
            return reply.status, reply.read().decode(), {name.lower(): text for name, text in reply.getheaders()}
        finally:
            connection.close()

    def page(self, path: str) -> str:
        status, text, _ = self.get(path)
        assert status == 200, (path, text)
        assert 'class="missing"' not in text, path
        return html.unescape(text)


@contextlib.contextmanager
def looking(folder: Path, root: Path, *flags: str) -> Iterator[Looking]:
    command = [sys.executable, "-m", "mlframe", "ui", "--port", "0", *flags, f"store.root={root}"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, (line, process.stderr.read() if not line else "")
        yield Looking(found[0])
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, ""), (process.returncode, out, err)


@pytest.fixture
def root(trained_version: Deployment, tmp_path: Path) -> Path:
    shutil.copytree(trained_version.store_root, tmp_path / "store")
    with Store.open(str(tmp_path / "store"), create=False) as store:
        watched(store, "made", days=18)
    return tmp_path / "store"


def test_an_empty_store_says_how_to_begin(tmp_path: Path):
    Store.open(str(tmp_path / "store")).close()
    with looking(tmp_path, tmp_path / "store") as page:
        assert "No version is registered yet" in page.page("/")
        assert "No run is here." in page.page("/runs")
        assert page.get("/models/made")[0] == 404
        assert "Not found" in page.page("/predictions?id=x")


def test_models_monitors_decisions_and_runs_are_shown(root: Path, tmp_path: Path):
    with looking(tmp_path, root) as page:
        overview = page.page("/")
        assert 'href="/models/made"' in overview
        assert ">Problem</a>" in overview
        model = page.page("/models/made")
        assert 'href="/versions/made/1"' in model
        assert "champion" in model
        assert "No server runs." in model
        monitor = page.page("/models/made/monitor")
        assert "1 problem and 1 warning open" in monitor
        assert monitor.count("<svg") == 1 + len(FIGURES)
        decisions = page.page("/models/made/decisions")
        assert "sender has moved by 0.4" in decisions
        assert 'href="/models/made"' in decisions, "and back"
        run = re.search(r'href="(/runs/[^"]+)"', model)
        assert run
        shown = page.page(run[1])
        assert "ingest" in shown
        assert "python -m mlframe" in shown
        assert "fingerprint of the data" in page.page("/versions/made/1")


def test_from_a_request_id_back_to_the_data(root: Path, trained_version: Deployment, tmp_path: Path):
    row = rows_of(trained_version.bundle, 1)[0]
    with serving(tmp_path / "server", str(root)) as running:
        answer = running.ask(row, x_request_id="mine-7")
        told = {"request_id": "mine-7", "label": answer["prediction"], "outcome": {"money": 12}}
        assert running.send("POST", "/feedback", told)[0] in (200, 202)
        with looking(tmp_path, root) as page:
            # A server that has just begun tells the store so a moment later.
            until(lambda: running.ready["address"] in page.page("/models/made"), "the server on the model's page")
    with looking(tmp_path, root) as page, Store.open(str(root), create=False) as store:
        found = page.page("/predictions?id=mine-7")
        version = store.version("made/1")
        config = store.run(version["run_id"])["config"]
        for text in (
            "mine-7",
            str(answer["prediction"]),
            'href="/versions/made/1"',
            f'href="/runs/{version["run_id"]}"',
            version["facts"]["data"],
            str(config["data"]["source"]["name"]),
            "What became known of it",
            "money",
        ):
            assert text in found, text
        assert "No prediction 'mine-8'" in page.page("/predictions?id=mine-8&model=made")
        assert "No prediction 'mine-7'" in page.page("/predictions?id=mine-7&day=2020-01-01")


def test_pages_cannot_be_misused(root: Path, tmp_path: Path):
    with Store.open(str(root), create=False) as store:
        store.decisions.add("made", "keep", {"text": WORDS, "evidence": {"x": WORDS}})
    with looking(tmp_path, root) as page:
        status, text, headers = page.get("/models/made/decisions")
        assert status == 200
        assert WORDS not in text
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")
        assert page.get("/", "POST")[0] == 405
        assert page.get("/", "DELETE")[0] == 405
        assert page.get("/", "HEAD")[:2] == (200, "")
        assert page.get("/", host="evil.example")[0] == 421, "another site's name that points here"
        assert page.get("/?x=" + "y" * 5000)[0] == 414
        for path in ("/models/..%2F..%2Fetc", "/versions/made/%00", "/versions/made/1%2F..", "/runs/%27--", "/models/%3Cscript%3E",
                     "/models/made?start=-1", "/models/made?start=999999999999", "/models/made/monitor?before=nonsense",
                     "/predictions?id=%00&day=x", "/static/../../x"):  # fmt: skip
            status, text, _ = page.get(path)
            assert status in (200, 404), (path, status, text[-600:])
            assert "<script" not in text


def test_elsewhere_only_with_a_key(root: Path, tmp_path: Path, run_cli: Any):
    refused = run_cli("ui", "--host", "0.0.0.0", "--port", "0", f"store.root={root}")
    assert refused.code == 2
    assert "keys create me --scope admin" in refused.err
    with Store.open(str(root), create=False) as store:
        key, record = store.create_key("me", ["admin"], who="test")
        other, _ = store.create_key("shop", ["predict"], who="test")
        with looking(tmp_path, root, "--host", "0.0.0.0") as page:
            status, _, headers = page.get("/")
            assert status == 401
            assert headers["www-authenticate"].startswith("Basic")
            basic = base64.b64encode(f"anyone:{key}".encode()).decode()
            assert page.get("/", authorization=f"Basic {basic}")[0] == 200
            assert page.get("/", authorization="Basic ???")[0] == 401
            assert page.get("/", x_api_key=key)[0] == 200
            assert page.get("/", x_api_key=other)[0] == 403
            store.revoke_key(record["id"])
            assert page.get("/", x_api_key=key)[0] == 401


def test_a_large_store_is_shown_page_by_page_while_others_write(root: Path, tmp_path: Path):
    with Store.open(str(root), create=False) as store:
        version = store.version("made/1")
        shared = {"name": "made", "run_id": "r", "figures": version["figures"], "facts": version["facts"]}
        many = [{**shared, "number": n, "created": db.now()} for n in range(2, 4000)]
        windows = [
            {"name": "made", "version": "made/1", "since": (START + i * DAY).isoformat(timespec="microseconds"),
             "until": (START + (i + 1) * DAY).isoformat(timespec="microseconds"), "rows": 5, "run_id": "r", "observed": db.now(),
             "record": {"figures": {"roc_auc": {"value": 0.9}}, "health": "ok"}}
            for i in range(18, 4000)
        ]  # fmt: skip
        with store._database.write("test") as connection:
            connection.execute(sa.insert(db.versions), many)
            connection.execute(sa.insert(db.windows), windows)
        ended = threading.Event()
        written: list[int] = []

        def write() -> None:
            while not ended.is_set():
                store.decisions.add("made", "keep", {"text": f"number {len(written)}"})
                written.append(1)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            with looking(tmp_path, root) as page:
                for path in ("/", "/models/made", "/models/made/monitor", "/models/made/decisions", "/runs"):
                    text = page.page(path)
                    assert len(text) < 2_000_000, path
                first = page.page("/models/made")
                assert 'href="/versions/made/3999"' in first
                assert 'href="/versions/made/3949"' not in first
                older = re.search(r'href="(/models/made\?start=50)"', first)
                assert older
                assert 'href="/versions/made/3949"' in page.page(older[1])
                before = re.search(r'href="(/models/made/monitor\?before=[^"]+)"', page.page("/models/made/monitor"))
                assert before
                assert "Windows that began before" in page.page(before[1])
        finally:
            ended.set()
            writer.join()
    assert written


def test_looking_changes_nothing(root: Path, tmp_path: Path):
    with Store.open(str(root), create=False) as store:
        run = store.start_run(task="train", name="made", group=None, config={}, unresolved={}, facts={})
        with store._database.write("test") as connection:  # as a run looks whose process was killed
            connection.execute(db.runs.update().values(pid=2**22 - 3, pid_started="1", status="running"))
    with sa.create_engine(f"sqlite:///{root / 'mlframe.db'}", poolclass=sa.NullPool).connect() as connection:
        before = connection.exec_driver_sql("select id, status from mlframe_runs").all()
    with looking(tmp_path, root) as page:
        assert "interrupted" in page.page("/runs")
        for path in ("/", "/models/made", "/models/made/monitor"):
            page.page(path)
    with sa.create_engine(f"sqlite:///{root / 'mlframe.db'}", poolclass=sa.NullPool).connect() as connection:
        assert connection.exec_driver_sql("select id, status from mlframe_runs").all() == before
    assert run


@pytest.mark.parametrize(
    ("flags", "words"),
    [(("--port", "99999"), "0 for a free one"), (("--host", "no.such.host.invalid"), "Nobody can listen there")],
)
def test_mistakes_are_told(root: Path, run_cli: Any, flags: tuple[str, ...], words: str):
    told = run_cli("ui", *flags, f"store.root={root}")
    assert told.code == 2
    assert words in told.err
    assert "Traceback" not in told.err


def test_without_a_store_there_is_nothing_to_show(tmp_path: Path, run_cli: Any):
    told = run_cli("ui", "--port", "0", f"store.root={tmp_path / 'absent'}")
    assert told.code == 2


@needs(*BROWSERS)
def test_a_browser_shows_every_page_on_a_phone_and_fetches_nothing_else(root: Path, tmp_path: Path):
    paths = (
        "/",
        "/models/made",
        "/models/made/monitor",
        "/models/made/decisions",
        "/runs",
        "/versions/made/1",
        "/predictions",
    )
    with looking(tmp_path, root) as page:
        for place, path in enumerate(paths):
            file = tmp_path / f"{place}.html"
            file.write_text(page.get(path)[1])
            reader = read_forms(file)
            assert "script" not in reader.tags
            assert all(address.startswith("/") for address in reader.addresses), reader.addresses
    # The outer page measures the inner ones, in which no script may run.
    frames = "".join(
        f'<iframe style="border:0;width:390px;height:900px" srcdoc="{html.escape((tmp_path / f"{place}.html").read_text())}"></iframe>'
        for place in range(len(paths))
    )
    outer = f"""<!DOCTYPE html><body>{frames}<pre id="found"></pre><script>
    addEventListener("load", () => {{ found.textContent = JSON.stringify([...document.querySelectorAll("iframe")].map(
      frame => frame.contentDocument.documentElement.scrollWidth)); }});</script></body>"""
    (tmp_path / "outer.html").write_text(outer)
    command = [
        *(
            next(filter(None, map(shutil.which, BROWSERS))),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ),
        *(
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={tmp_path / 'p'}",
        ),
        *("--virtual-time-budget=3000", "--dump-dom", f"file://{tmp_path / 'outer.html'}"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found = json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', done.stdout)[1]))  # type: ignore[index]
    assert len(found) == len(paths)
    assert max(found) <= 390


def read_forms(file: Path) -> Any:
    from page_reader import Reader

    class Forms(Reader):
        VOID = (*Reader.VOID, "input")

    reader = Forms()
    reader.feed(file.read_text())
    assert reader.open == []
    return reader
