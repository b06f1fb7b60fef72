"""Approvals of exports by a second person."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "kms_export_approvals",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("approved_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation", "identity"],
            ["kms_keys.organisation", "kms_keys.identity"],
            name=op.f("fk_kms_export_approvals_organisation_identity"),
        ),
        sa.PrimaryKeyConstraint("organisation", "identity", "actor", name=op.f("pk_kms_export_approvals")),
    )
