"""Versions go from store to store whole, and what is not exactly what was exported is refused before anything runs."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import parcels
import pytest
import servers

from mlframe.errors import BundleError
from mlframe.registry import Registry
from mlframe.store import Store
from mlframe.testing.plugin import CliResult

Shop = Callable[..., CliResult]
SKOPS = "bundle/pipeline/estimator_0.skops"
OTHER = "store.root=other"
BESIDE = ["learned_rows.npz", "sample.arrow", "trained_rows.npy"]


@pytest.fixture
def parcel(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give shop/2, exported to `parcel` in the working directory."""
    done = shop("export", "shop/2", "parcel")
    assert done.code == 0, done.err
    return Path("parcel")


def refused(result: CliResult, *words: str) -> None:
    assert result.code == 2, result.out + result.err
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err
    assert not Path(parcels.MARKER).exists()
    assert not Path("other/mlframe.db").exists()  # refused before a store was even made


# ------------------------------------------------------------------------------------------------------ sound ones


def test_a_version_comes_through_with_its_figures_and_origin(shop: Shop, parcel: Path):
    done = shop("import", "parcel", OTHER)
    assert done.code == 0, done.err
    assert "shop/1  (it was shop/2 of " in done.out
    assert "examples as where it was made" in done.out
    assert "warning" not in done.out
    with Store.open(".mlframe") as here, Store.open("other") as there:
        ours, theirs = here.version("shop/2"), there.version("shop/1")
        assert ours["files"] == theirs["files"]
        assert ours["figures"] == theirs["figures"]
        origin = theirs["facts"].pop("imported")
        assert ours["facts"] == theirs["facts"]
        assert origin["reference"] == "shop/2"
        assert origin["from"].endswith(".mlframe/mlframe.db")
        assert list(here.beside("shop/2")) == list(there.beside("shop/1")) == BESIDE
    shown = shop("show", "shop/1", OTHER)
    assert shown.code == 0, shown.err
    assert "(not in this store)" in shown.out
    assert "shop/2 of sqlite" in shown.out
    same = shop("compare", "shop/1", "shop/1", OTHER)
    assert same.code == 0, same.err
    assert "metrics: equal" in same.out


def test_an_imported_champion_predicts_the_same_and_can_be_challenged(shop: Shop, parcel: Path):
    assert shop("import", "parcel", OTHER).code == 0
    assert shop("promote", "shop/1", OTHER).code == 0
    for root, output in ((OTHER, "there.csv"), ("store.root=.mlframe", "here.csv")):
        version = "shop/1" if root == OTHER else "shop/2"
        words = ("data=csv", "name=shop", "input=my.csv", f"output={output}", f"version={version}", "trackers=[]")
        scored = shop("predict", *words, root)
        assert scored.code == 0, scored.err
    there, here = (Path(name).read_text().replace("shop/1", "shop/2") for name in ("there.csv", "here.csv"))
    assert there == here
    from shop_bench import QUICK, TABLE

    trained = shop(*TABLE, *QUICK, "model=dummy", OTHER, "seed=3", "splitter.holdout=0.5")
    assert trained.code == 0, trained.err
    with Store.open("other") as store:
        checks = store.runs(limit=1)[0]["summary"]["gate"]["checks"]
    check = next(item for item in checks if item["name"] == "no worse than shop/1")
    assert check["passed"] is False
    assert "holdout rows that are new to it" in check["evidence"]


