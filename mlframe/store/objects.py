"""Files by address: written once under a temporary name, moved into place, never changed.

An address is the SHA-256 of the file's bytes. Large files of the step cache get a unique address instead: reading
100 MB again only to hash them costs as much as writing them (64 ms and 66 ms measured on a table of 300,000 x 40
floats), and the cache key already says what they hold. Every file in place carries a fixed modification time, so that
one look at the file's status tells whether anybody wrote to it since.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlframe.errors import StoreError

__all__ = [
    "LocalObjects",
    "Objects",
    "RemoteObjects",
    "digest_of",
    "flush_folder",
    "process_alive",
    "process_start",
    "same_process",
]

STAMP = 946_684_800_000_000_000
"""Modification time of every object, in nanoseconds: 2000-01-01 UTC. Any later write changes it."""

UNIQUE = "u-"
"""How addresses begin that are not digests."""


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unique_address() -> str:
    """Return an address that no other file has."""
    return f"{UNIQUE}{uuid.uuid4().hex}"


def flush_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def process_alive(pid: int) -> bool:
    """Tell whether a process of this machine is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def process_start(pid: int) -> str | None:
    """Return when a process began, in ticks since the machine did; None where the system does not say.

    Process numbers are used again; with this one they are not mistaken for each other.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def same_process(pid: int, started: str | None) -> bool:
    """Tell whether the process of this machine with that number and beginning is still there."""
    return process_alive(pid) and process_start(pid) == started


class Objects(ABC):
    """Where objects are kept; `scratch` is a folder on the disk that they are moved into place from."""

    @abstractmethod
    def put(self, path: Path, *, address: str | None = None, durable: bool = False) -> tuple[str, int]:
        """Move a file in; it must lie below `scratch`.

        Args:
            path: the file; gone afterwards.
            address: where to; None takes the file's SHA-256.
            durable: whether it must survive a loss of power, not just a killed process.

        Returns:
            Address and size in bytes.
        """

    @abstractmethod
    def fetch(self, address: str, size: int, *, verify: bool = True) -> Path | None:
        """Return the local file at an address, None when it is absent or not what was put there.

        Args:
            address: what `put` returned.
            size: its size in bytes.
            verify: whether to read the file and compare its digest; the size and the file's status always are.
        """

    @abstractmethod
    def has(self, address: str, size: int) -> bool:
        """Tell whether the file is there for everyone who uses the store; its bytes are not read."""

    @abstractmethod
    def describe(self, address: str) -> str:
        """Say what lies at an address now, for the text of an error."""

    @abstractmethod
    def delete(self, address: str) -> None:
        """Remove a file; an absent one is no error."""

    @abstractmethod
    def addresses(self, older_than: float) -> Iterator[str]:
        """Yield the addresses of files that were put more than `older_than` seconds ago."""

    @abstractmethod
    def orphans(self, known: Collection[str], older_than: float) -> Iterator[tuple[str, int]]:
        """Yield address and size of files that are not known and were put more than `older_than` seconds ago."""

    @abstractmethod
    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give an empty folder that is removed at the end."""
        raise NotImplementedError

    @property
    @abstractmethod
    def opened(self) -> Path:
        """Folder of opened bundles and file sets, on the local disk."""


class LocalObjects(Objects):
    """Objects in a folder.

    Args:
        folder: the folder; made when absent.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._scratch = folder / ".tmp"
        self._opened = folder / ".open"

    def prepare(self) -> None:
        """Make the folders and remove what killed processes left."""
        for folder in (self._scratch, self._opened):
            folder.mkdir(parents=True, exist_ok=True)
        host = socket.gethostname()
        for left in self._scratch.iterdir():
            owner, _, rest = left.name.rpartition("~")
            pid = rest.partition(".")[0]
            if owner == host and pid.isdigit() and not process_alive(int(pid)):
                shutil.rmtree(left, ignore_errors=True)

    def put(self, path: Path, *, address: str | None = None, durable: bool = False) -> tuple[str, int]:
        """Move a file in by rename, unless the same one is there; a damaged one is replaced."""
        address = address or digest_of(path)
        target = self.path(address)
        size = path.stat().st_size
        if self.fetch(address, size, verify=durable):
            path.unlink()
        else:
            path.chmod(0o444)
            os.utime(path, ns=(STAMP, STAMP))
            target.parent.mkdir(exist_ok=True)
            os.replace(path, target)
        if durable:
            with target.open("rb") as file:
                os.fsync(file.fileno())
            flush_folder(target.parent)
            flush_folder(self.folder)
        return address, size

    def fetch(self, address: str, size: int, *, verify: bool = True) -> Path | None:
        """Return the file, None when it is absent or not what was put there."""
        path = self.path(address)
        try:
            status = path.stat()
        except FileNotFoundError:
            return None
        if status.st_size != size:
            return None
        touched = status.st_mtime_ns != STAMP
        if address.startswith(UNIQUE):  # there is no digest to compare
            return None if touched else path
        if (verify or touched) and digest_of(path) != address:
            return None
        return path

    def has(self, address: str, size: int) -> bool:
        """Tell whether the file is there."""
        return self.fetch(address, size, verify=False) is not None

    def describe(self, address: str) -> str:
        """Say what lies at an address now."""
        path = self.path(address)
        return f"{digest_of(path)} ({path.stat().st_size} bytes)" if path.is_file() else "no file"

    def delete(self, address: str) -> None:
        """Remove a file; an absent one is no error."""
        self.path(address).unlink(missing_ok=True)

    def addresses(self, older_than: float) -> Iterator[str]:
        """Yield addresses by the time at which the file was put in place."""
        latest = time.time() - older_than
        for folder in self.folder.iterdir():
            if folder.name.startswith(".") or not folder.is_dir():
                continue
            for entry in os.scandir(folder):
                if entry.stat().st_ctime < latest:
                    yield entry.name

    def orphans(self, known: Collection[str], older_than: float) -> Iterator[tuple[str, int]]:
        """Yield address and size of files that are old enough and not known."""
        for address in self.addresses(older_than):
            if address not in known:
                yield address, self.path(address).stat().st_size

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give an empty folder on the objects' own file system."""
        folder = self._scratch / f"{socket.gethostname()}~{os.getpid()}.{uuid.uuid4().hex[:12]}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def opened(self) -> Path:
        """Folder of opened bundles and file sets."""
        return self._opened

    def path(self, address: str) -> Path:
        """Return where the file of an address lies."""
        return self.folder / address[:2] / address


