"""The log from the command line: counted, exported, checked, expired."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mlframe.pipeline import Learning, Pipeline
from mlframe.serving.prediction_log import Feedback, FeedbackLog, Logged, PredictionLog
from mlframe.store import Store

PAPER = Path(__file__).parents[2] / "docs/prediction-log.md"
NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


@pytest.fixture
def logged(run_cli):
    """Log predictions of two versions on two days, and feedback, with the writers that a server has."""
    with Store.open(".mlframe") as store:
        log = PredictionLog(store.folder / "predictions/shop", "w0", salt=store.pii_salt())
        told = FeedbackLog(store.folder / "feedback/shop", "w0", numeric=False)
        for version, days, rows in (("shop/1", 9, 3), ("shop/2", 0, 2)):
            column = {"name": "age", "dtype": "Int64", "tags": []}
            learning = Learning("binary", "bought", ("no", "yes"), ("no", "yes"))
            log.introduce(version, Pipeline(None, learning, [column]))  # type: ignore[arg-type]
            moment = (NOW - timedelta(days=days)).timestamp()
            outputs = np.array([[0.4, 0.6]] * rows)
            log.add(Logged(version, moment, version, "champion", {"age": [30] * rows}, rows, outputs, 0.004))
            told.add(Feedback(version, moment, "yes" if days else None, {"money": 3}))
        log.close()
        told.close()
    return run_cli


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip() and "─" not in line]


def test_counts_by_day_and_version(logged):
    found = lines(logged("predictions", "shop").out)
    assert found[0].split()[:4] == ["day", "version", "role", "rows"]
    assert [line.split()[1:4] for line in found[1:]] == [["shop/1", "champion", "3"], ["shop/2", "champion", "2"]]
    assert all(line.endswith(" 4.00") for line in found[1:])
    since = f"{NOW - timedelta(days=1):%Y-%m-%d}"
    assert [line.split()[1] for line in lines(logged("predictions", "shop", "--since", since).out)[1:]] == ["shop/2"]
    assert [line.split()[1] for line in lines(logged("predictions", "shop", "--until", since).out)[1:]] == ["shop/1"]
    told = lines(logged("predictions", "shop", "--feedback").out)
    assert [line.split()[-2:] for line in told[1:]] == [["1", "1"], ["0", "1"]]


@pytest.mark.parametrize(
    ("file", "read"), [("rows.parquet", pl.read_parquet), ("rows.csv", pl.read_csv), ("rows.jsonl", pl.read_ndjson)]
)
def test_exports(logged, file, read):
    done = logged("predictions", "shop", "--export", file)
    assert done.code == 0, done.err
    found = read(file)
    assert found["version"].value_counts().sort("version")["count"].to_list() == [3, 2]
    assert {"age", "y_pred", "p_yes", "request_id"} <= set(found.columns)
    assert sorted(path.name for path in Path.cwd().iterdir()) == [".mlframe", file]
    told = logged("predictions", "shop", "--feedback", "--export", f"told-{file}")
    assert told.code == 0, told.err
    assert {json.loads(text)["money"] for text in read(f"told-{file}")["outcome"]} == {3}


def test_checks_and_expires(logged):
    done = logged("predictions", "shop", "--verify")
    assert done.code == 0
    assert done.out.startswith("5 rows in 2 segments and 0 open streams: all of them whole")
    assert logged("predictions", "shop", "--expire", "5").out == "2 files removed\n"
    assert len(lines(logged("predictions", "shop").out)) == 2
    segment = next(Path(".mlframe/predictions/shop").rglob("*.parquet"))
    segment.write_bytes(segment.read_bytes()[:-9])
    damaged = logged("predictions", "shop", "--verify")
    assert damaged.code == 2
    assert segment.name in damaged.err
    assert "1 damaged files" in damaged.err


def test_mistakes_are_told(logged):
    for words, text in (
        (["shopp"], "shopp"),
        (["shop", "--export", "rows.xlsx"], "use one of .parquet"),
        (["shop", "--export", "nowhere/rows.csv"], "cannot be written"),
        (["shop", "--since", "yesterday"], "is no time such as"),
        (["shop", "--expire", "-3"], "cannot be negative"),
        (["..", "--expire", "3"], "no name of a model"),
    ):
        done = logged("predictions", *words)
        assert done.code == 2, words
        assert text in done.err, done.err
    assert "Traceback" not in done.err
    nothing = logged("predictions", "shop", "--since", "2999-01-01")
    assert nothing.code == 0
    assert "no predictions of 'shop'" in nothing.out


def test_the_page_of_the_log_is_true(run_cli, tmp_path):
    """Its commands and its program, on a log of two rows."""
    with Store.open(".mlframe") as store:
        log = PredictionLog(store.folder / "predictions/email", "w0", salt=store.pii_salt())
        told = FeedbackLog(store.folder / "feedback/email", "w0", numeric=False)
        learning = Learning("binary", "label", ("ham", "spam"), ("ham", "spam"))
        log.introduce("email/1", Pipeline(None, learning, [{"name": "text", "dtype": "String", "tags": ["pii"]}]))  # type: ignore[arg-type]
        outputs = np.array([[0.1, 0.9], [0.2, 0.8]])
        log.add(Logged("a", NOW.timestamp(), "email/1", "champion", {"text": ["x", "y"]}, 2, outputs, 0.001))
        for later, label in enumerate(["ham", "spam"]):
            told.add(Feedback("a", NOW.timestamp() + later, label))
        told.add(Feedback("a", NOW.timestamp(), "ham", row=1))
        log.close()
        told.close()
        key_id = store.create_key("old", ["predict"], who="ada")[1]["id"]
    text = PAPER.read_text(encoding="utf-8")
    lines = re.findall(r"^python -m mlframe (.*)$", text, re.MULTILINE)
    assert len(lines) == 8
    for line in lines:
        words = shlex.split(line, comments=True)
        done = run_cli(*(key_id if words[:2] == ["keys", "revoke"] and word == words[-1] else word for word in words))
        assert done.code == 0, f"{line}\n{done.err}"
    assert pl.read_parquet("november.parquet").height == 2
    names: dict = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], names)  # type: ignore[index]
    assert names["right"].rows() == [("email/1", 0.5)]
