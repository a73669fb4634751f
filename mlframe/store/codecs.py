"""How each kind of artifact becomes files and comes back; nothing here is pickle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mlframe.errors import StoreError, UnknownNameError
from mlframe.store.metadata import to_json

__all__ = ["FRAME", "Codec", "Codecs"]

FRAME = "frame.arrow"
"""File of a frame; one that is in the folder already holds the same rows and is kept."""

MAPPED = 1 << 20
"""Arrays of this many bytes and more are mapped into memory instead of being read."""


@dataclass(frozen=True)
class Codec:
    """Writes and reads one kind of value.

    Args:
        save: writes files into an empty folder.
        load: reads them; the folder goes away afterwards unless `lasting`.
        bulky: whether large files are addressed by name instead of by digest; see `mlframe.store.objects`.
        lasting: whether what `load` gives refers to the folder.
        final: whether a value never changes once it is made, so that one that was saved needs no second look.
    """

    save: Callable[[Any, Path], None]
    load: Callable[[Path], Any]
    bulky: bool = False
    lasting: bool = False
    final: bool = False


class Codecs:
    """The known kinds: table, frame, arrays, json and files, and those that were registered."""

    def __init__(self) -> None:
        self._known = {
            "table": Codec(_save_table, _load_table, bulky=True),
            "frame": Codec(_save_frame, _load_frame, bulky=True),
            "arrays": Codec(_save_arrays, _load_arrays, bulky=True),
            "json": Codec(_save_json, _load_json),
            "files": Codec(_save_files, _load_files, lasting=True),
        }

    def register(
        self, kind: str, save: Callable[[Any, Path], None], load: Callable[[Path], Any], *, bulky: bool, final: bool
    ) -> None:
        """Add or replace a kind whose functions the caller knows."""
        self._known[kind] = Codec(save, load, bulky=bulky, final=final)

    def __getitem__(self, kind: str) -> Codec:
        if kind not in self._known:
            raise UnknownNameError.from_name("kind of artifact", kind, self._known)
        return self._known[kind]


# ---------------------------------------------------------------------------------------------------------- frames


def _save_frame(frame: Any, folder: Path) -> None:
    import polars as pl

    if (folder / FRAME).exists():
        return
    odd = [name for name, dtype in frame.schema.items() if dtype == pl.Object]
    if odd:
        raise StoreError(
            f"Columns of Python objects cannot be kept: {', '.join(map(repr, odd))}",
            hint="cast them to numbers, text, dates or lists in the source",
        )
    frame.write_ipc(folder / FRAME, compression="uncompressed")


def _load_frame(folder: Path) -> Any:
    import polars as pl

    return pl.read_ipc(folder / FRAME)


def _save_table(table: Any, folder: Path) -> None:
    _save_frame(table.frame, folder)
    (folder / "columns.json").write_text(to_json(table.column_records()), encoding="utf-8")


def _load_table(folder: Path) -> Any:
    from mlframe.table import Table, columns_from_records

    records = json.loads((folder / "columns.json").read_text(encoding="utf-8"))
    return Table(_load_frame(folder), columns_from_records(records))


# ---------------------------------------------------------------------------------------------------------- arrays


def _save_arrays(arrays: Mapping[str, Any], folder: Path) -> None:
    """Write each array as .npy; a sparse one as its three parts, None as a word in the index."""
    import scipy.sparse as sp

    index: dict[str, Any] = {}
    for number, (name, value) in enumerate(arrays.items()):
        if value is None:
            index[name] = {"form": "none"}
        elif sp.issparse(value):
            if value.format != "csr":
                raise StoreError(f"{name!r} is sparse in the format {value.format!r}", hint="convert it with .tocsr()")
            form = "csr_matrix" if isinstance(value, sp.spmatrix) else "csr_array"
            index[name] = {"form": form, "file": str(number), "shape": list(value.shape)}
            for part in ("data", "indices", "indptr"):
                _save_array(getattr(value, part), folder / f"{number}.{part}.npy", name)
        else:
            index[name] = {"form": "dense", "file": str(number)}
            _save_array(value, folder / f"{number}.npy", name)
    (folder / "arrays.json").write_text(json.dumps(index), encoding="utf-8")


def _save_array(value: Any, path: Path, name: str) -> None:
    import numpy as np

    if value.dtype.hasobject:
        raise StoreError(
            f"The array {name!r} holds Python objects, which cannot be kept",
            hint="convert it to numbers or to text of a fixed width, such as values.astype('U')",
        )
    np.save(path, value, allow_pickle=False)


def _load_arrays(folder: Path) -> dict[str, Any]:
    import scipy.sparse as sp

    index = json.loads((folder / "arrays.json").read_text(encoding="utf-8"))
    arrays: dict[str, Any] = {}
    for name, record in index.items():
        if record["form"] == "none":
            arrays[name] = None
        elif record["form"] == "dense":
            arrays[name] = _load_array(folder / f"{record['file']}.npy")
        else:
            parts = tuple(
                _load_array(folder / f"{record['file']}.{part}.npy") for part in ("data", "indices", "indptr")
            )
            form = sp.csr_matrix if record["form"] == "csr_matrix" else sp.csr_array
            arrays[name] = form(parts, shape=tuple(record["shape"]), copy=False)
    return arrays


def _load_array(path: Path) -> Any:
    import numpy as np

    if path.stat().st_size < MAPPED:
        return np.load(path, allow_pickle=False)
    # Mode c: who writes into the array gets a copy of the page, the file stays as it is. Some compiled code refuses
    # arrays that are read-only.
    return np.load(path, mmap_mode="c", allow_pickle=False).view(np.ndarray)


# ---------------------------------------------------------------------------------------------------------- the rest


def _save_json(value: Any, folder: Path) -> None:
    (folder / "value.json").write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def _load_json(folder: Path) -> Any:
    return json.loads((folder / "value.json").read_text(encoding="utf-8"))


def _save_files(value: Path | Iterable[Path], folder: Path) -> None:
    """Copy one folder, or some files that have different names."""
    target = folder / "files"
    if isinstance(value, Path):
        names = [path.relative_to(value).as_posix() for path in sorted(value.rglob("*")) if path.is_file()]
        sources = {name: value / name for name in names}
        form = "folder"
    else:
        paths = list(value)
        sources = {path.name: path for path in paths}
        if len(sources) < len(paths):
            raise StoreError("Two files of one artifact have the same name", value=[str(path) for path in paths])
        form = "list"
    for name, source in sources.items():
        place = target / PurePosixPath(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)
    (folder / "index.json").write_text(json.dumps({"form": form, "names": list(sources)}), encoding="utf-8")


def _load_files(folder: Path) -> Path | list[Path]:
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    if index["form"] == "folder":
        (folder / "files").mkdir(exist_ok=True)
        return folder / "files"
    return [folder / "files" / name for name in index["names"]]