class RemoteObjects(Objects):
    """Objects at an fsspec address, with a local copy of each that was used.

    Args:
        filesystem: fsspec file system.
        root: folder on it.
        local: the copies.
    """

    def __init__(self, filesystem: Any, root: str, local: LocalObjects) -> None:
        self.filesystem = filesystem
        self.root = root.rstrip("/")
        self.local = local

    def put(self, path: Path, *, address: str | None = None, durable: bool = False) -> tuple[str, int]:
        """Move a file into the local copies, then upload it under a temporary name and rename it."""
        address, size = self.local.put(path, address=address, durable=durable)
        target = self._path(address)
        temporary = f"{self.root}/.tmp/{uuid.uuid4().hex}"
        with self._reached():
            for folder in (f"{self.root}/.tmp", target.rpartition("/")[0]):
                self.filesystem.makedirs(folder, exist_ok=True)
            self.filesystem.put_file(str(self.local.path(address)), temporary)
            self.filesystem.mv(temporary, target)
        return address, size

    def fetch(self, address: str, size: int, *, verify: bool = True) -> Path | None:
        """Return the local copy, downloaded when there is none; what was downloaded is always compared."""
        path = self.local.fetch(address, size, verify=verify)
        if path is not None:
            return path
        with self.local.scratch() as folder:
            copy = folder / "object"
            with self._reached():
                if not self.filesystem.exists(self._path(address)):
                    return None
                self.filesystem.get_file(self._path(address), str(copy))
            if copy.stat().st_size != size:
                return None
            if not address.startswith(UNIQUE) and digest_of(copy) != address:
                return None
            self.local.put(copy, address=address)
        return self.local.path(address)

    def has(self, address: str, size: int) -> bool:
        """Tell whether the file is at the remote address; a local copy is no use to others."""
        with self._reached():
            path = self._path(address)
            return bool(self.filesystem.exists(path) and self.filesystem.size(path) == size)

    def describe(self, address: str) -> str:
        """Say what lies in the local copies and at the remote address now."""
        with self._reached():
            there = "a file" if self.filesystem.exists(self._path(address)) else "no file"
        return f"{self.local.describe(address)} in the local copies, {there} at {self._path(address)}"

    def delete(self, address: str) -> None:
        """Remove the file and its local copy."""
        self.local.delete(address)
        with self._reached():
            if self.filesystem.exists(self._path(address)):
                self.filesystem.rm_file(self._path(address))

    def addresses(self, older_than: float) -> Iterator[str]:
        """Yield the addresses of local copies by their age: what this machine put there or used."""
        return self.local.addresses(older_than)

    def orphans(self, known: Collection[str], older_than: float) -> Iterator[tuple[str, int]]:
        """Yield address and size of what lies at the remote address; its age is told by its own clock, not by ours."""
        with self._reached():
            mark = f"{self.root}/.tmp/clock-{uuid.uuid4().hex}"
            self.filesystem.makedirs(f"{self.root}/.tmp", exist_ok=True)
            self.filesystem.pipe_file(mark, b"")
            latest = self.filesystem.modified(mark).timestamp() - older_than
            self.filesystem.rm_file(mark)
            listed = self.filesystem.find(self.root, detail=True)
            for path, record in listed.items():
                address = path.rpartition("/")[2]
                if not path.endswith(self._path(address)) or address in known:
                    continue
                if self.filesystem.modified(path).timestamp() < latest:
                    yield address, int(record["size"])

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Turn what clients of object stores raise into an error that says what to look at."""
        try:
            yield
        except OSError:  # told by whoever knows what was being done
            raise
        except Exception as error:
            raise StoreError(
                f"The store's files cannot be reached ({type(error).__name__}: {error})",
                where=self.root,
                hint="check 'store.root', the network, and the credentials that its client library reads",
            ) from error

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give an empty local folder."""
        with self.local.scratch() as folder:
            yield folder

    @property
    def opened(self) -> Path:
        """Folder of opened bundles and file sets, on the local disk."""
        return self.local.opened

    def _path(self, address: str) -> str:
        return f"{self.root}/{address[:2]}/{address}"
