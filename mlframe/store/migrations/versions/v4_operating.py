"""What monitors saw, alarms, decisions, and the state of the loop that operates a model."""

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"

MOMENT = sa.String(40)


def upgrade() -> None:
    """Make the tables of windows, alarms, decisions and operations."""
    op.create_table(
        "mlframe_windows",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(200), nullable=False, index=True),
        sa.Column("version", sa.String(220), nullable=False),
        sa.Column("since", MOMENT, nullable=False, index=True),
        sa.Column("until", MOMENT, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("observed", MOMENT, nullable=False),
        sa.Column("record", sa.JSON, nullable=False),
        sa.UniqueConstraint("name", "version", "since", "until"),
    )
    op.create_table(
        "mlframe_alarms",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(200), nullable=False, index=True),
        sa.Column("key", sa.String(300), nullable=False),
        sa.Column("severity", sa.String(20), nullable=False),
        sa.Column("status", sa.String(20), nullable=False, index=True),
        sa.Column("first", MOMENT, nullable=False),
        sa.Column("last", MOMENT, nullable=False),
        sa.Column("record", sa.JSON, nullable=False),
    )
    op.create_table(
        "mlframe_decisions",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(200), nullable=False, index=True),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("when", MOMENT, nullable=False),
        sa.Column("record", sa.JSON, nullable=False),
    )
    op.create_table(
        "mlframe_operations",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("holder", sa.String(80)),
        sa.Column("until", MOMENT),
        sa.Column("record", sa.JSON, nullable=False),
    )
