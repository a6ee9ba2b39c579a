"""Add the main protocol of every split; those that exist are ranked by SegEarth-R1's."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Change the tables."""
    with op.batch_alter_table("splits", schema=None) as batch_op:
        batch_op.add_column(sa.Column("main_protocol", sa.String(40), nullable=False, server_default="segearth-r1"))
