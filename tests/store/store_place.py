"""Makes stores in a test's folder, on SQLite or on a PostgreSQL server."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import servers

from mlframe.store import Store


@dataclass
class Place:
    """Makes stores in a test's folder.

    Args:
        folder: the test's folder.
        kind: sqlite | postgresql.
        server: PostgreSQL, for the latter.
        made: what is removed after the test.
    """

    folder: Path
    kind: str
    server: servers.Postgres | None
    made: ExitStack
    _urls: dict[str, str] = field(default_factory=dict)

    def where(self, name: str = "store") -> tuple[str, str | None]:
        """Return root and address of the tables of a store; the same name is the same store."""
        if self.server is None:
            return str(self.folder / name), None
        if name not in self._urls:
            self._urls[name] = self.made.enter_context(self.server.schema())
        return str(self.folder / name), self._urls[name]

    def open(self, name: str = "store", **options: Any) -> Store:
        """Open a store; it is made when it is not there."""
        return Store.open(*self.where(name), **options)
