"""Carries a version from one store to another as a folder: its bundle, what is kept beside it, and where it is from.

version.json    what the registry knows: figures, facts, moves of its aliases, the digests of all that is here
bundle/         the bundle, unchanged
beside/         what only training needs, such as digests of the rows that it was trained on

A bundle alone can be taken over too: that is what images hold, as nothing beside it may go to a server.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlframe.errors import BundleError, StoreError
from mlframe.store.archives import check_name
from mlframe.store.bundle import MANIFEST, read_json, read_manifest
from mlframe.store.guard import guarded
from mlframe.store.metadata import now, to_json
from mlframe.store.objects import digest_of

if TYPE_CHECKING:
    from mlframe.store.store import Store

__all__ = ["Parcel", "export_version", "import_parcel", "open_parcel"]

FORMAT = 1
RECORD = "version.json"


@dataclass(frozen=True)
class Parcel:
    """An exported version whose every digest has been checked.

    Args:
        folder: what was exported.
        bundle: folder of its bundle.
        record: what its store knew of it.
        manifest: manifest of its bundle.
        beside: files kept beside the bundle, by name.
    """

    folder: Path
    bundle: Path
    record: Mapping[str, Any]
    manifest: Mapping[str, Any]
    beside: Mapping[str, Path]


def export_version(store: Store, reference: str, folder: Path, who: str) -> dict[str, Any]:
    """Write a version into a folder that is not there yet, or is empty.

    Args:
        store: the store that has it.
        reference: the version.
        folder: where to; complete or not there at all.
        who: person or process that exports it.

    Returns:
        The version's record.

    Raises:
        StoreError: the folder holds something, or cannot be written.
        BundleError: a file of the version is missing or changed.
    """
    version = store.version(reference)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreError(
            "The place to export to is not empty", value=str(folder), where="DIR", hint="name a folder that is new"
        )
    name = version["reference"]
    moves = [move for move in store.history(version["name"]) if name in (move["from"], move["to"])]
    bundle, beside = store.open_bundle(name), store.beside(name)
    with guarded(f"exporting {name}", str(folder)):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            made = Path(scratch, "made")
            shutil.copytree(bundle, made / "bundle", copy_function=shutil.copyfile)
            (made / "beside").mkdir()
            for file, path in beside.items():
                shutil.copyfile(path, made / "beside" / file)
            record = {
                "format": FORMAT,
                **{key: version[key] for key in ("reference", "name", "run_id", "created", "figures", "facts")},
                "aliases": version["aliases"],
                "history": moves,
                "from": store.where,
                "exported": now(),
                "who": who,
                "manifest": digest_of(made / "bundle" / MANIFEST),
                "beside": {file: digest_of(made / "beside" / file) for file in beside},
            }
            (made / RECORD).write_text(to_json(record), encoding="utf-8")
            os.replace(made, folder)
    return version


def open_parcel(folder: Path) -> Parcel:
    """Return what was exported to a folder, or the bundle that it is, after checking every digest; nothing is loaded.

    Raises:
        BundleError: it is neither, or a file is missing, changed, unsafe, or not listed.
    """
    path = folder / RECORD
    if (folder / MANIFEST).is_file() and not path.exists():
        return _open_bundle(folder)
    if not path.is_file() or path.is_symlink():
        raise BundleError(
            f"This folder is no exported version: it has no {RECORD}",
            where=str(folder),
            hint="name a folder that 'mlframe export' has written, or a bundle",
        )
    record = read_json(path)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        found = record.get("format") if isinstance(record, dict) else None
        raise BundleError(
            f"The exported version has format {found!r}, this mlframe reads format {FORMAT}",
            where=str(path),
            hint="export it again with this mlframe's version",
        )
    texts, mappings = ("reference", "name", "run_id", "created", "from", "manifest"), ("figures", "facts", "beside")
    wrong = [key for key in texts if not isinstance(record.get(key), str)]
    wrong += [key for key in mappings if not isinstance(record.get(key), dict)]
    if wrong:
        raise BundleError(f"The exported version's record has no proper {', '.join(wrong)}", where=str(path))
    allowed = {RECORD, "bundle", "beside"}
    unknown = sorted(item.name for item in folder.iterdir() if item.name not in allowed or item.is_symlink())
    if unknown or not (folder / "bundle").is_dir():
        what = f"holds what does not belong there: {', '.join(unknown)}" if unknown else "has no bundle"
        raise BundleError(f"The exported version {what}", where=str(folder), hint="export it again")
    manifest = read_manifest(folder / "bundle")
    listed = {f"bundle/{MANIFEST}": record["manifest"]}
    listed |= {f"beside/{file}": str(digest) for file, digest in record["beside"].items()}
    found_beside = {f"beside/{item.name}" for item in (folder / "beside").glob("*")}
    if found_beside != set(listed) - {f"bundle/{MANIFEST}"}:
        raise BundleError("The files beside the bundle are not those that its record lists", where=str(folder))
    for file, digest in listed.items():
        target = folder / check_name(file, folder)
        if target.is_symlink() or not target.is_file():
            raise BundleError(f"The exported version's {file!r} is a link or no plain file", where=str(folder))
        if digest_of(target) != digest:
            raise BundleError(
                f"The exported version's file {file!r} has been changed: expected {digest}, found {digest_of(target)}",
                where=str(folder),
                hint="do not use it; export the version again",
            )
    beside = {file: folder / "beside" / file for file in record["beside"]}
    return Parcel(folder, folder / "bundle", record, manifest, beside)


def _open_bundle(folder: Path) -> Parcel:
    """Return a bundle that came without its store's record: it says itself what run made it and how good it is."""
    manifest = read_manifest(folder)
    documents = {
        name: read_json(folder / f"{name}.json") if (folder / f"{name}.json").is_file() else {}
        for name in ("figures", "verdict")
    }
    facts = {"passed": documents["verdict"].get("passed"), "data": (manifest.get("data") or {}).get("key")}
    made = datetime.fromtimestamp((folder / MANIFEST).stat().st_mtime, UTC).isoformat(timespec="milliseconds")
    record = {
        **{key: manifest[key] for key in ("name", "run_id")},
        **{"reference": manifest["name"], "from": str(folder.absolute()), "created": made, "exported": made},
        **{"figures": documents["figures"], "facts": facts},
    }
    return Parcel(folder, folder, record, manifest, {})


