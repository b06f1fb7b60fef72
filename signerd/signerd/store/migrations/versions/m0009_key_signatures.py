"""Signatures of key sets that were made ahead."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "zone_key_signatures",
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("expiration", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("inception", sa.BigInteger(), nullable=False),
        sa.Column("rrsig", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("zone", "subject", "expiration", name=op.f("pk_zone_key_signatures")),
    )
