"""Run by alembic; the connection is handed over by `Database.migrate`."""

from alembic import context

handed = context.config.attributes
context.configure(connection=handed["connection"], target_metadata=handed["metadata"], render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
