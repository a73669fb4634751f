"""Sweeps and their jobs."""

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"

MOMENT = sa.String(40)


def upgrade() -> None:
    """Make the ledger of sweeps."""
    op.create_table(
        "mlframe_sweeps",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("name", sa.Text, nullable=False, index=True),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("started", MOMENT, nullable=False, index=True),
        sa.Column("finished", MOMENT),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("pid_started", sa.Text),
        sa.Column("record", sa.JSON, nullable=False),
    )
    op.create_table(
        "mlframe_sweep_jobs",
        sa.Column("sweep_id", sa.String(40), sa.ForeignKey("mlframe_sweeps.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("record", sa.JSON, nullable=False),
    )
