"""Add the time at which a submission was queued, and whether the server caused its failure."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_submissions = sa.table(
    "submissions",
    sa.column("state", sa.String),
    sa.column("error", sa.Text),
    sa.column("uploaded", sa.Double),
    sa.column("queued_at", sa.Double),
    sa.column("host_fault", sa.Boolean),
)
_OUR_FAULTS = ("scoring stopped without a result %", "scoring failed by a fault of ours%")


def upgrade() -> None:
    """Change the tables."""
    op.add_column("submissions", sa.Column("queued_at", sa.Double(), nullable=True))
    op.add_column("submissions", sa.Column("host_fault", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(_submissions.update().values(queued_at=_submissions.c.uploaded))
    ours = sa.or_(*(_submissions.c.error.like(text) for text in _OUR_FAULTS))
    op.execute(_submissions.update().where(_submissions.c.state == "failed", ours).values(host_fault=True))
