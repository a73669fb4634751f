"""A folder with a champion, made once and copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from operating_place import Place, table


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a champion that knows nothing (version 1), and one that knows (version 2)."""
    folder = tmp_path_factory.mktemp("operating") / "made"
    folder.mkdir()
    table(400).write_csv(folder / "rows.csv")
    place = Place(folder)
    place.train("model=dummy", promote=1)
    place.train("model=linear")
    return folder


@pytest.fixture
def place(_made: Path, tmp_path: Path) -> Place:
    """Return a copy of the folder, with 200 more rows than the champion was trained on."""
    folder = tmp_path / "work"
    shutil.copytree(_made, folder)
    table(600).write_csv(folder / "rows.csv")
    return Place(folder)
