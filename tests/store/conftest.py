"""Where stores are made: on SQLite and on PostgreSQL, so that every test of the store runs on both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from store_place import Place

from mlframe.store import Store


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Give what makes stores, once with SQLite and once with PostgreSQL."""
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    with ExitStack() as made:
        yield Place(tmp_path, request.param, server, made)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    """Give an empty store."""
    with place.open() as opened:
        yield opened
