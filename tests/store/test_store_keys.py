"""Keys are kept as digests, opened by scope, and gone when revoked."""

from __future__ import annotations

import hashlib

import pytest

from mlframe.errors import ConfigError, UnknownNameError
from mlframe.store import Store
from mlframe.store.keys import key_digest


def test_a_key_opens_its_scopes_until_it_is_revoked(store: Store) -> None:
    key, record = store.create_key("web shop", ["feedback", "predict", "predict"], who="ada")
    other, _ = store.create_key("page", ["admin"], who="ada")
    assert record["scopes"] == ["predict", "feedback"]
    table = store.key_table()
    assert table[key_digest(key)] == (record["id"], frozenset({"predict", "feedback"}))
    assert table[hashlib.sha256(other.encode()).hexdigest()][1] == {"admin"}
    assert key_digest(key[:-1]) not in table
    assert key_digest("\ud800") not in table  # what a client sends need not be text

    gone = store.revoke_key(record["id"])
    assert set(store.key_table()) == {key_digest(other)}
    assert store.revoke_key(record["id"]) == gone
    assert [(item["name"], item["who"], bool(item["revoked"])) for item in store.api_keys()] == [
        ("web shop", "ada", True),
        ("page", "ada", False),
    ]


def test_a_key_is_revoked_by_itself_and_never_repeated(store: Store) -> None:
    key, record = store.create_key("web shop", ["predict"], who="ada")
    forged = key[:-4] + ("0000" if key[-4:] != "0000" else "1111")
    with pytest.raises(UnknownNameError) as refused:
        store.revoke_key(forged)
    assert forged not in str(refused.value)
    assert store.key_table()
    assert store.revoke_key(key)["id"] == record["id"]
    assert store.key_table() == {}


@pytest.mark.parametrize(
    ("name", "scopes", "error"),
    [
        (" ", ["predict"], ConfigError),
        ("a\nb", ["predict"], ConfigError),
        ("x" * 81, ["predict"], ConfigError),
        ("shop", [], ConfigError),
        ("shop", ["predct"], UnknownNameError),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(store: Store, name: str, scopes: list[str], error: type) -> None:
    with pytest.raises(error):
        store.create_key(name, scopes, who="ada")
    assert store.api_keys() == []
