"""Name servers of parents that are ignored, and from when a new DS may be given to the parent."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the table and the column."""
    op.create_table(
        "ignored_parent_servers",
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("server", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("zone", "server", name=op.f("pk_ignored_parent_servers")),
    )
    op.add_column("dns_dnssec", sa.Column("ds_not_before", sa.BigInteger(), nullable=True))
    # Of a zone that was signed before, nobody noted it: what is signed now has long been in caches.
    op.execute("UPDATE dns_dnssec SET ds_not_before = last_signed_at WHERE state IN ('signed', 'unsigning')")
