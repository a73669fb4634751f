"""Stores as older versions of mlframe left them, from their own SQL and files in `old/`."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import sqlalchemy as sa
from store_place import Place

from mlframe.store.objects import LocalObjects

OLD = Path(__file__).with_name("old")


def make_old(place: Place, schema: int, name: str = "store") -> None:
    """Put a store of a schema version at a place: three versions of `email`, the first one champion again."""
    root, url = place.where(name)
    objects = LocalObjects(Path(root) / "objects")
    objects.prepare()
    for file in (OLD / "objects").iterdir():
        with objects.scratch() as scratch:
            (scratch / "file").write_bytes(file.read_bytes())
            objects.put(scratch / "file")
    script = (OLD / f"schema{schema}.{place.kind}.sql").read_text(encoding="utf-8")
    if url is None:
        connection = sqlite3.connect(Path(root) / "mlframe.db")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(script)
        connection.close()
    else:
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with engine.begin() as linked:
            linked.exec_driver_sql(script.replace("%", "%%"))
