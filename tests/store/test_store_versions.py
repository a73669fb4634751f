"""Versions, aliases and their log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_place import Place

from mlframe.errors import BundleError, ConfigError, StoreError, UnknownNameError
from mlframe.store import Store
from mlframe.store.bundle import write_manifest


def bundle(tmp_path: Path, text: str = "tree") -> Path:
    folder = tmp_path / "bundles" / text
    if not folder.exists():
        (folder / "model").mkdir(parents=True)
        (folder / "model" / "trees.txt").write_text(text)
        write_manifest(folder, name="email", run_id="r", files=["model/trees.txt"], extra={})
    return folder


def register(store: Store, tmp_path: Path, count: int, name: str = "email") -> list[str]:
    return [
        store.register(name, bundle(tmp_path, f"tree {i}"), run_id=f"r{i}", figures={"auc": i / 10}, facts={"rows": i})
        for i in range(count)
    ]


def promote(store: Store, reference: str, **more: Any) -> dict[str, Any]:
    return store.promote(reference, who="ada", why="better", evidence={"auc": 0.9}, **more)


def test_numbers_go_up_for_each_name(store: Store, tmp_path: Path):
    assert register(store, tmp_path, 3) == ["email/1", "email/2", "email/3"]
    assert register(store, tmp_path, 1, name="churn") == ["churn/1"]
    assert [item["reference"] for item in store.versions()] == ["churn/1", "email/1", "email/2", "email/3"]
    second = store.versions("email")[1]
    assert (second["number"], second["run_id"], second["figures"], second["facts"]) == (
        2,
        "r1",
        {"auc": 0.1},
        {"rows": 1},
    )
    assert second["aliases"] == []


def test_a_version_has_three_names(store: Store, tmp_path: Path):
    register(store, tmp_path, 3)
    promote(store, "email/2")
    promote(store, "email/3", alias="staging")
    assert store.version("email")["reference"] == "email/2"
    assert store.version("email@champion")["aliases"] == ["champion"]
    assert store.version("email@staging")["number"] == 3
    assert set(store.version("email/1")["files"]) == {"manifest.json", "model/trees.txt"}


def test_without_a_champion_the_text_says_how_to_promote(store: Store, tmp_path: Path):
    register(store, tmp_path, 2)
    for act in (store.version, store.open_bundle):
        with pytest.raises(UnknownNameError) as caught:
            act("email")
        assert "mlframe promote email/2" in str(caught.value)
        assert "email/2, email/1" in str(caught.value)


def test_unknown_names_are_refused_with_what_there_is(store: Store, tmp_path: Path):
    with pytest.raises(UnknownNameError, match="train a model first"):
        store.version("email")
    register(store, tmp_path, 2)
    promote(store, "email/1")
    with pytest.raises(UnknownNameError, match="did you mean 'email'"):
        store.version("emial/1")
    with pytest.raises(UnknownNameError, match="the versions are: email/2, email/1"):
        store.version("email/7")
    with pytest.raises(UnknownNameError, match="did you mean email@champion"):
        store.version("email@champoin")
    for odd in ("", "email/x", "email@", "a/b/c", "email/1@champion"):
        with pytest.raises(UnknownNameError, match="does not name a version"):
            store.version(odd)
    with pytest.raises(UnknownNameError, match="no model 'churn'"):
        store.versions("churn")
    with pytest.raises(UnknownNameError, match="no model 'churn'"):
        store.history("churn")
    with pytest.raises(UnknownNameError, match="no model 'churn'"):
        store.rollback("churn", who="a", why="b")


@pytest.mark.parametrize("name", ["", "a/b", "a@b", "../a", "a b", ".a"])
def test_a_name_that_cannot_be_referred_to_is_refused(store: Store, tmp_path: Path, name: str):
    with pytest.raises(ConfigError, match="cannot be the name of a model"):
        store.register(name, bundle(tmp_path), run_id="r", figures={}, facts={})


def test_an_opened_bundle_is_what_was_registered(store: Store, tmp_path: Path):
    register(store, tmp_path, 1)
    (bundle(tmp_path, "tree 0") / "model" / "trees.txt").write_text("changed later")
    folder = store.open_bundle("email/1")
    assert (folder / "model" / "trees.txt").read_text() == "tree 0"
    assert store.open_bundle("email/1") == folder


def test_a_changed_byte_is_refused_by_file_and_digest(store: Store, tmp_path: Path):
    register(store, tmp_path, 1)
    file = store.open_bundle("email/1") / "model" / "trees.txt"
    expected = store.version("email/1")["files"]["model/trees.txt"]["sha256"]
    file.chmod(0o644)
    file.write_text("tree 1")
    with pytest.raises(BundleError, match=r"model/trees\.txt") as caught:
        store.open_bundle("email/1")
    assert expected in str(caught.value)
    assert "found" in str(caught.value)


def test_a_missing_object_is_refused_and_healed_by_registering_again(store: Store, tmp_path: Path):
    register(store, tmp_path, 1)
    digest = store.version("email/1")["files"]["model/trees.txt"]["sha256"]
    (store.folder / "objects" / digest[:2] / digest).unlink()
    with pytest.raises(BundleError, match="found no file"):
        store.open_bundle("email/1")
    assert register(store, tmp_path, 1) == ["email/2"]
    assert (store.open_bundle("email/1") / "model" / "trees.txt").read_text() == "tree 0"


def test_a_bundle_that_is_not_its_manifest_gets_no_number(store: Store, tmp_path: Path):
    (bundle(tmp_path) / "model" / "trees.txt").write_text("Tree")
    with pytest.raises(BundleError, match="has been changed"):
        store.register("email", bundle(tmp_path), run_id="r", figures={}, facts={})
    assert store.versions() == []


def test_the_log_keeps_who_when_why_and_evidence(store: Store, tmp_path: Path):
    register(store, tmp_path, 2)
    first = promote(store, "email/1")
    assert (first["from"], first["to"], first["action"]) == (None, "email/1", "promote")
    promote(store, "email/2")
    back = store.rollback("email", who="bob", why="complaints")
    assert (back["from"], back["to"], back["action"]) == ("email/2", "email/1", "rollback")
    history = store.history("email")
    assert [(item["who"], item["why"], item["to"]) for item in history] == [
        ("ada", "better", "email/1"),
        ("ada", "better", "email/2"),
        ("bob", "complaints", "email/1"),
    ]
    assert history[0]["evidence"] == {"auc": 0.9}
    assert history[0] == first
    assert [item["when"] for item in history] == sorted(item["when"] for item in history)


def test_rollback_goes_further_back_each_time(store: Store, tmp_path: Path):
    register(store, tmp_path, 4)
    for number in (1, 2, 3):
        promote(store, f"email/{number}")
    promote(store, "email/3")  # once more: nothing to go back over
    assert store.rollback("email", who="a", why="b")["to"] == "email/2"
    promote(store, "email/4")
    assert store.rollback("email", who="a", why="b")["to"] == "email/2"
    assert store.rollback("email", who="a", why="b")["to"] == "email/1"
    with pytest.raises(StoreError, match="nothing before email/1"):
        store.rollback("email", who="a", why="b")
    assert store.version("email")["number"] == 1


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(st.integers(0, 3), max_size=12))
def test_the_alias_follows_a_stack(place: Place, tmp_path_factory: pytest.TempPathFactory, moves: list[int]):
    tmp_path = tmp_path_factory.mktemp("stack")
    with place.open(tmp_path.name) as store:
        register(store, tmp_path, 3)
        stack: list[int] = []
        for move in moves:
            if move:
                promote(store, f"email/{move}")
                if stack[-1:] != [move]:
                    stack.append(move)
            elif len(stack) > 1:
                stack.pop()
                assert store.rollback("email", who="a", why="b")["to"] == f"email/{stack[-1]}"
            else:
                with pytest.raises((StoreError, UnknownNameError)):
                    store.rollback("email", who="a", why="b")
            if stack:
                assert store.version("email")["number"] == stack[-1]


def test_a_promotion_that_expects_something_else_moves_nothing(store: Store, tmp_path: Path):
    register(store, tmp_path, 2)
    promote(store, "email/1", expected=None)
    with pytest.raises(StoreError, match="points at email/1, not at nothing"):
        promote(store, "email/2", expected=None)
    promote(store, "email/2", expected="email/1")
    assert len(store.history("email")) == 2
