"""Whose rows windows and alarms are of: those of the prediction log, or of a file or table."""

import json

import sqlalchemy as sa
from alembic import op

revision = "5"
down_revision = "4"

KEYS = ("name", "version", "since", "until")
UNNAMED = {"uq": "uq_%(table_name)s_%(column_0_name)s"}
"""SQLite's constraint of version 4 has no name; this is what Alembic calls it while it copies the table."""


def _source() -> sa.Column[str]:
    return sa.Column("source", sa.Text, nullable=False, server_default="log")


def upgrade() -> None:
    """Add the columns, filled from what the records say, and let each source have windows of its own."""
    tables = op.get_bind()
    op.add_column("mlframe_alarms", _source())
    unique = sa.inspect(tables).get_unique_constraints("mlframe_windows")
    old = next(item["name"] for item in unique if tuple(item["column_names"]) == KEYS)
    with op.batch_alter_table("mlframe_windows", naming_convention=UNNAMED) as windows:
        windows.add_column(_source())
        windows.drop_constraint(old or "uq_mlframe_windows_name", type_="unique")
        windows.create_unique_constraint("mlframe_windows_of", ["name", "source", *KEYS[1:]])
    for name in ("mlframe_windows", "mlframe_alarms"):
        table = sa.table(name, sa.column("id"), sa.column("source"), sa.column("record"))
        for number, record in tables.execute(sa.select(table.c.id, table.c.record)).all():
            known = (json.loads(record) if isinstance(record, str) else record).get("source")
            if known:
                tables.execute(table.update().where(table.c.id == number).values(source=known))
