"""What the first generation of the root key gave, and how far a rewrapping has come."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "kms_derived_keys",
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("root_generation", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("key_check", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("label", name=op.f("pk_kms_derived_keys")),
    )
    op.create_table(
        "kms_rewraps",
        sa.Column("only", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("rewrapped", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("only = 1", name=op.f("ck_kms_rewraps_one_row")),
        sa.PrimaryKeyConstraint("only", name=op.f("pk_kms_rewraps")),
    )
