"""Gives objects their file names back, in a folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from mlframe.store.objects import Objects

__all__ = ["open_folder", "place", "remove_opened"]


def place(paths: Mapping[str, Path], folder: Path) -> None:
    """Put files into a folder under their names: hard links, or copies where the file system has no links.

    Args:
        paths: name (with `/` between parts) to file.
        folder: existing folder.
    """
    for name, path in paths.items():
        target = folder / PurePosixPath(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, target)
        except OSError:
            shutil.copy2(path, target)


def open_folder(paths: Mapping[str, Path], addresses: Mapping[str, str], objects: Objects) -> Path:
    """Return a lasting folder with files under their names, the same one for the same files.

    A folder in which anything was changed, added or removed is replaced.

    Args:
        paths: name to file, already verified.
        addresses: name to address.
        objects: where the files come from.
    """
    text = "\n".join(f"{addresses[name]} {name}" for name in sorted(addresses))
    folder = objects.opened / hashlib.sha256(text.encode()).hexdigest()[:32]
    if _is_made_of(folder, paths):
        os.utime(folder)
        return folder
    with objects.scratch() as scratch:
        made = scratch / "folder"
        made.mkdir()
        place(paths, made)
        if folder.exists():
            os.replace(folder, scratch / f"old-{uuid.uuid4().hex}")
        try:
            os.replace(made, folder)
        except OSError:
            if not _is_made_of(folder, paths):  # else another process was faster
                raise
    return folder


def remove_opened(objects: Objects, older_than: float) -> None:
    """Remove folders that `open_folder` did not give for so many seconds; they are made again when asked for."""
    latest = time.time() - older_than
    for folder in objects.opened.iterdir():
        if folder.stat().st_mtime < latest:
            shutil.rmtree(folder, ignore_errors=True)


def _is_made_of(folder: Path, paths: Mapping[str, Path]) -> bool:
    if not folder.is_dir():
        return False
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
    return found.keys() == paths.keys() and all(
        not found[name].is_symlink() and found[name].samefile(path) for name, path in paths.items()
    )
