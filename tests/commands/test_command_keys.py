"""Keys from the command line: made, listed, revoked, and nowhere to be found."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from mlframe.store import Store


def test_a_key_is_shown_once_and_is_nowhere_in_the_store(run_cli):
    made = run_cli("keys", "create", "web shop", "--scope", "predict", "--scope", "feedback")
    assert made.code == 0, made.err
    key = made.out.strip()
    found = re.fullmatch(r"mlf_([0-9a-f]{8})_([0-9a-f]{48})", key)
    assert found, made.out
    key_id, secret = found.groups()
    assert secret not in made.err
    listed = run_cli("keys", "list")
    assert listed.code == 0
    assert key_id in listed.out
    assert "web shop" in listed.out
    assert "predict, feedback" in listed.out
    assert secret not in listed.out
    gone = run_cli("keys", "revoke", key)
    assert gone.code == 0
    assert f"key {key_id} (web shop) opens nothing since" in gone.out
    assert secret not in gone.out + gone.err
    with Store.open(".mlframe", create=False) as store:
        assert store.key_table() == {}
    sqlite3.connect(".mlframe/mlframe.db").execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
    files = [path for path in Path.cwd().rglob("*") if path.is_file()]
    assert any(path.name == "mlframe.db" for path in files)
    assert [path for path in files if secret.encode() in path.read_bytes()] == []
    assert any(key_id.encode() in path.read_bytes() for path in files)  # the search above could find it


def test_mistakes_are_told(run_cli):
    assert run_cli("keys", "create", "shop", "--scope", "predct").code == 2
    wrong = run_cli("keys", "create", "shop", "--scope", "predct")
    assert "did you mean 'predict'?" in wrong.err
    none = run_cli("keys", "create", "shop")
    assert none.code == 2
    assert "A key without a scope opens nothing" in none.err
    unknown = run_cli("keys", "revoke", "beef")
    assert unknown.code == 2
    assert "There is no key 'beef'" in unknown.err
    secret = f"mlf_{'0' * 8}_{'1' * 48}"
    leaked = run_cli("keys", "revoke", secret)
    assert leaked.code == 2
    assert "1" * 48 not in leaked.err
    assert run_cli("keys", "list").out.startswith("no keys here yet")
    for words in (["keys"], ["keys", "make"]):
        assert run_cli(*words).code == 2


def test_without_a_store_there_are_no_keys(run_cli):
    done = run_cli("keys", "list")
    assert done.code == 2
    assert "There is no store here" in done.err
