"""Batch scoring through the real command line: every row exactly once, whatever happens in between."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import polars as pl
import pytest
from workbench import TABLE, Bench, finish, make_csv, refused, spawn

BATCH = ("deploy", *TABLE, "deployer=batch", "trackers=[]")


def rows_of(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(sorted(folder.glob("part-*.parquet")))


def manifest_of(folder: Path) -> dict[str, object]:
    return dict(json.loads((folder / "manifest.json").read_text()))


@pytest.fixture
def many(served: Bench) -> Bench:
    """Give a workspace with a champion, and 1,000 rows to score in every format."""
    served.write(make_csv(1000, seed=1), "many.csv")
    frame = pl.read_csv("many.csv").with_row_index("id")
    frame.write_parquet("many.parquet")
    frame.write_ndjson("many.ndjson")
    frame.write_ipc("many.arrow")
    with sqlite3.connect("many.db") as connection:
        connection.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, age INTEGER, income INTEGER, city TEXT)")
        rows = frame.select("id", "age", "income", "city").rows()
        connection.executemany("INSERT INTO customers VALUES (?, ?, ?, ?)", rows)
    connection.close()
    return served


def test_every_format_gives_what_predict_gives(many: Bench):
    assert many.predict("input=many.parquet", "output=expected.parquet").code == 0
    expected = pl.read_parquet("expected.parquet")
    for name in ("many.csv", "many.parquet", "many.ndjson", "many.arrow"):
        result = many(*BATCH, f"input={name}", "output=scores", "deployer.rows=300")
        assert result.code == 0, result.err
        found = rows_of(Path("scores"))
        assert found["y_pred"].to_list() == expected["y_pred"].to_list()
        assert found["p_yes"].to_list() == expected["p_yes"].to_list()
        assert found["model_version"].unique().to_list() == ["csv/1"]
        assert [part["rows"] for part in manifest_of(Path("scores"))["parts"]] == [300, 300, 300, 100]  # type: ignore[attr-defined]
        shutil.rmtree("scores")


def test_the_manifest_tells_digests_and_the_same_command_again_scores_nothing(many: Bench):
    words = (*BATCH, "input=many.parquet", "output=scores", "deployer.rows=400", "deployer.keep=[id]")
    assert many(*words).code == 0
    manifest = manifest_of(Path("scores"))
    for part in manifest["parts"]:  # type: ignore[attr-defined]
        assert hashlib.sha256((Path("scores") / part["file"]).read_bytes()).hexdigest() == part["sha256"]
    assert rows_of(Path("scores")).columns == ["id", "y_pred", "p_no", "p_yes", "model_version"]
    before = {path: path.stat().st_mtime_ns for path in Path("scores").iterdir()}
    again = many(*words)
    assert "nothing is left to do" in again.out
    assert {path: path.stat().st_mtime_ns for path in Path("scores").iterdir()} == before


def test_a_database_is_scored_into_a_folder_and_into_a_table(many: Bench):
    source = ("input=sqlite:///many.db", "deployer.query=customers", "deployer.key=id", "deployer.rows=300")
    assert many(*BATCH, *source, "output=scores").code == 0
    found = rows_of(Path("scores"))
    assert found["id"].to_list() == list(range(1000))
    table = ("output=sqlite:///out.db", "deployer.table=scores", "deployer.keep=[id]")
    assert many(*BATCH, *source, *table).code == 0
    assert "nothing is left to do" in many(*BATCH, *source, *table).out
    with sqlite3.connect("out.db") as connection:
        rows = connection.execute("SELECT id, y_pred FROM scores ORDER BY id").fetchall()
    connection.close()
    assert rows == list(zip(range(1000), found["y_pred"].to_list(), strict=True))


def test_a_killed_run_goes_on_and_scores_each_row_once(served: Bench):
    frame = pl.read_csv("my.csv")
    frame = pl.concat([frame] * 2000).with_row_index("id")
    frame.write_parquet("big.parquet")
    words = (*BATCH, "input=big.parquet", "output=scores", "deployer.rows=1000", "deployer.keep=[id]")
    kills = 0
    while kills < 3:
        process = spawn(served.folder, *words)
        before = len(list(Path("scores").glob("part-*"))) if Path("scores").is_dir() else 0
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            if len(list(Path("scores").glob("part-*"))) > before + 2:
                break
            time.sleep(0.002)
        assert process.poll() is None, "it was done before it could be killed"
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        kills += 1
    result = finish(spawn(served.folder, *words))
    assert result.code == 0, result.err
    assert "goes on after" in result.out
    assert rows_of(Path("scores"))["id"].to_list() == list(range(len(frame)))
    assert {path.name for path in Path("scores").iterdir() if path.name.startswith(".")} == set()


def test_mistakes_are_told_before_anything_is_scored(many: Bench):
    refused(many(*BATCH, "output=scores"), "needs input", "input=FILE")
    refused(many(*BATCH, "input=many.csv"), "needs output", "output=FOLDER")
    refused(many(*BATCH, "input=absent.csv", "output=scores"), "no such file", "absent.csv")
    refused(many(*BATCH, "input=my.xlsx", "output=scores"), "no such file")
    many.write(b"no table", "my.xlsx")
    refused(many(*BATCH, "input=my.xlsx", "output=scores"), ".xlsx", ".parquet")
    refused(many(*BATCH, "input=sqlite:///many.db", "output=scores"), "deployer.query", "deployer.key")
    refused(many(*BATCH, "input=many.csv", "output=my.csv"), "The output is a file")
    refused(many(*BATCH, "input=many.csv", "output=scores", "deployer.keep=[agee]"), "agee", "did you mean 'age'")
    refused(many(*BATCH, "input=many.csv", "output=scores", "deployer.rows=0"), "deployer.rows")
    wrong = ("input=sqlite:///many.db", "deployer.query=customers", "output=other")
    refused(many(*BATCH, *wrong, "deployer.key=agee"), "deployer.key")
    refused(many(*BATCH, *wrong, "deployer.key=age"), "orders the rows")
    assert not list(Path("scores").glob("part-*"))


def test_rows_that_do_not_fit_stop_the_run_with_their_number(many: Bench):
    lines = make_csv(50).splitlines()
    lines[31] = "old,1000,rome,yes"
    many.write("\n".join(lines) + "\n", "odd.csv")
    result = many(*BATCH, "input=odd.csv", "output=scores", "deployer.rows=10")
    refused(result, "'age'", "row 30", "'old'")
    assert manifest_of(Path("scores"))["rows"] == 30
    assert manifest_of(Path("scores"))["finished"] is None


def test_another_input_never_goes_into_the_same_output(many: Bench):
    assert many(*BATCH, "input=many.csv", "output=scores").code == 0
    refused(many(*BATCH, "input=many.parquet", "output=scores"), "another job", "input", "many.parquet")
    many.write(make_csv(1001, seed=1), "many.csv")
    refused(many(*BATCH, "input=many.csv", "output=scores"), "another job", "fingerprint")
    Path("scores/part-000000.parquet").write_bytes(b"")
    many.write(make_csv(1000, seed=1), "many.csv")
    refused(many(*BATCH, "input=my.csv", "output=."), "holds other files")
