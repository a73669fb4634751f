"""Alembic's entry: runs the revisions on the connection that `migrate` gives, in its transaction."""

from alembic import context

from mlframe.store import metadata as db

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=db.TABLES,
    version_table=db.revision.name,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
