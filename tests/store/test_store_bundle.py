"""Bundles: what is not exactly what the manifest says is refused before it is parsed."""

from __future__ import annotations

import gc
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from mlframe.errors import BundleError
from mlframe.store.bundle import dump_skops, kept_skops, load_skops, read_manifest, write_manifest


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "trees.txt").write_text("tree")
    (folder / "schema.json").write_text("{}")
    write_manifest(
        folder, name="email", run_id="r1", files=["model/trees.txt", "schema.json"], extra={"task": "binary"}
    )
    return folder


def rewrite(bundle: Path, **changes: object) -> None:
    path = bundle / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_manifest_says_what_is_in_the_folder(bundle: Path):
    manifest = read_manifest(bundle)
    assert manifest["format"] == 1
    assert (manifest["name"], manifest["run_id"], manifest["task"]) == ("email", "r1", "binary")
    assert list(manifest["files"]) == ["model/trees.txt", "schema.json"]
    assert manifest["files"]["schema.json"]["size"] == 2


def test_a_changed_byte_names_the_file_and_both_digests(bundle: Path):
    before = read_manifest(bundle)["files"]["model/trees.txt"]["sha256"]
    (bundle / "model" / "trees.txt").write_text("tref")
    with pytest.raises(BundleError, match=r"'model/trees\.txt'") as caught:
        read_manifest(bundle)
    assert before in str(caught.value)
    assert str(caught.value).count(" bytes)") == 2


def test_an_unknown_format_is_refused(bundle: Path):
    rewrite(bundle, format=2)
    with pytest.raises(BundleError, match="format 2, this mlframe reads format 1"):
        read_manifest(bundle)


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret", "a/../../b", "C:/x", "a\\..\\b", "", "a//b", "./a"])
def test_a_file_outside_the_bundle_is_refused(bundle: Path, name: str):
    rewrite(bundle, files={name: {"sha256": "0" * 64, "size": 1}})
    with pytest.raises(BundleError, match="does not lie inside"):
        read_manifest(bundle)


def test_a_file_that_is_not_listed_or_not_there_is_refused(bundle: Path):
    (bundle / "extra.txt").write_text("x")
    with pytest.raises(BundleError, match=r"not in the manifest: extra\.txt"):
        read_manifest(bundle)
    (bundle / "extra.txt").unlink()
    (bundle / "schema.json").unlink()
    with pytest.raises(BundleError, match=r"missing: schema\.json"):
        read_manifest(bundle)


def test_links_are_refused(bundle: Path, tmp_path: Path):
    (tmp_path / "outside").write_text("{}")
    (bundle / "schema.json").unlink()
    (bundle / "schema.json").symlink_to(tmp_path / "outside")
    with pytest.raises(BundleError, match=r"'schema\.json'.*link"):
        read_manifest(bundle)


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "model.pkl.gz", "MODEL.PICKLE", "weights.bin"])
def test_pickles_are_refused_by_name_and_by_content(bundle: Path, name: str):
    (bundle / name).write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(BundleError, match="pickle"):
        write_manifest(bundle, name="e", run_id="r", files=["model/trees.txt", "schema.json", name], extra={})
    with pytest.raises(BundleError, match="pickle"):
        read_manifest(bundle)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"format": 1}', '{"format": 1, "files": {"a": 1}}', "null", "[" * 99999]
)
def test_a_manifest_that_is_none_is_refused(bundle: Path, text: str):
    (bundle / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match="manifest"):
        read_manifest(bundle)


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path):
    with pytest.raises(BundleError, match="no bundle"):
        read_manifest(tmp_path)


def fitted() -> object:
    x = np.random.default_rng(1).normal(size=(50, 3))
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(x, np.arange(50) % 2)


def test_an_estimator_comes_back_and_gives_equal_bytes(tmp_path: Path):
    value = {
        "model": fitted(),
        "vocabulary": {"file": 1, "__id__": 2, "ä": [1, 2.5, None]},
        "text": b"bytes",
        "words": np.array(["a", None], dtype=object),
        "sparse": sp.eye(4, format="csr"),
    }
    dump_skops(value, tmp_path / "a.skops")
    dump_skops({**value, "model": fitted(), "sparse": sp.eye(4, format="csr")}, tmp_path / "b.skops")
    assert (tmp_path / "a.skops").read_bytes() == (tmp_path / "b.skops").read_bytes()
    loaded = load_skops(tmp_path / "a.skops", {"scipy.sparse._csr.csr_matrix"})
    x = np.random.default_rng(2).normal(size=(9, 3))
    np.testing.assert_array_equal(loaded["model"].predict_proba(x), value["model"].predict_proba(x))
    assert loaded["vocabulary"] == value["vocabulary"]
    assert loaded["text"] == b"bytes"
    assert (loaded["sparse"] != value["sparse"]).nnz == 0


def test_one_object_named_twice_stays_one(tmp_path: Path):
    shared = StandardScaler().fit(np.eye(3))
    dump_skops([shared, shared, np.arange(3)], tmp_path / "a.skops")
    first, second, _ = load_skops(tmp_path / "a.skops", set())
    assert first is second


def test_the_clock_does_not_change_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import time

    dump_skops(sp.eye(3, format="csr"), tmp_path / "a.skops")
    later = time.localtime(time.time() + 10**7)
    monkeypatch.setattr(time, "localtime", lambda *args: later)
    dump_skops(sp.eye(3, format="csr"), tmp_path / "b.skops")
    assert (tmp_path / "a.skops").read_bytes() == (tmp_path / "b.skops").read_bytes()


def helper(x: object) -> object:
    return x


def test_types_that_nobody_vouches_for_are_listed(tmp_path: Path):
    dump_skops(FunctionTransformer(helper), tmp_path / "a.skops")
    name = f"{__name__}.helper"
    with pytest.raises(BundleError, match="no installed plugin vouches for") as caught:
        load_skops(tmp_path / "a.skops", set())
    assert name in str(caught.value)
    assert "install the plugin" in str(caught.value)
    assert load_skops(tmp_path / "a.skops", {name}).func is helper


def test_what_skops_cannot_say_is_refused_when_saving(tmp_path: Path):
    with pytest.raises(BundleError, match="without pickle"):
        dump_skops({"made": (item for item in [1])}, tmp_path / "a.skops")
    assert not (tmp_path / "a.skops").exists()


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path):
    path = tmp_path / "a.skops"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("schema.json", bytes(200 << 20))
    with pytest.raises(BundleError, match="would unpack"):
        load_skops(path, set())


@pytest.mark.parametrize("harm", ["cut", "text", "schema", "inner"])
def test_a_damaged_file_is_refused(tmp_path: Path, harm: str):
    path = tmp_path / "a.skops"
    dump_skops(fitted(), path)
    data = path.read_bytes()
    if harm == "cut":
        path.write_bytes(data[:-30])
    elif harm == "text":
        path.write_text("not a zip")
    elif harm == "inner":
        at = data.index(b"\x93NUMPY") + 130
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    else:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("schema.json", '{"protocol": 999}')
    with pytest.raises(BundleError, match=r"damaged|cannot be read"):
        load_skops(path, set())


def test_what_is_kept_is_what_is_saved_and_goes_with_its_object(tmp_path: Path) -> None:
    model, other = fitted(), StandardScaler()
    dump_skops(model, tmp_path / "a.skops")
    assert kept_skops(model) == (tmp_path / "a.skops").read_bytes()
    assert kept_skops(model) is kept_skops(model)
    assert kept_skops(other) != kept_skops(model)
    del other
    gc.collect()
    assert kept_skops(model) == kept_skops(fitted())