def test_from_sqlite_to_a_teams_store_and_back(
    shop: Shop, parcel: Path, postgres: servers.Postgres, s3_server: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    for name, value in {**s3_server, "MLFRAME_CACHE": str(Path("cache").absolute())}.items():
        monkeypatch.setenv(name, value)
    with postgres.schema() as url:
        team = (f"store.root=s3://import-{os.getpid()}/team", f"store.url={url}")
        done = shop("import", "parcel", *team)
        assert done.code == 0, done.err
        assert shop("promote", "shop/1", *team).code == 0
        assert "shop@champion" in shop("show", "shop@champion", *team).out
        assert shop("export", "shop@champion", "back", *team).code == 0
        assert shop("gc", *team).code == 0
    again = shop("import", "back")
    refused_here = "This bundle is in the store already: it is shop/2"
    assert again.code == 2
    assert refused_here in again.err
    assert shop("import", "back", "--name", "shop_copy").code == 0


def test_the_same_bundle_twice_and_another_question_are_refused(shop: Shop, parcel: Path):
    again = shop("import", "parcel")
    assert again.code == 2
    assert "it is shop/2" in again.err
    assert "--name" in again.err
    with Store.open("other") as store:
        bundle = Path("regression")
        bundle.mkdir()
        from mlframe.store.bundle import write_manifest

        learning = {"task": "regression", "target": "price", "classes": [], "values": []}
        write_manifest(bundle, name="shop", run_id="r", files=[], extra={"learning": learning})
        store.register("shop", bundle, run_id="r", figures={}, facts={})
    other = shop("import", "parcel", OTHER)
    assert other.code == 2
    assert "learned something else" in other.err
    assert "'regression' there, 'binary' in the bundle" in other.err
    assert shop("import", "parcel", OTHER, "--name", "shop_of_anna").code == 0
    assert shop("import", "parcel", OTHER, "--name", "no/name").code == 2


def test_a_bundle_alone_comes_through_with_what_it_says_itself(shop: Shop, parcel: Path):
    done = shop("import", "parcel/bundle", OTHER, "--number", "7")
    assert done.code == 0, done.err
    assert "shop/7  (it was shop of " in done.out
    with Store.open(".mlframe") as here, Store.open("other") as there:
        ours, theirs = here.version("shop/2"), there.version("shop/7")
        assert [theirs[key] for key in ("run_id", "figures")] == [ours[key] for key in ("run_id", "figures")]
        assert [theirs["facts"][key] for key in ("passed", "data")] == [
            ours["facts"][key] for key in ("passed", "data")
        ]
        assert there.beside("shop/7") == {}
    assert shop("promote", "shop/7", OTHER).code == 0
    assert "shop/7" in shop("show", "shop@champion", OTHER).out


def test_numbers_only_rise(shop: Shop, parcel: Path):
    assert shop("import", "parcel", OTHER, "--number", "7").code == 0
    exported = shop("export", "shop/1", "older")
    assert exported.code == 0
    for number in ("7", "3", "0", "-1"):
        taken = shop("import", "older", OTHER, "--number", number)
        assert taken.code == 2
        assert "has had 7 of them" in taken.err
    assert "shop/8 " in shop("import", "older", OTHER).out


def test_a_changed_bundle_alone_is_refused(shop: Shop, parcel: Path):
    path = parcel / SKOPS
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    refused(shop("import", "parcel/bundle", OTHER), "estimator_0.skops")


def test_nothing_is_exported_over_something(shop: Shop, parcel: Path):
    full = shop("export", "shop/1", "parcel")
    assert full.code == 2
    assert "not empty" in full.err
    Path("file").write_text("x")
    assert shop("export", "shop/1", "file").code == 2
    unknown = shop("export", "shop/9", "new")
    assert unknown.code == 2
    assert not Path("new").exists()
    assert [path.name for path in Path().iterdir() if path.name.startswith(".new")] == []


def _importer(root: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mlframe", "import", "parcel", root]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_imports_at_once_give_one_version(shop: Shop, parcel: Path):
    Store.open("other").close()
    both = [_importer(OTHER) for _ in range(2)]
    ended = [(process, *process.communicate(timeout=120)) for process in both]
    assert sorted(process.returncode for process, *_ in ended) == [0, 2], ended
    with Store.open("other") as store:
        assert [version["reference"] for version in store.versions()] == ["shop/1"]


# ------------------------------------------------------------------------------------------- environment, warned of


def test_other_library_versions_are_told_exactly(shop: Shop, parcel: Path):
    import sklearn

    manifest = json.loads((parcel / "bundle/manifest.json").read_text())
    plugins = [{**item, "version": "0.24.2"} if item["package"] == "sklearn" else item for item in manifest["plugins"]]
    parcels.change(parcel / "bundle/manifest.json", plugins=plugins)
    parcels.seal_record(parcel)
    done = shop("import", "parcel", OTHER)
    assert done.code == 0, done.err
    told = f"sklearn is {sklearn.__version__} here, the model was made with 0.24.2"
    assert f"warning: {told}" in done.out
    words = ("data=csv", "name=shop", "input=my.csv", "output=out.csv", "version=shop/1", "trackers=[]")
    assert told in shop("predict", *words, OTHER).out
    assert "differs" in shop("show", "shop/1", OTHER).out


def test_a_missing_plugin_is_named(shop: Shop, parcel: Path):
    manifest = json.loads((parcel / "bundle/manifest.json").read_text())
    plugins = [*manifest["plugins"], {"package": "mlframe-ghost", "version": "3.1"}]
    parcels.change(parcel / "bundle/manifest.json", plugins=plugins)
    parcels.seal_record(parcel)
    refused(shop("import", "parcel", OTHER), "mlframe-ghost 3.1", "pip install 'mlframe-ghost==3.1'")


def test_a_bundle_that_predicts_something_else_here_is_refused(shop: Shop, parcel: Path):
    import polars as pl

    path = parcel / "bundle/expected.arrow"
    frame = pl.read_ipc(path)
    frame.with_columns(p_yes=pl.when(pl.int_range(pl.len()) == 7).then(0.123).otherwise("p_yes")).write_ipc(path)
    parcels.seal(parcel)
    refused(shop("import", "parcel", OTHER), "does not predict here", "p_yes of example 7", "it was 0.123")


# ----------------------------------------------------------------------------------------------------- damaged ones


def test_a_changed_byte_is_named_with_both_digests(shop: Shop, parcel: Path):
    for file in (SKOPS, "bundle/expected.arrow", "bundle/manifest.json", "beside/trained_rows.npy"):
        path = parcel / file
        data = path.read_bytes()
        path.write_bytes(data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])
        before = parcels.digest(path)
        refused(shop("import", "parcel", OTHER), Path(file).name, before)
        path.write_bytes(data)
    assert shop("import", "parcel", OTHER).code == 0


@pytest.mark.parametrize("harm", ["extra", "missing", "beside", "top", "none", "empty", "format", "text", "deep"])
def test_a_folder_that_is_not_what_was_exported_is_refused(shop: Shop, parcel: Path, harm: str):
    if harm == "extra":
        (parcel / "bundle/more.txt").write_text("x")
    elif harm == "missing":
        (parcel / SKOPS).unlink()
    elif harm == "beside":
        (parcel / "beside/more.npy").write_text("x")
    elif harm == "top":
        (parcel / "sitecustomize.py").write_text("x")
    elif harm == "none":
        shutil.rmtree(parcel)
    elif harm == "empty":
        (parcel / "version.json").unlink()
    elif harm == "format":
        parcels.change(parcel / "version.json", format=2)
    elif harm == "text":
        (parcel / "version.json").write_text("no JSON")
    else:
        (parcel / "version.json").write_text("[" * 100_000)
    refused(shop("import", "parcel", OTHER))


# --------------------------------------------------------------------------------------------------- malicious ones


def test_pickles_are_refused_whatever_they_are_called(shop: Shop, parcel: Path):
    for name in ("bundle/model.pkl", "bundle/model.joblib", "bundle/pipeline/estimator_0.native", SKOPS):
        before = (parcel / name).read_bytes() if (parcel / name).exists() else None
        (parcel / name).write_bytes(parcels.pickled())
        parcels.seal(parcel)
        refused(shop("import", "parcel", OTHER), "pickle", Path(name).name)
        (parcel / name).unlink()
        if before:
            (parcel / name).write_bytes(before)


@pytest.mark.parametrize(
    "name", ["../../evil.txt", "/etc/passwd", "a/../../b", "..\\evil", "C:/evil", "beside/../../x", "a//b", "\0"]
)
def test_paths_that_leave_the_folder_are_refused(shop: Shop, parcel: Path, name: str):
    manifest = json.loads((parcel / "bundle/manifest.json").read_text())
    files = {**manifest["files"], name: {"size": 1, "sha256": "0" * 64}}
    parcels.change(parcel / "bundle/manifest.json", files=files)
    parcels.seal_record(parcel)
    refused(shop("import", "parcel", OTHER), "does not lie inside")


def test_a_path_in_the_pipelines_record_is_refused(shop: Shop, parcel: Path):
    outside = Path("outside.skops").absolute()
    shutil.copy(parcel / "bundle/pipeline/featurizer_0.skops", outside)
    record = json.loads((parcel / "bundle/pipeline/pipeline.json").read_text())
    record["members"][0]["featurizer"] = f"x/../../../../../../../../../..{outside.with_suffix('')}"
    (parcel / "bundle/pipeline/pipeline.json").write_text(json.dumps(record))
    parcels.seal(parcel)
    refused(shop("import", "parcel", OTHER), "no record")


def test_links_are_refused(shop: Shop, parcel: Path):
    (parcel / "bundle/secret.txt").symlink_to("/etc/passwd")
    parcels.seal(parcel)
    refused(shop("import", "parcel", OTHER), "secret.txt", "link")
    (parcel / "bundle/secret.txt").unlink()
    (parcel / "bundle/folder").symlink_to("/etc")
    refused(shop("import", "parcel", OTHER), "folder", "link")
    (parcel / "bundle/folder").unlink()
    shutil.move(parcel / "bundle", "elsewhere")
    (parcel / "bundle").symlink_to(Path("elsewhere").absolute())
    refused(shop("import", "parcel", OTHER), "bundle")
    (parcel / "bundle").unlink()
    shutil.move("elsewhere", parcel / "bundle")
    trained = parcel / "beside/trained_rows.npy"
    trained.unlink()
    trained.symlink_to("/etc/passwd")
    parcels.seal(parcel)
    refused(shop("import", "parcel", OTHER), "link")


@pytest.mark.parametrize("loader", ["FunctionNode", "TypeNode", "ObjectNode"])
@pytest.mark.parametrize(
    ("module", "name"), [("posix", "system"), ("evil_module", "run"), ("builtins", "eval"), ("subprocess", "Popen")]
)
def test_types_that_nobody_vouches_for_are_refused_and_not_even_imported(
    shop: Shop, parcel: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str, loader: str
):
    Path("evil_module.py").write_text(f"open({parcels.MARKER!r}, 'w')\ndef run(): pass\n")
    monkeypatch.syspath_prepend(str(Path().absolute()))
    for file in (SKOPS, "bundle/pipeline/featurizer_0.skops"):
        before = (parcel / file).read_bytes()
        (parcel / file).write_bytes(parcels.foreign_type(module, name, loader))
        parcels.seal(parcel)
        refused(shop("import", "parcel", OTHER), f"{module}.{name}")
        assert "evil_module" not in sys.modules
        (parcel / file).write_bytes(before)


@pytest.mark.parametrize("bomb", ["schema", "member", "nested", "claim", "overflow", "object", "path", "pickle"])
def test_archives_that_are_made_to_harm_are_refused_before_they_are_unpacked(shop: Shop, parcel: Path, bomb: str):
    def alter(members: dict[str, bytes]) -> None:
        if bomb == "schema":
            members["schema.json"] = bytes(300 << 20)
        elif bomb == "member":
            members["9.npy"] = bytes(300 << 20)
        elif bomb == "nested":
            members["9.npz"] = parcels.npz_bomb()
        elif bomb == "claim":
            members["0.npy"] = parcels.array_that_claims("(1000000000000,)")
        elif bomb == "overflow":
            members["0.npy"] = parcels.array_that_claims("(4294967296, 4294967296)")
        elif bomb == "object":
            members["0.npy"] = parcels.object_array()
        elif bomb == "path":
            members["../../evil.npy"] = b"x"
        else:
            members["state.pkl"] = parcels.pickled()

    parcels.rezip(parcel / SKOPS, alter, method=zipfile.ZIP_DEFLATED)
    parcels.seal(parcel)
    words = {"object": "pickle", "pickle": "pickle", "path": "does not lie inside"}
    refused(shop("import", "parcel", OTHER), "estimator_0.skops", words.get(bomb, "would unpack"))


def test_absurd_json_is_refused(shop: Shop, parcel: Path):
    for file in ("bundle/pipeline/pipeline.json", "bundle/manifest.json", "version.json"):
        before = (parcel / file).read_bytes()
        with (parcel / file).open("wb") as target:
            target.truncate(100 << 20)
        if file.startswith("bundle/pipeline"):
            parcels.seal(parcel)
        refused(shop("import", "parcel", OTHER), Path(file).name, "104,857,600 bytes")
        (parcel / file).write_bytes(before)
        parcels.seal(parcel)
    for text in ("[" * 200_000, "{}", "[]", "null", '{"format": 2}', "\xff"):
        (parcel / "bundle/pipeline/pipeline.json").write_text(text, encoding="latin-1")
        parcels.seal(parcel)
        refused(shop("import", "parcel", OTHER))


def test_a_model_that_no_plugin_offers_is_named(shop: Shop, parcel: Path):
    record = json.loads((parcel / "bundle/pipeline/pipeline.json").read_text())
    record["members"][0]["model"] = "ghost"
    (parcel / "bundle/pipeline/pipeline.json").write_text(json.dumps(record))
    parcels.seal(parcel)
    refused(shop("import", "parcel", OTHER), "ghost")


def test_a_harmful_bundle_that_is_in_the_store_already_is_not_opened(shop: Shop, parcel: Path):
    """Somebody may write into a shared store without `import`; opening checks the same things."""
    (parcel / SKOPS).write_bytes(parcels.foreign_type("posix", "system"))
    parcels.seal(parcel)
    with Store.open(".mlframe") as store:
        evil = store.register("shop", parcel / "bundle", run_id="r", figures={}, facts={})
    words = ("data=csv", "name=shop", "input=my.csv", "output=out.csv", f"version={evil}", "trackers=[]")
    scored = shop("predict", *words)
    assert scored.code == 2, scored.err
    assert "posix.system" in scored.err
    assert not Path("out.csv").exists()


def test_a_server_refuses_and_warns_in_the_same_words(
    shop: Shop, parcel: Path, registry: Registry, caplog: pytest.LogCaptureFixture
):
    from mlframe.serving.models import ServedModel

    manifest = parcel / "bundle/manifest.json"
    plugins = json.loads(manifest.read_text())["plugins"]
    with Store.open(".mlframe") as store:

        def served(changed: list[dict[str, str]]) -> ServedModel:
            parcels.change(manifest, plugins=changed)
            reference = store.register("shop", parcel / "bundle", run_id="r", figures={}, facts={})
            return ServedModel.load(store, registry, reference, 100)

        with caplog.at_level(logging.WARNING, logger="mlframe.serving"):
            served([{**plugins[0], "version": "0.0.1"}, *plugins[1:]])
        assert f"{plugins[0]['package']} is {plugins[0]['version']} here, the model was made with 0.0.1" in caplog.text
        with pytest.raises(BundleError, match=r"mlframe-ghost 3\.1"):
            served([*plugins, {"package": "mlframe-ghost", "version": "3.1"}])
        (parcel / SKOPS).write_bytes(parcels.foreign_type("posix", "system"))
        parcels.seal(parcel)
        with pytest.raises(BundleError, match=r"posix\.system"):
            served(plugins)
