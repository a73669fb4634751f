"""The revisions; Alembic finds them by the numbers in them."""
