"""Runs and their steps, the step cache, versions with their files and aliases, the log, uses of holdouts."""

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None

MOMENT = sa.String(40)


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "mlframe_meta",
        sa.Column("key", sa.String(40), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "mlframe_runs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False, index=True),
        sa.Column("group", sa.Text, index=True),
        sa.Column("status", sa.String(20), nullable=False, index=True),
        sa.Column("started", MOMENT, nullable=False, index=True),
        sa.Column("finished", MOMENT),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("pid_started", sa.Text),
        sa.Column("config", sa.JSON, nullable=False),
        sa.Column("unresolved", sa.JSON, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("summary", sa.JSON, nullable=False),
        sa.Column("extra", sa.JSON, nullable=False),
    )
    op.create_table(
        "mlframe_steps",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String(40), sa.ForeignKey("mlframe_runs.id"), nullable=False, index=True),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("cached", sa.Boolean, nullable=False),
        sa.Column("key", sa.Text),
        sa.Column("peak_memory", sa.BigInteger),
        sa.Column("error", sa.Text),
    )
    op.create_table(
        "mlframe_artifacts",
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("used", MOMENT, nullable=False, index=True),
    )
    op.create_table(
        "mlframe_artifact_files",
        sa.Column("key", sa.String(200), sa.ForeignKey("mlframe_artifacts.key", ondelete="CASCADE"), primary_key=True),
        sa.Column("file", sa.String(500), primary_key=True),
        sa.Column("address", sa.String(80), nullable=False, index=True),
        sa.Column("size", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "mlframe_names",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("last", sa.Integer, nullable=False),
    )
    op.create_table(
        "mlframe_versions",
        sa.Column("name", sa.String(200), sa.ForeignKey("mlframe_names.name"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("figures", sa.JSON, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
    )
    version = (["name", "number"], ["mlframe_versions.name", "mlframe_versions.number"])
    op.create_table(
        "mlframe_version_files",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("file", sa.String(500), primary_key=True),
        sa.Column("address", sa.String(80), nullable=False, index=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(*version),
    )
    op.create_table(
        "mlframe_aliases",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("alias", sa.String(80), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(*version),
    )
    op.create_table(
        "mlframe_log",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(200), sa.ForeignKey("mlframe_names.name"), nullable=False, index=True),
        sa.Column("alias", sa.String(80), nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("before", sa.Integer),
        sa.Column("after", sa.Integer, nullable=False),
        sa.Column("when", MOMENT, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
    )
    op.create_table(
        "mlframe_holdout_uses",
        sa.Column("run_id", sa.String(40), sa.ForeignKey("mlframe_runs.id"), primary_key=True),
        sa.Column("split_key", sa.String(200), primary_key=True, index=True),
        sa.Column("data_fingerprint", sa.Text, nullable=False),
        sa.Column("when", MOMENT, nullable=False),
    )