def import_parcel(store: Store, parcel: Parcel, name: str, who: str, number: int | None = None) -> str:
    """Give an exported version a number of a name, and record where it came from.

    Args:
        store: the store that gets it.
        parcel: what `open_parcel` gave.
        name: name of the model here.
        who: person or process that imports it.
        number: its number here, such as the one that it has elsewhere; None takes the next one.

    Returns:
        The version's reference here.

    Raises:
        StoreError: the bundle is a version of this name already, the number is taken, or the name's versions learn
            something else.
    """
    _check_alike(store, parcel, name)
    record = parcel.record
    origin = {key: record[key] for key in ("from", "reference", "created", "exported")}
    facts = {**record["facts"], "imported": {**origin, "when": now(), "who": who}}
    return store.register(
        name,
        parcel.bundle,
        run_id=record["run_id"],
        figures=record["figures"],
        facts=facts,
        beside=parcel.beside,
        once=True,
        number=number,
    )


def _check_alike(store: Store, parcel: Parcel, name: str) -> None:
    """Refuse a version that answers another question than those that the name has: they would replace each other."""
    same = [version for version in store.versions() if version["name"] == name]
    if not same:
        return
    latest = same[-1]["reference"]
    there = read_json(store.open_bundle(latest) / MANIFEST).get("learning")
    here = parcel.manifest.get("learning")
    if there != here and there and here:
        differing = [key for key in sorted({*there, *here}) if there.get(key) != here.get(key)]
        told = "; ".join(f"{key} {there.get(key)!r} there, {here.get(key)!r} in the bundle" for key in differing)
        raise StoreError(
            f"{name!r} is the name of another model in this store: {latest} learned something else ({told})",
            where=str(parcel.folder),
            hint="give it a name of its own with --name",
        )
