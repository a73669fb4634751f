"""Files behind a path, a glob, a list or an fsspec address: found, read, and fingerprinted without being read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import fsspec

from mlframe.errors import DataError, near_matches

__all__ = ["WHERE", "DataFile", "fingerprint", "list_files"]

WHERE = "data.source.path"
MAGIC = ("*", "?", "[")
STAMPS = (
    "etag",
    "ETag",
    "md5Hash",
    "contentMD5",
    "checksum",
    "crc32c",
    "mtime",
    "LastModified",
    "last_modified",
    "created",
)


@dataclass(frozen=True)
class DataFile:
    """One file to read.

    Args:
        address: how the user would write it; stands in error texts.
        path: its path inside the file system.
        fs: fsspec file system.
        relative: path below the folder or the fixed part of the glob that was asked for.
        local: whether it lies on a disk of this machine.
    """

    address: str
    path: str
    fs: Any
    relative: str
    local: bool

    def read(self) -> bytes:
        """Return the whole content.

        Raises:
            DataError: it cannot be read.
        """
        try:
            content: bytes = self.fs.cat_file(self.path)
        except (OSError, ImportError) as error:
            raise unreadable(self.address, error) from error
        return content

    def stamp(self) -> str:
        """Return address, size and modification time (or the store's checksum); reads no content."""
        try:
            if self.local:
                stat = os.stat(self.path)
                return f"{self.address} {stat.st_size} {stat.st_mtime_ns}"
            info = self.fs.info(self.path)
        except OSError as error:
            raise unreadable(self.address, error) from error
        marks = " ".join(f"{key}={info[key]}" for key in STAMPS if info.get(key) is not None)
        return f"{self.address} {info.get('size')} {marks}"


def list_files(path: str | Sequence[str], *, suffixes: tuple[str, ...] = ()) -> list[DataFile]:
    """Return the files behind a path, in name order.

    Args:
        path: a file, a glob (`*`, `?`, `[…]`, `**`), a folder where `suffixes` are given, or a list of these; local
            (relative to the working directory) or an fsspec address such as `s3://bucket/key`.
        suffixes: endings of the files that count inside a folder; empty: folders are refused.

    Raises:
        DataError: nothing is there; near names of the same folder are shown.
    """
    addresses = [path] if isinstance(path, str) else list(path)
    if not addresses:
        raise DataError("No file is named", value=addresses, where=WHERE, hint=f"set {WHERE}=FILE")
    files: dict[tuple[str, str], DataFile] = {}
    for address in addresses:
        for file in _expand(address, suffixes):
            files.setdefault((str(file.fs.protocol), file.path), file)
    return list(files.values())


def fingerprint(files: Iterable[DataFile]) -> str:
    """Return a digest of every file's address, size and modification time."""
    return hashlib.sha256("\n".join(file.stamp() for file in files).encode()).hexdigest()[:32]


def unreadable(address: str, error: BaseException) -> DataError:
    """Return the error for a file that is there but cannot be read."""
    return DataError(
        f"The file cannot be read: {type(error).__name__}: {error}",
        value=address,
        where=WHERE,
        hint="check that the file is there, whole, and readable for this user",
    )


def _expand(address: str, suffixes: tuple[str, ...]) -> list[DataFile]:
    fs, path = _open(address)
    protocols = (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
    local = "file" in protocols

    def file(found: str, root: str) -> DataFile:
        relative = found[len(root) :].lstrip("/") if found.startswith(root) else found
        if found == path:
            shown = address
        elif local:
            shown = found if os.path.isabs(address) or "://" in address else os.path.relpath(found)
        else:
            shown = fs.unstrip_protocol(found)
        return DataFile(shown, found, fs, relative, local)

    try:
        if fs.isfile(path):  # before the glob, so that a name with brackets can be given as it is
            return [file(path, os.path.dirname(path))]
        if fs.isdir(path):
            return [file(found, path) for found in _inside(fs, path, address, suffixes)]
        if any(mark in path for mark in MAGIC):
            root = _fixed_part(path)
            matches = sorted(found for found in fs.glob(path) if fs.isfile(found))
            if matches:
                return [file(found, root) for found in matches]
            raise DataError("No file matches the pattern", value=address, where=WHERE, hint=_neighbours(fs, path))
    except (OSError, ImportError) as error:
        raise unreadable(address, error) from error
    raise DataError("There is no such file", value=address, where=WHERE, hint=_neighbours(fs, path))


def _open(address: str) -> tuple[Any, str]:
    try:
        fs, path = fsspec.core.url_to_fs(os.path.expanduser(address))
    except (ImportError, ValueError, OSError) as error:
        raise DataError(
            f"The address cannot be opened: {error}",
            value=address,
            where=WHERE,
            hint="install the fsspec library that the address needs (s3fs for s3://, gcsfs for gs://, adlfs for abfs://)",
        ) from error
    return fs, path


def _inside(fs: Any, path: str, address: str, suffixes: tuple[str, ...]) -> list[str]:
    if not suffixes:
        raise DataError(
            "A folder stands where a file is wanted",
            value=address,
            where=WHERE,
            hint=f"name the files with a glob, such as {address.rstrip('/')}/*; {_neighbours(fs, path + '/x')}",
        )
    # A name that begins with a dot or an underscore is a marker of the program that wrote the folder.
    found = sorted(
        name
        for name in fs.find(path)
        if name.endswith(suffixes) and not any(p.startswith((".", "_")) for p in name[len(path) :].split("/"))
    )
    if not found:
        raise DataError(
            f"The folder holds no file that ends in {' or '.join(suffixes)}", value=address, where=WHERE,
            hint=_neighbours(fs, path + "/x"),
        )  # fmt: skip
    return found


def _fixed_part(pattern: str) -> str:
    parts: list[str] = []
    for part in pattern.split("/"):
        if any(mark in part for mark in MAGIC):
            break
        parts.append(part)
    return "/".join(parts)


def _neighbours(fs: Any, path: str) -> str:
    """Say which names of the same folder may have been meant."""
    folder, name = os.path.split(path)
    try:
        names = sorted(os.path.basename(entry.rstrip("/")) for entry in fs.ls(folder or ".", detail=False))
    except (OSError, ValueError):
        return f"there is no folder {folder!r} either; relative paths start in the working directory"
    near = near_matches(name, names)
    if near:
        return f"did you mean {' or '.join(repr(item) for item in near)}? (in {folder or '.'})"
    if not names:
        return f"the folder {folder!r} is empty"
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return f"the folder {folder or '.'} holds: {shown}"
