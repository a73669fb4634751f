from __future__ import annotations

import html
import json
import re
import shutil
import subprocess

import numpy as np
import polars as pl
import pytest
from page_reader import read
from wire_bench import DTYPES, needs, records

from mlframe.serving import status
from mlframe.serving.metrics import Metrics
from mlframe.serving.schema import Schema
from mlframe.steps.baseline import column_sketches
from mlframe.table import Table, describe_columns

NOW = 1_764_000_030.0
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def rows(count: int, seed: int, shift: float = 0.0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    columns = {
        "amount": rng.normal(10 + shift, 3, count),
        "count": rng.integers(0, 5, count),
        "still": np.full(count, 3.0),
        "plan": rng.choice(["free", "pro"], count, p=[0.8, 0.2] if shift else [0.5, 0.5]),
        "city": rng.choice(["Köln", "Bonn"], count),
        "member": rng.random(count) < 0.5,
        "note": [" ".join(["word"] * n) for n in rng.integers(4, 40 + int(shift) * 10, count)],
    }
    frame = pl.DataFrame(columns).with_columns(
        pl.when(pl.int_range(count) % 10 == 0).then(None).otherwise(pl.col("amount")).alias("amount")
    )
    return frame


def made_baseline(frame: pl.DataFrame) -> dict:
    columns = describe_columns(frame, {"note": {"kind": "text"}, "plan": {}, "city": {}})
    records = Table(frame, columns).column_records()
    return json.loads(json.dumps({"format": 2, "rows": len(frame), "columns": column_sketches(frame, records)}))


@pytest.fixture
def shown(binary, tmp_path) -> status.Status:
    """Give what the page is written from: a busy server whose rows have moved."""
    frame = rows(2000, seed=0)
    (tmp_path / "baseline.json").write_text(json.dumps(made_baseline(frame)))
    dtypes = dict.fromkeys(("amount", "still"), "Float64") | {"count": "Int64", "member": "Boolean"}
    dtypes |= dict.fromkeys(("plan", "city", "note"), "String")
    binary.schema = Schema(records(dtypes, private=("city",)))
    binary.folder = tmp_path
    metrics = Metrics(tmp_path / "metrics", "0-1")
    for _ in range(200):
        metrics.request("predict", 200, "shop/7", 0.002, rows=1)
    metrics.request("predict", 422, None, 0.001)
    metrics.models = [("shop/7", "champion", True), ("shop/6", "previous", True)]
    return status.Status(binary, metrics.counts(), rows(500, seed=1, shift=5), ["shop/7", "shop/6"])


def test_rows_like_those_of_training_are_steady():
    frame = rows(5000, seed=0)
    found = status.drift(rows(3000, seed=1), made_baseline(frame))
    assert {moved.column for moved in found} == set(frame.columns)
    assert all(moved.index < 0.05 for moved in found), found


def test_what_moved_comes_first():
    frame = rows(5000, seed=0)
    moved = status.drift(rows(3000, seed=1, shift=5), made_baseline(frame), without=["city"])
    by = {item.column: item for item in moved}
    assert {item.column for item in moved[:2]} == {"amount", "note"}
    assert moved[0].index >= moved[1].index > 0.25
    assert 0.1 < by["plan"].index < 0.6
    assert by["count"].index < 0.05
    assert "city" not in by
    assert by["amount"].missing == pytest.approx(by["amount"].missed, abs=0.01)


def test_missing_values_new_classes_and_a_constant_that_changed_are_seen():
    frame = rows(5000, seed=0)
    now = frame.with_columns(
        pl.lit(None, dtype=pl.Int64).alias("count"), pl.lit("gold").alias("plan"), pl.lit(4.0).alias("still")
    )
    moved = status.drift(now, made_baseline(frame))
    assert {item.column for item in moved if item.index > 1} == {"count", "plan", "still"}
    assert next(item for item in moved if item.column == "count").missing == 1


def test_no_rows_are_no_drift(frame):
    assert status.drift(rows(0, seed=0), made_baseline(rows(100, seed=0))) == []
    assert status.drift(frame.select("amount").clear(), {"format": 2, "columns": {}}) == []
    assert set(DTYPES) >= {"amount"}


def test_a_baseline_of_another_format_is_told_and_breaks_nothing(shown, tmp_path):
    (tmp_path / "baseline.json").write_text(
        json.dumps({"rows": 1, "columns": {"amount": {"missing": 0, "kind": "numeric"}}})
    )
    page = status.page(shown, shown.counts.started + 30)
    assert "Drift is not told: the baseline has format 1, this mlframe reads 2" in page


def test_the_page_says_what_there_is_to_know(shown, tmp_path):
    counts = shown.counts
    page = tmp_path / "page.html"
    page.write_text(status.page(shown, counts.started + 30))
    reader = read(page)
    for words in ("shop/7", "Serving", "201 requests", "1 of them refused", "amount", "another population", "p99"):
        assert words in reader.words, words
    assert "Köln" not in reader.words
    assert sorted(reader.addresses) == ["metrics", "monitor", "openapi.json"]
    assert "script" not in reader.tags
    assert re.search(r"rollback shop", reader.words)


def test_trouble_is_seen_at_once(shown):
    counts = shown.counts
    counts.lost = 12
    told = status.Status(shown.model, counts, None, (), {"shadow": "shop/9 cannot be loaded <b>"})
    page = status.page(told, counts.started + 30)
    assert "Trouble" in page
    assert "12 rows of the prediction log could not be kept" in page
    assert "&lt;b&gt;" in page
    assert "There is no log of predictions" in page
    reply = status.reply(told)
    assert dict(reply.headers)["refresh"] == "10"


def test_few_rows_tell_no_drift(shown):
    few = status.Status(shown.model, shown.counts, rows(20, seed=1))
    assert "drift is told from 100 on" in status.page(few, NOW)


@needs(*BROWSERS)
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_browser_shows_it_narrow_and_wide_dark_and_light(shown, tmp_path, scheme):
    page = status.page(shown, shown.counts.started + 30)
    # The outer page measures the inner one, in which no script may run.
    outer = """<!DOCTYPE html><body>{frames}<pre id="found"></pre><script>
    addEventListener("load", () => {{
      found.textContent = JSON.stringify([...document.querySelectorAll("iframe")].map(frame => {{
        const inner = frame.contentDocument, box = element => element.getBoundingClientRect();
        return {{width: frame.clientWidth, needed: inner.documentElement.scrollWidth,
          pictures: [...inner.querySelectorAll("figure svg")].map(picture => box(picture).width),
          ink: getComputedStyle(inner.body).color, paper: getComputedStyle(inner.body).backgroundColor,
          height: inner.body.scrollHeight}};
      }}));
    }});</script></body>"""
    frames = "".join(
        f'<iframe style="border:0;width:{width}px;height:900px" srcdoc="{html.escape(page)}"></iframe>'
        for width in (320, 390, 1280)
    )
    (tmp_path / "outer.html").write_text(outer.format(frames=frames))
    command = [
        *(
            next(filter(None, map(shutil.which, BROWSERS))),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
        ),
        *("--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}"),
        f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
        *("--virtual-time-budget=3000", "--dump-dom", f"file://{tmp_path / 'outer.html'}"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found = json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', done.stdout)[1]))
    assert [frame["width"] for frame in found] == [320, 390, 1280]
    for frame in found:
        assert frame["needed"] <= frame["width"]
        assert frame["height"] > 900
        assert all(0 < width <= frame["width"] for width in frame["pictures"])
        brightness = {name: sum(map(int, re.findall(r"\d+", frame[name])[:3])) for name in ("ink", "paper")}
        assert (brightness["ink"] > brightness["paper"]) == (scheme == "dark")
