"""A bundle's manifest, checked before anything in the bundle is parsed, and estimators without pickle."""

from __future__ import annotations

import io
import json
import os
import weakref
import zipfile
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from mlframe.errors import BundleError
from mlframe.store.archives import PICKLES, check_archive, check_name, pickle_found
from mlframe.store.objects import digest_of

__all__ = [
    "FORMAT",
    "MANIFEST",
    "check_skops",
    "dump_skops",
    "kept_skops",
    "load_skops",
    "read_json",
    "read_manifest",
    "write_manifest",
]

FORMAT = 1
MANIFEST = "manifest.json"

_JSON_LIMIT = 64 << 20


def write_manifest(
    folder: Path, *, name: str, run_id: str, files: Iterable[str], extra: Mapping[str, Any]
) -> dict[str, Any]:
    """Write `manifest.json` with the size and SHA-256 of every file.

    Args:
        folder: the bundle; every file in it must be named.
        name: the model's name.
        run_id: run that made the bundle.
        files: names relative to the folder, with `/` between parts.
        extra: more keys of the manifest (plain JSON values).

    Returns:
        The manifest.

    Raises:
        BundleError: a file is absent, not named, unsafe or a pickle, or `extra` takes a key of the manifest.
    """
    own = {"format": FORMAT, "name": name, "run_id": run_id}
    clash = sorted(set(extra) & {*own, "files"})
    if clash:
        raise BundleError(f"The manifest has keys of its own: {', '.join(clash)}", where=str(folder))
    listed: dict[str, dict[str, Any]] = {}
    for file in sorted(set(files)):
        path = folder / check_name(file, folder)
        listed[file] = {}
        if path.is_file():
            listed[file] = {"size": path.stat().st_size, "sha256": digest_of(path)}
    manifest = {**own, **extra, "files": listed}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True), encoding="utf-8")
    _check_folder(folder, listed)
    return manifest


