"""The step cache: values by key, dropped when damaged, evicted when old."""

from __future__ import annotations

import logging
import os
import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mlframe.errors import StoreError
from mlframe.store import metadata as db
from mlframe.store.codecs import FRAME, Codec, Codecs
from mlframe.store.folders import open_folder, place, remove_opened
from mlframe.store.objects import UNIQUE, Objects, unique_address

__all__ = ["ArtifactEntry", "Artifacts"]

BULKY = 4 << 20
"""Bytes from which a file of a bulky kind gets a unique address instead of its digest."""

ORPHANED = 3600.0
"""Seconds after which a file that nothing refers to is what a killed process left, not one that is being recorded."""

_log = logging.getLogger("mlframe.store")


@dataclass(frozen=True)
class ArtifactEntry:
    """A value in the step cache.

    Args:
        key: digest of all that it depends on.
        step: step that gave it.
        kind: kind of artifact.
        name: name of the artifact.
        files: file name to address and size in bytes.
        created: when it was saved.
    """

    key: str
    step: str
    kind: str
    name: str
    files: dict[str, tuple[str, int]]
    created: str

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(size for _, size in self.files.values())


class Artifacts:
    """Reads and writes the step cache.

    Args:
        database: the store's tables.
        objects: the store's files.
        codecs: the known kinds.
    """

    def __init__(self, database: db.Database, objects: Objects, codecs: Codecs) -> None:
        self._database = database
        self._objects = objects
        self._codecs = codecs
        self._frames: dict[int, tuple[weakref.ref[Any], Any, str, int]] = {}
        self._written: dict[int, tuple[weakref.ref[Any], dict[str, tuple[str, int]]]] = {}

    def save(self, step: str, values: Sequence[tuple[str, str, str, Any]]) -> list[ArtifactEntry]:
        """Keep values of a step, all of them or none; one that has the key is replaced.

        Args:
            step: the step.
            values: key, kind, name and value of each.
        """
        entries = [self._write(step, *value) for value in values]
        for address in self._record(entries):
            if address.startswith(UNIQUE):  # nothing else can refer to it, and it is large
                self._objects.delete(address)
        return entries

    def _write(self, step: str, key: str, kind: str, name: str, value: Any) -> ArtifactEntry:
        """Write the files of a value."""
        codec = self._codecs[kind]
        known = self._written.get(id(value)) if codec.final else None
        if known is not None and known[0]() is value and self._there(known[1]):  # steps hand models on unchanged
            return ArtifactEntry(key, step, kind, name, known[1], db.now())
        with self._objects.scratch() as folder:
            self._link(codec, value, folder)
            codec.save(value, folder)
            files = {
                path.relative_to(folder).as_posix(): self._objects.put(path, address=_address(codec, path))
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            }
        if codec.bulky and FRAME in files:
            self._remember(value, *files[FRAME])
        if codec.final:
            number, written = id(value), self._written
            written[number] = (weakref.ref(value, lambda _: written.pop(number, None)), files)
        return ArtifactEntry(key, step, kind, name, files, db.now())

    def _there(self, files: Mapping[str, tuple[str, int]]) -> bool:
        return all(self._objects.fetch(address, size, verify=False) for address, size in files.values())

    def _link(self, codec: Codec, value: Any, folder: Path) -> None:
        """Put a hard link where a frame would be written that this process has saved: steps hand rows on unchanged."""
        frame = getattr(value, "frame", value)
        known = self._frames.get(id(frame))
        saved = known[0]() if codec.bulky and known else None
        if known is None or saved is None or saved is not frame:
            return
        _, same, address, size = known
        if same.schema != frame.schema or not same.equals(frame):  # somebody changed it in place
            return
        path = self._objects.fetch(address, size, verify=False)
        if path is not None:
            try:
                os.link(path, folder / FRAME)
            except OSError:  # a file system without links: the frame is written again
                return

    def _remember(self, value: Any, address: str, size: int) -> None:
        """Remember where a large frame lies, for as long as it lives; the copy, of the same memory, shows changes."""
        frame = getattr(value, "frame", value)
        if size >= BULKY:
            key, known = id(frame), self._frames
            known[key] = (weakref.ref(frame, lambda _: known.pop(key, None)), frame.clone(), address, size)

    def _record(self, entries: Sequence[ArtifactEntry]) -> list[str]:
        """Put entries into the tables and return the addresses of those that they replace."""
        keys = [entry.key for entry in entries]
        rows = [
            {"key": entry.key, "step": entry.step, "kind": entry.kind, "name": entry.name,
             "created": entry.created, "used": entry.created}
            for entry in entries
        ]  # fmt: skip
        files = [
            {"key": entry.key, "file": file, "address": address, "size": size}
            for entry in entries
            for file, (address, size) in entry.files.items()
        ]
        with self._database.write(f"saving {', '.join(entry.name for entry in entries)}") as connection:
            for key in sorted(keys):
                db.lock_key(connection, key)
            old = sa.select(db.artifact_files.c.address).where(db.artifact_files.c.key.in_(keys))
            superseded = list(connection.execute(old).scalars())
            connection.execute(db.artifacts.delete().where(db.artifacts.c.key.in_(keys)))
            connection.execute(db.artifacts.insert(), rows)
            if files:
                connection.execute(db.artifact_files.insert(), files)
        return superseded

    def size(self, key: str) -> int | None:
        """Return the bytes that the files of a key take, None when it is not there."""
        files = db.artifact_files.c
        with self._database.read("measuring an entry of the step cache") as connection:
            found = connection.execute(sa.select(sa.func.sum(files.size)).where(files.key == key)).scalar_one()
        return None if found is None else int(found)

    def find(self, key: str) -> ArtifactEntry | None:
        """Return the entry of a key after checking its files; None when there is none or a file is damaged."""
        own = db.artifact_files.c.key == key
        with self._database.read("looking into the step cache") as connection:
            row = connection.execute(sa.select(db.artifacts).where(db.artifacts.c.key == key)).mappings().first()
            rows = connection.execute(sa.select(db.artifact_files).where(own)).mappings().all()
        if row is None:
            return None
        files = {item["file"]: (item["address"], item["size"]) for item in rows}
        entry = ArtifactEntry(key, row["step"], row["kind"], row["name"], files, row["created"])
        damaged = [file for file, (at, size) in files.items() if self._objects.fetch(at, size) is None]
        if damaged:
            _log.warning(
                "step cache: %s of step %s is made again, because its file %s is missing or damaged",
                entry.name,
                entry.step,
                ", ".join(damaged),
            )
            with self._database.write("dropping a damaged entry of the step cache") as connection:
                # Only the entry that was looked at: another process may have saved a sound one meanwhile.
                mine = sa.and_(db.artifacts.c.key == key, db.artifacts.c.created == entry.created)
                connection.execute(db.artifacts.delete().where(mine))
            return None
        with self._database.write("marking an entry of the step cache as used") as connection:
            connection.execute(db.artifacts.update().where(db.artifacts.c.key == key).values(used=db.now()))
        return entry

    def load(self, entry: ArtifactEntry) -> Any:
        """Return the value of an entry that `find` has just given.

        Raises:
            StoreError: a file has gone since.
        """
        codec = self._codecs[entry.kind]
        paths = self._paths(entry)
        if paths is None:  # another process may have saved the same key again, with files of its own
            entry = self.find(entry.key) or entry
            paths = self._paths(entry)
        if paths is None:
            raise StoreError(
                f"{entry.name!r} of step {entry.step!r} has gone from the step cache while it was being read",
                where=self._database.where,
                hint="run the command again; the step will be done again",
            )
        if codec.lasting:
            return codec.load(open_folder(paths, {file: at for file, (at, _) in entry.files.items()}, self._objects))
        with self._objects.scratch() as folder:
            place(paths, folder)
            return codec.load(folder)

    def _paths(self, entry: ArtifactEntry) -> dict[str, Path] | None:
        paths = {}
        for file, (address, size) in entry.files.items():
            path = self._objects.fetch(address, size, verify=False)
            if path is None:
                return None
            paths[file] = path
        return paths

    def evict(self, max_bytes: int) -> int:
        """Remove the entries that were not used for longest until the cache is small enough.

        Files that versions use are neither counted nor removed. Files that nothing refers to go as well.

        Args:
            max_bytes: size that may stay.

        Returns:
            Bytes that were freed.
        """
        freed = 0
        with self._database.write("evicting from the step cache") as connection:
            db.lock_objects(connection)
            kept = set(connection.execute(sa.select(db.version_files.c.address)).scalars())
            order = connection.execute(sa.select(db.artifacts.c.key).order_by(db.artifacts.c.used)).scalars().all()
            files: dict[str, list[tuple[str, int]]] = {key: [] for key in order}
            for row in connection.execute(sa.select(db.artifact_files)).mappings():
                if row["address"] not in kept:
                    files[row["key"]].append((row["address"], row["size"]))
            uses = Counter(address for items in files.values() for address, _ in items)
            total = sum({address: size for items in files.values() for address, size in items}.values())
            for key in order:
                if total <= max_bytes:
                    break
                connection.execute(db.artifacts.delete().where(db.artifacts.c.key == key))
                for address, size in files[key]:
                    uses[address] -= 1
                    if uses[address] == 0:
                        self._objects.delete(address)
                        total -= size
                        freed += size
            known = kept | {address for address, count in uses.items() if count}
            for address in list(self._objects.addresses(ORPHANED)):
                if address not in known:
                    self._objects.delete(address)
        remove_opened(self._objects, ORPHANED)
        return freed


def _address(codec: Codec, path: Path) -> str | None:
    return unique_address() if codec.bulky and path.stat().st_size >= BULKY else None
