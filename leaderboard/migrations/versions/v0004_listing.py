"""Add the listing, a form of the public rows that the database can filter and sort, and a log of their changes.

The tables are filled by `listing.bring_up_to_date` after the migrations.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ORDERED = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")


def upgrade() -> None:
    """Change the tables."""
    op.add_column("board_version", sa.Column("listing_form", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "board_changes",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("split", sa.String(81), nullable=True),
        sa.Column("entry_id", sa.String(200), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_board_changes")),
    )
    op.create_table(
        "listed_tables",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("split", sa.String(81), nullable=False),
        sa.Column("protocol", sa.String(40), nullable=False),
        sa.Column("subset", sa.String(200), nullable=False),
        sa.Column("breakdown", sa.String(80), nullable=False),
        sa.Column("group_name", sa.String(120), nullable=False),
        sa.Column("questions", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listed_tables")),
        sa.UniqueConstraint("split", "protocol", "subset", name=op.f("uq_listed_tables_split")),
    )
    op.create_table(
        "listed_columns",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("table_id", sa.Integer(), nullable=False),
        sa.Column("metric", sa.String(40), nullable=False),
        sa.ForeignKeyConstraint(
            ["table_id"], ["listed_tables.id"], name=op.f("fk_listed_columns_table_id_listed_tables")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listed_columns")),
        sa.UniqueConstraint("table_id", "metric", name=op.f("uq_listed_columns_table_id")),
    )
    op.create_table(
        "listed_rows",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("entry_id", _ORDERED, nullable=False),
        sa.Column("split", sa.String(81), nullable=False),
        sa.Column("team", sa.String(120), nullable=False),
        sa.Column("name", _ORDERED, nullable=False),
        sa.Column("searched", sa.Text(), nullable=False),
        sa.Column("training", sa.String(16), nullable=False),
        sa.Column("parameters", sa.Double(), nullable=True),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("published", sa.Double(), nullable=False),
        sa.Column("flag", sa.Text(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("earthreason", sa.String(40), nullable=False),
        sa.Column("dataset_sha256", sa.String(64), nullable=False),
        sa.Column("predictions_sha256", sa.String(64), nullable=False),
        sa.Column("resamples", sa.Integer(), nullable=False),
        sa.Column("decimals", sa.Integer(), nullable=True),
        sa.Column("fingerprint", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listed_rows")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_listed_rows_entry_id")),
    )
    op.create_index("ix_listed_rows_day", "listed_rows", ["split", "day"])
    op.create_index("ix_listed_rows_model", "listed_rows", ["team", "name"])
    op.create_index(
        "ix_listed_rows_order", "listed_rows", ["split", "published", "entry_id", "training", "day", "parameters"]
    )
    op.create_table(
        "listed_scores",
        sa.Column("column_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("row_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("column_id", "row_id", name=op.f("pk_listed_scores")),
        sqlite_with_rowid=False,
    )
