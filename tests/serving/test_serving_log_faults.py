"""Writers that are really killed, and disks that are really full: what was on the disk is there, once and whole."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from mlframe.store import Store
from mlframe.store.predictions import scan_predictions, verify

PROCESS = Path(__file__).with_name("log_process.py")


def start(*words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    command = [sys.executable, str(PROCESS), *words]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def rows_by_caller(store: Store) -> dict[str, list[int]]:
    found = scan_predictions(store, "shop").select("caller", "age").collect()
    return {caller: sorted(ages) for caller, ages in found.group_by("caller").agg("age").iter_rows()}


def last_ack(folder: Path, writer: str) -> int:
    file = folder / f"acks-{writer}"
    lines = file.read_text().splitlines() if file.exists() else []
    return int(lines[-1]) if lines else 0


def test_killed_writers_lose_what_was_not_flushed_and_nothing_else(tmp_path: Path):
    """One is killed and started again, while another lives beside it and is killed in the end."""
    chance = random.Random(11)
    with Store.open(str(tmp_path)) as store:
        neighbour = start("forever", str(tmp_path), "other", "0")
        writers = ["other-0"]
        for turn in range(6):
            writer = f"w-{turn}"
            process = start("forever", str(tmp_path), "w", str(turn))
            deadline = time.monotonic() + 60
            while last_ack(tmp_path, writer) == 0:
                assert process.poll() is None, process.communicate()[1]
                assert time.monotonic() < deadline
                time.sleep(0.01)
            time.sleep(chance.uniform(0.0, 0.5))
            process.kill()
            process.communicate()
            writers.append(writer)
            if turn % 2:
                assert neighbour.poll() is None
                rows = rows_by_caller(store)  # a reader, before anybody took the orphan over
                assert rows[writer] == list(range(len(rows[writer])))
        neighbour.kill()
        neighbour.communicate()
        rows = rows_by_caller(store)
        assert sorted(rows) == sorted(writers)
        for writer in writers:
            assert rows[writer] == list(range(len(rows[writer])))  # in order, none twice, none missing between
            assert len(rows[writer]) >= last_ack(tmp_path, writer) > 0
        found = verify(store, "predictions", "shop")
        assert (found.damaged, found.doubled) == ([], 0)
        assert found.segments > 10
        assert found.rows == sum(map(len, rows.values()))


def test_a_writer_may_die_before_any_call_and_inside_any_write(tmp_path: Path):
    done = finish(start("points", str(tmp_path)))
    assert done["code"] == 0
    assert done["points"] > 25
    acknowledged = (tmp_path / "acks").read_text().split()
    assert len(acknowledged) > 10
    with Store.open(str(tmp_path)) as store:
        rows = rows_by_caller(store)
        for part in acknowledged:
            assert rows[part] == [0, 1, 2]
        assert all(found == [0, 1, 2] for found in rows.values())  # a batch is there whole, or not at all
        assert len(rows) > len(acknowledged)
        found = verify(store, "predictions", "shop")
        assert (found.damaged, found.doubled, found.streams) == ([], 0, 0)
        assert list((tmp_path / "predictions/shop/open").iterdir()) == []
        assert list((tmp_path / "predictions/shop").rglob("*.partial")) == []


def check_full(tmp_path: Path, told: dict, words: str) -> None:
    assert words in told["error"]
    assert told["error_then"] is None
    assert told["lost"] >= 500
    assert told["lost_then"] + len(told["accepted"]) == told["asked"]
    with Store.open(str(tmp_path), create=False) as store:
        found = scan_predictions(store, "shop").select("age").collect()["age"]
        assert sorted(found.to_list()) == told["accepted"]
        assert verify(store, "predictions", "shop").damaged == []


def test_a_file_that_may_not_grow_costs_rows_that_are_counted_and_no_others(tmp_path: Path):
    Store.open(str(tmp_path)).close()
    check_full(tmp_path, finish(start("full", str(tmp_path))), "File too large")


def test_a_full_disk_costs_rows_that_are_counted_and_no_others(tmp_path: Path):
    """On a small file system of its own, where we may make one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if os.getuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small file system")
    try:
        Store.open(str(place)).close()
        ballast = place / "ballast"
        ballast.write_bytes(bytes(600_000))
        check_full(place, finish(start("full", str(place), str(ballast))), "No space left")
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_the_search_for_rows_sees_them(tmp_path: Path):
    """The checks above would notice a row too many: the same segment twice under two names."""
    with Store.open(str(tmp_path)) as store:
        finish(start("full", str(tmp_path)))
        segment = next((tmp_path / "predictions/shop").rglob("*.parquet"))
        pl.read_parquet(segment).write_parquet(segment.with_name(segment.name.replace("-w-", "-v-")))
        found = verify(store, "predictions", "shop")
        assert found.doubled * 2 == found.rows
