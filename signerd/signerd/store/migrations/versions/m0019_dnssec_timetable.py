"""What the owner of a zone of the API chose, and what the timetable of its keys says."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the columns; a key chosen before counts as named, so that no other one takes its place."""
    op.add_column(
        "dns_dnssec", sa.Column("is_key_named", sa.Integer(), nullable=False, server_default=sa.text("1"))
    )
    op.add_column("dns_dnssec", sa.Column("settles_at", sa.BigInteger(), nullable=True))
