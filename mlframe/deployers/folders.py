"""A folder that a deployer writes: whole or not at all, and never over what somebody else has put there."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlframe.errors import DataError

__all__ = ["written_whole"]

MARK = "made_by_mlframe.json"


@contextmanager
def written_whole(folder: Path, reference: str) -> Iterator[Path]:
    """Give an empty folder to write to; it takes the place of `folder` when the block ends well.

    Args:
        folder: where to, an absolute path.
        reference: the version that it is for; a file in the folder tells it, and that a deployer has written the folder.

    Raises:
        DataError: there is a folder that no deployer has written.
    """
    if folder.exists() and not (folder / MARK).is_file():
        raise DataError(
            "The folder is there already, and was not written by this deployer",
            value=str(folder),
            where="output",
            hint="name a new folder",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        made = Path(scratch) / "new"
        made.mkdir()
        yield made
        (made / MARK).write_text(json.dumps({"version": reference}), encoding="utf-8")
        if folder.exists():
            os.replace(folder, Path(scratch) / "old")
        os.replace(made, folder)
