"""The step cache: what goes in comes out, damage is a miss, eviction spares what versions use."""

from __future__ import annotations

import datetime as dt
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from mlframe.errors import StoreError, UnknownNameError
from mlframe.store import Store
from mlframe.store.artifacts import BULKY
from mlframe.store.bundle import write_manifest
from mlframe.table import ROW, Table, describe_columns

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

VALUES: dict[Any, st.SearchStrategy[Any]] = {
    pl.Int8: st.integers(-128, 127),
    pl.UInt64: st.integers(0, 2**64 - 1),
    pl.Float32: st.floats(width=32),
    pl.Float64: st.floats(),
    pl.Boolean: st.booleans(),
    pl.String: st.text(),
    pl.Date: st.dates(),
    pl.Datetime("us", "Europe/Berlin"): st.datetimes(dt.datetime(1950, 1, 1), dt.datetime(2100, 1, 1)).map(
        lambda moment: moment.replace(tzinfo=dt.UTC)
    ),
    pl.Duration("ms"): st.integers(-(10**9), 10**9).map(lambda ms: dt.timedelta(milliseconds=ms)),
    pl.Categorical(): st.sampled_from(["a", "ä", "", "日本"]),
    pl.Enum(["low", "high"]): st.sampled_from(["low", "high"]),
    pl.Binary: st.binary(),
    pl.List(pl.Int32): st.lists(st.integers(-5, 5)),
}


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    rows = draw(st.integers(0, 5))
    columns = draw(st.dictionaries(st.text(min_size=1), st.sampled_from(list(VALUES)), max_size=4))
    return pl.DataFrame(
        [
            pl.Series(name, draw(st.lists(st.none() | VALUES[dtype], min_size=rows, max_size=rows)), dtype=dtype)
            for name, dtype in columns.items()
        ]
    )


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    dtype = draw(st.sampled_from(["<f4", "<f8", "<i8", "|u1", "|b1", "<U5", "<M8[ns]", "<c16"]))
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
    order = draw(st.sampled_from("CF"))
    return np.arange(math.prod(shape)).astype(dtype).reshape(shape, order=order)


def round_trip(store: Store, kind: str, value: Any) -> Any:
    store.save_artifact("key", step="fit", kind=kind, name="thing", value=value)
    entry = store.artifact("key")
    assert entry is not None
    assert (entry.kind, entry.step, entry.name) == (kind, "fit", "thing")
    return store.load_artifact(entry)


def objects(store: Store) -> list[Path]:
    return [path for path in (store.folder / "objects").glob("[!.]*/*") if path.is_file()]


@FEW
@given(frame=frames())
def test_a_frame_comes_back_equal(store: Store, frame: pl.DataFrame):
    assert_frame_equal(round_trip(store, "frame", frame), frame, categorical_as_str=True)


def test_a_table_comes_back_with_its_columns(store: Store):
    frame = pl.DataFrame({ROW: [0, 1], "größe": [1.5, None], "wort": ["日本", ""]}, schema_overrides={ROW: pl.UInt32})
    table = Table(frame, describe_columns(frame, {"größe": {"role": "target", "tags": ["pii"]}}))
    loaded = round_trip(store, "table", table)
    assert_frame_equal(loaded.frame, frame)
    assert loaded.columns == table.columns


def test_columns_of_python_objects_are_refused_by_name(store: Store):
    with pytest.raises(StoreError, match="'thing'"):
        round_trip(store, "frame", pl.DataFrame({"thing": pl.Series([object()], dtype=pl.Object)}))
    assert store.artifact("key") is None
    assert objects(store) == []


@FEW
@given(values=st.dictionaries(st.text(), st.none() | arrays(), max_size=4))
def test_arrays_come_back_equal(store: Store, values: dict[str, Any]):
    loaded = round_trip(store, "arrays", values)
    assert list(loaded) == list(values)
    for name, value in values.items():
        if value is None:
            assert loaded[name] is None
        else:
            assert loaded[name].dtype == value.dtype
            assert loaded[name].shape == value.shape
            np.testing.assert_array_equal(loaded[name], value)


