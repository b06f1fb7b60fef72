"""The key timetables of zones, and what each key is called there."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Make the table, and add the column."""
    op.create_table(
        "zone_timetables",
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=False),
        sa.Column("probed_at", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("zone", name=op.f("pk_zone_timetables")),
    )
    op.add_column("zone_signing_keys", sa.Column("timetable_name", sa.Text(), nullable=True))
