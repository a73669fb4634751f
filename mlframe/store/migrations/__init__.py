"""Brings the tables of older stores up to date with Alembic: a revision a schema version, named by its number.

A change of the tables: change `mlframe/store/metadata.py`, raise `SCHEMA_VERSION`, and write
`versions/v<number>_<what>.py` that makes the same change to a store that exists. A test compares both ways.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlframe.store import metadata as db

if TYPE_CHECKING:
    import sqlalchemy as sa

__all__ = ["migrate"]


def migrate(connection: sa.Connection, target: int = db.SCHEMA_VERSION) -> None:
    """Run the revisions between the store's version and another one, inside the caller's transaction.

    Args:
        connection: a connection of `Database.write`; it sees the store's tables, or none.
        target: the schema version to reach.
    """
    import sqlalchemy as sa
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    found = db.schema_version(connection)
    if found is not None and not sa.inspect(connection).has_table(db.revision.name):
        command.stamp(config, str(found))  # made before Alembic kept count
    command.upgrade(config, str(target))
    if found is None:
        connection.execute(db.meta.insert().values(key="schema", value=str(target)))
    else:
        connection.execute(db.meta.update().where(db.meta.c.key == "schema").values(value=str(target)))
