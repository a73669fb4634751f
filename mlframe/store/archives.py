"""Archives of strangers: what they would unpack to is checked before anything is unpacked."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path, PurePosixPath

from mlframe.errors import BundleError

__all__ = ["PICKLES", "check_archive", "check_name", "pickle_found"]

PICKLES = {".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle"}

_FREE = 64 << 20
_RATIO = 100
_HEADER = 10_000


def check_archive(data: bytes, path: Path) -> None:
    """Refuse a zip file that would exhaust memory, leave its place, or hold a pickle; nested .npz and .npy too.

    Args:
        data: the zip file.
        path: where it comes from, for the text of an error.

    Raises:
        BundleError: it is damaged, or one of the above.
    """
    _check(data, path, path.name, _FREE + _RATIO * len(data))


def _check(data: bytes, path: Path, label: str, budget: int) -> int:
    """Check one archive and return the bytes that it would unpack to."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            members = file.infolist()
            size = sum(member.file_size for member in members)
            if size > budget:
                raise _bomb(path, label, size)
            for member in members:
                check_name(member.filename, path)
                suffix = PurePosixPath(member.filename).suffix.lower()
                if suffix in PICKLES:
                    raise pickle_found(member.filename, path)
                inner = f"{label}/{member.filename}"
                if suffix == ".npz":
                    size += _check(file.read(member), path, inner, budget - size)
                elif suffix == ".npy":
                    _check_array(file, member, path, inner)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, RuntimeError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"The bundle's file {label!r} is damaged ({error})", where=str(path)) from error
    return size


def _check_array(file: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, label: str) -> None:
    """Compare what an array says of itself with its bytes: numpy makes room for what it says before it reads."""
    from numpy.lib import format as npy

    with file.open(member) as stream:
        readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        version = npy.read_magic(stream)
        if version not in readers:
            raise BundleError(f"The bundle's array {label!r} has an unknown format {version}", where=str(path))
        shape, _, dtype = readers[version](stream, max_header_size=_HEADER)
        if dtype.hasobject:
            raise pickle_found(label, path)
        if math.prod(shape) * dtype.itemsize > member.file_size:
            raise _bomb(path, label, math.prod(shape) * dtype.itemsize)


def check_name(name: str, place: Path) -> PurePosixPath:
    """Return a file's name in a bundle or archive, if it lies inside.

    Raises:
        BundleError: it leaves the folder, or would on another system.
    """
    parts = name.split("/")
    if not name or "\\" in name or "\0" in name or ":" in parts[0] or any(part in ("", ".", "..") for part in parts):
        raise BundleError(
            f"The bundle names {name!r}, which does not lie inside it",
            where=str(place),
            hint="do not use it; name a registered version, or train again",
        )
    return PurePosixPath(name)


def pickle_found(name: str, place: Path) -> BundleError:
    """Return the error of a pickle in a bundle."""
    return BundleError(
        f"The bundle holds a pickle, {name!r}, which could run any code when it is read",
        where=str(place),
        hint="bundles hold skops, JSON, Arrow and a library's own formats; do not use this one",
    )


def _bomb(path: Path, label: str, size: int) -> BundleError:
    return BundleError(
        f"The bundle's file {label!r} would unpack to {size:,} bytes, far more than it should",
        where=str(path),
        hint="do not use it; such a file is made to exhaust memory",
    )