@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csr_array])
@pytest.mark.parametrize("shape", [(0, 3), (5, 0), (2000, 400)])
def test_csr_comes_back_equal(store: Store, form: Any, shape: tuple[int, int]):
    matrix = form(sp.random_array(shape, density=0.3, format="csr", rng=1, dtype=np.float32))
    loaded = round_trip(store, "arrays", {"x": matrix})["x"]
    assert type(loaded) is form
    assert loaded.dtype == np.float32
    assert loaded.shape == shape
    assert (loaded != matrix).nnz == 0


def test_large_arrays_can_be_written_to_without_touching_the_store(store: Store):
    value = np.zeros((BULKY // 8, 2))
    round_trip(store, "arrays", {"x": value})["x"][:] = 1.0
    entry = store.artifact("key")
    assert entry is not None
    assert store.load_artifact(entry)["x"].sum() == 0


def test_arrays_that_would_need_pickle_are_refused(store: Store):
    with pytest.raises(StoreError, match=r"'words'.*Python objects"):
        round_trip(store, "arrays", {"words": np.array(["a", None], dtype=object)})
    with pytest.raises(StoreError, match="csc"):
        round_trip(store, "arrays", {"x": sp.csc_matrix((2, 2))})


@FEW
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_json_comes_back_equal(store: Store, value: Any):
    assert round_trip(store, "json", value) == value


def test_files_come_back_as_a_folder_or_a_list(store: Store, tmp_path: Path):
    folder = tmp_path / "report"
    (folder / "deep").mkdir(parents=True)
    (folder / "index.html").write_text("page")
    (folder / "deep" / "größe.svg").write_text("picture")
    loaded = round_trip(store, "files", folder)
    assert (loaded / "deep" / "größe.svg").read_text() == "picture"
    (folder / "index.html").write_text("changed later")
    assert (loaded / "index.html").read_text() == "page"
    loaded = round_trip(store, "files", [folder / "index.html", folder / "deep" / "größe.svg"])
    assert [path.name for path in loaded] == ["index.html", "größe.svg"]
    with pytest.raises(StoreError, match="same name"):
        round_trip(store, "files", [folder / "index.html", folder / "deep" / ".." / "index.html"])


def test_an_opened_folder_that_was_tampered_with_is_replaced(store: Store, tmp_path: Path):
    (tmp_path / "a.txt").write_text("a")
    path = round_trip(store, "files", [tmp_path / "a.txt"])[0]
    path.unlink()
    path.write_text("b")
    entry = store.artifact("key")
    assert entry is not None
    assert store.load_artifact(entry)[0].read_text() == "a"


def test_a_registered_kind_uses_the_callers_functions(store: Store):
    with pytest.raises(UnknownNameError, match="pipeline"):
        round_trip(store, "pipeline", "abc")
    store.register_codec(
        "pipeline",
        lambda value, folder: (folder / "model.txt").write_text(value) and None,
        lambda folder: (folder / "model.txt").read_text(),
    )
    assert round_trip(store, "pipeline", "abc") == "abc"


def test_saving_again_replaces_and_leaves_no_large_file_behind(store: Store):
    for value in (1.0, 2.0, 3.0):
        loaded = round_trip(store, "arrays", {"x": np.full(BULKY // 4, value)})
        assert loaded["x"][0] == value
    large = [path for path in objects(store) if path.stat().st_size > BULKY]
    assert len(large) == 1


def test_rows_that_are_handed_on_unchanged_are_on_the_disk_once(store: Store):
    frame = pl.DataFrame({"x": np.arange(BULKY // 4)})
    for key in ("rows", "verified"):
        store.save_artifact(key, step="s", kind="frame", name=key, value=frame)
    assert len({path.stat().st_ino for path in objects(store)}) == 1
    store.save_artifact("rows", step="s", kind="frame", name="rows", value=frame.reverse())
    assert_frame_equal(store.load_artifact(store.artifact("verified")), frame)
    assert_frame_equal(store.load_artifact(store.artifact("rows")), frame.reverse())


def test_rows_that_were_changed_in_place_are_written_again(store: Store):
    frame = pl.DataFrame({"x": np.arange(BULKY // 4)})
    store.save_artifact("before", step="s", kind="frame", name="x", value=frame)
    frame[0, "x"] = -1
    store.save_artifact("after", step="s", kind="frame", name="x", value=frame)
    assert store.load_artifact(store.artifact("before"))[0, "x"] == 0
    assert store.load_artifact(store.artifact("after"))[0, "x"] == -1


def test_an_entry_read_while_it_is_saved_again_is_still_read(store: Store):
    old = store.save_artifact("key", step="s", kind="arrays", name="x", value={"x": np.zeros(BULKY // 4)})
    store.save_artifact("key", step="s", kind="arrays", name="x", value={"x": np.ones(BULKY // 4)})
    assert store.load_artifact(old)["x"][0] == 1.0


@pytest.mark.parametrize("harm", ["remove", "truncate", "flip"])
@pytest.mark.parametrize("rows", [10, BULKY // 4])
def test_a_damaged_or_missing_file_is_a_miss_with_a_warning(
    store: Store, caplog: pytest.LogCaptureFixture, harm: str, rows: int
):
    store.save_artifact("key", step="fit", kind="arrays", name="folds", value={"x": np.zeros(rows)})
    path = max(objects(store), key=lambda path: path.stat().st_size)
    data = bytearray(path.read_bytes())
    path.chmod(0o644)
    if harm == "remove":
        path.unlink()
    elif harm == "truncate":
        path.write_bytes(data[:-1])
    else:
        data[-1] ^= 1
        path.write_bytes(data)
    with caplog.at_level(logging.WARNING, logger="mlframe.store"):
        assert store.artifact("key") is None
    assert "folds of step fit is made again" in caplog.text
    store.save_artifact("key", step="fit", kind="arrays", name="folds", value={"x": np.zeros(rows)})
    entry = store.artifact("key")
    assert entry is not None
    assert len(store.load_artifact(entry)["x"]) == rows


def test_a_small_file_changed_behind_its_time_is_still_found(store: Store):
    store.save_artifact("key", step="fit", kind="json", name="thing", value=[1, 2, 3])
    (path,) = objects(store)
    path.chmod(0o644)
    path.write_text("[1, 2, 4]")
    import os

    from mlframe.store.objects import STAMP

    os.utime(path, ns=(STAMP, STAMP))
    assert store.artifact("key") is None


def test_eviction_takes_what_was_not_used_for_longest(store: Store):
    for key in "abc":
        store.save_artifact(key, step="s", kind="arrays", name=key, value={"x": np.full(10_000, ord(key))})
    assert store.artifact("a") is not None
    entry = store.artifact("c")
    assert entry is not None
    freed = store.evict(2 * entry.size)
    assert freed >= 80_000
    assert [store.artifact(key) is not None for key in "abc"] == [True, False, True]
    assert store.evict(0) > 0
    assert objects(store) == []


def test_eviction_spares_what_a_version_uses(store: Store, tmp_path: Path):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "value.json").write_text("[1]")
    write_manifest(bundle, name="email", run_id="r", files=["value.json"], extra={})
    store.register("email", bundle, run_id="r", figures={}, facts={})
    store.save_artifact("key", step="s", kind="json", name="x", value=[1])
    store.evict(0)
    assert (store.open_bundle("email/1") / "value.json").read_text() == "[1]"


def test_a_full_disk_leaves_nothing_half_written(store: Store, monkeypatch: pytest.MonkeyPatch):
    import errno

    def full(value: Any, folder: Path) -> None:
        (folder / "part").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    store.register_codec("pipeline", full, lambda folder: None)
    with pytest.raises(StoreError, match="no space left for the store"):
        store.save_artifact("key", step="fit", kind="pipeline", name="model", value=1)
    assert store.artifact("key") is None
    assert objects(store) == []
    assert list((store.folder / "objects" / ".tmp").iterdir()) == []


def test_a_value_that_never_changes_is_written_once_and_again_when_its_file_has_gone(store: Store):
    class Model:
        """Something that can be referred to weakly."""

    written = []

    def save(value: Any, folder: Path) -> None:
        written.append(value)
        (folder / "model").write_bytes(b"learned")

    store.register_codec("pipeline", save, lambda folder: (folder / "model").read_bytes(), final=True)
    model, other = Model(), Model()
    first = store.save_artifact("raw", step="fit", kind="pipeline", name="members", value=model)
    second = store.save_artifact("finished", step="fit", kind="pipeline", name="members", value=model)
    assert first.files == second.files
    assert written == [model]
    store.save_artifact("another", step="fit", kind="pipeline", name="members", value=other)
    assert written == [model, other]
    store.evict(0)
    third = store.save_artifact("later", step="fit", kind="pipeline", name="members", value=model)
    assert written == [model, other, model]
    assert store.load_artifact(third) == b"learned"
