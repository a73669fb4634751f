"""Prediction servers and API keys."""

import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"

MOMENT = sa.String(40)


def upgrade() -> None:
    """Make the tables of prediction servers and of their keys."""
    op.create_table(
        "mlframe_servers",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False, index=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("pid_started", sa.Text),
        sa.Column("started", MOMENT, nullable=False),
        sa.Column("seen", MOMENT, nullable=False),
        sa.Column("record", sa.JSON, nullable=False),
    )
    op.create_table(
        "mlframe_keys",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False, unique=True),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("revoked", MOMENT),
    )