def read_manifest(folder: Path, *, verify: bool = True) -> dict[str, Any]:
    """Return the manifest of a bundle after checking the folder and every file.

    Args:
        folder: the bundle.
        verify: False where the files' digests have just been compared.

    Raises:
        BundleError: no manifest, an unknown format, an unsafe or unlisted file, a pickle, or a changed byte.
    """
    path = folder / MANIFEST
    if not path.is_file() or path.is_symlink():
        raise BundleError(
            "This folder is no bundle: it has no manifest.json", where=str(folder), hint="name a registered version"
        )
    manifest = read_json(path)
    try:
        found = manifest["format"]
        if found != FORMAT:
            raise BundleError(
                f"The bundle has format {found!r}, this mlframe reads format {FORMAT}",
                where=str(path),
                hint="install the mlframe that made it, or train again",
            )
        listed = {str(file): (str(item["sha256"]), int(item["size"])) for file, item in manifest["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(
            f"The bundle's manifest cannot be read ({type(error).__name__}: {error})",
            where=str(path),
            hint="train again",
        ) from error
    for file in listed:
        check_name(file, folder)
    _check_folder(folder, listed)
    for file, (digest, size) in listed.items():
        target = folder / PurePosixPath(file)
        if target.stat().st_size != size or (verify and digest_of(target) != digest):
            raise BundleError(
                f"The bundle's file {file!r} has been changed: expected {digest} ({size} bytes), found "
                f"{digest_of(target)} ({target.stat().st_size} bytes)",
                where=str(folder),
                hint="do not use it; roll back to another version, or train and promote again",
            )
    return dict(manifest)


def read_json(path: Path) -> Any:
    """Return what a JSON file of a bundle says.

    Raises:
        BundleError: it is absent, absurdly large, nested without end, or no JSON.
    """
    try:
        size = path.stat().st_size
        if size > _JSON_LIMIT:
            raise BundleError(
                f"The bundle's file {path.name!r} has {size:,} bytes; more than {_JSON_LIMIT:,} are not read",
                where=str(path),
                hint="do not use it; such a file is made to exhaust memory",
            )
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(
            f"The bundle's file {path.name!r} cannot be read ({type(error).__name__}: {error})",
            where=str(path),
            hint="do not use it; name another version, or train again",
        ) from error


def dump_skops(obj: Any, path: Path | BinaryIO) -> None:
    """Save an object with skops so that equal objects give equal bytes.

    skops names parts after memory addresses and the clock; here they are numbered in the order in which they occur,
    so that a bundle made twice from one run has one digest.

    Args:
        obj: estimator, transformer or what skops can save.
        path: file to write, or a stream.

    Raises:
        BundleError: skops cannot save it.
    """
    import skops.io
    from skops.io.exceptions import UnsupportedTypeException

    try:
        data = skops.io.dumps(obj)
    except (UnsupportedTypeException, TypeError) as error:
        raise BundleError(
            f"A {type(obj).__name__} cannot be saved without pickle: {error}",
            hint="keep plain values, numpy arrays and scikit-learn estimators in its attributes, or give the component "
            "an adapter that saves it in its own format",
        ) from error
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(path, "w") as target:
        state = json.loads(source.read("schema.json"))
        renamed: dict[str, str] = {}
        state = _numbered(state, {}, renamed)
        for old, new in renamed.items():
            content = source.read(old)
            target.writestr(zipfile.ZipInfo(new), _undated(content) if new.endswith(".npz") else content)
        target.writestr(zipfile.ZipInfo("schema.json"), json.dumps(state))


_KEPT: dict[int, tuple[weakref.ref[Any], bytes]] = {}


def kept_skops(fitted: Any) -> bytes:
    """Return what `dump_skops` writes of an object that is fitted for good, and keep it for as long as the object lives.

    Jobs of a sweep share featurized folds, and saving a featurizer again costs more than fitting a small model.
    """
    key = id(fitted)
    known = _KEPT.get(key)
    if known is not None and known[0]() is fitted:
        return known[1]
    buffer = io.BytesIO()
    dump_skops(fitted, buffer)
    data = buffer.getvalue()
    with suppress(TypeError):  # an object without weak references is saved anew each time
        _KEPT[key] = (weakref.ref(fitted, lambda _: _KEPT.pop(key, None)), data)
    return data


def check_skops(path: Path, trusted: Collection[str]) -> bytes:
    """Return the bytes of what `dump_skops` saved, if it may be loaded; nothing in it is imported or built.

    Args:
        path: the file; its digest should have been checked.
        trusted: full names of types trusted beside skops' own list.

    Raises:
        BundleError: types that are not trusted, a damaged file, or one that unpacks to an absurd size.
    """
    import skops.io

    data = path.read_bytes()  # what is checked is what is loaded
    check_archive(data, path)
    try:
        unknown = sorted(set(skops.io.get_untrusted_types(data=data)) - set(trusted))
    except Exception as error:  # a stranger's file may make the reader fail in any way
        raise _unreadable(path, error) from error
    if unknown:
        raise _untrusted(unknown, path)
    return data


def load_skops(path: Path, trusted: Collection[str]) -> Any:
    """Load what `dump_skops` saved, if every type in it is trusted.

    Args:
        path: the file; its digest should have been checked.
        trusted: full names of types trusted beside skops' own list.

    Returns:
        The object.

    Raises:
        BundleError: what `check_skops` refuses, or a library is missing or too different.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    data = check_skops(path, trusted)
    try:
        return skops.io.loads(data, trusted=sorted(trusted))
    except UntrustedTypesFoundException as error:
        raise BundleError(f"The bundle's file {path.name!r} holds untrusted types: {error}", where=str(path)) from error
    except ImportError as error:
        raise BundleError(
            f"The bundle's file {path.name!r} needs a library that is not installed: {error}",
            where=str(path),
            hint="install the plugin that the model was trained with",
        ) from error
    except Exception as error:  # trusted types are built from what the file says, and may fail in any way
        raise _unreadable(path, error) from error


def _numbered(node: Any, ids: dict[int, int], files: dict[str, str]) -> Any:
    """Replace memory addresses and file names by numbers, in the order in which they occur."""
    if isinstance(node, list):
        return [_numbered(item, ids, files) for item in node]
    if not isinstance(node, dict):
        return node
    # The content of a dictionary node maps the saved object's own keys to nodes, which are dictionaries; a node's own
    # "__id__" is a number and its "file" a text, so the two are never mistaken for each other.
    copy: dict[str, Any] = {}
    for key, value in node.items():
        if key == "__id__" and isinstance(value, int):
            copy[key] = ids.setdefault(value, len(ids) + 1)
        elif key == "file" and isinstance(value, str) and "__loader__" in node:
            copy[key] = files.setdefault(value, f"{len(files)}{PurePosixPath(value).suffix}")
        else:
            copy[key] = _numbered(value, ids, files)
    return copy


def _undated(data: bytes) -> bytes:
    """Return a zip file with the same members and no times of writing."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.namelist():
            target.writestr(zipfile.ZipInfo(member), source.read(member), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _check_folder(folder: Path, listed: Collection[str]) -> None:
    """Compare the files that are there with those that are listed; refuse links and pickles."""
    found = set()
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise BundleError(
                    f"The bundle holds {relative!r}, which is a link or no plain file",
                    where=str(folder),
                    hint="bundles hold plain files only",
                )
            if path.is_file():
                found.add(relative)
                _refuse_pickle(path, relative, folder)
    found.discard(MANIFEST)
    missing, unknown = sorted(set(listed) - found), sorted(found - set(listed))
    if missing or unknown:
        parts = [f"missing: {', '.join(missing)}"] if missing else []
        parts += [f"not in the manifest: {', '.join(unknown)}"] if unknown else []
        raise BundleError(
            f"The bundle's files are not those of its manifest ({'; '.join(parts)})",
            where=str(folder),
            hint="do not use it; name a registered version, or train again",
        )


def _refuse_pickle(path: Path, relative: str, folder: Path) -> None:
    with path.open("rb") as file:
        head = file.read(2)
    # Protocols 2 and later begin with the byte 80 and their number.
    if any(suffix.lower() in PICKLES for suffix in path.suffixes) or (head[:1] == b"\x80" and head[1:] in _PROTOCOLS):
        raise pickle_found(relative, folder)


_PROTOCOLS = tuple(bytes([number]) for number in range(2, 6))


def _unreadable(path: Path, error: Exception) -> BundleError:
    return BundleError(
        f"The bundle's file {path.name!r} cannot be read ({type(error).__name__}: {error})",
        where=str(path),
        hint="check that the installed versions are those that the bundle's manifest names, or train again",
    )


def _untrusted(types: list[str], path: Path) -> BundleError:
    packages = sorted({name.partition(".")[0] for name in types})
    return BundleError(
        f"The bundle's file {path.name!r} holds types that no installed plugin vouches for: {', '.join(types)}",
        where=str(path),
        hint=f"install the plugin that brings {' and '.join(packages)} (mlframe-<thing>), if you trust it; "
        "otherwise do not use the bundle",
    )
