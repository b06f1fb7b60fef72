"""Signed checkpoints of the audit log, and what it is searched by."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Change the tables."""
    op.add_column("audit_entries", sa.Column("status", sa.Integer(), nullable=True))
    op.add_column("audit_entries", sa.Column("description", sa.Text(), nullable=True))
    op.add_column("audit_heads", sa.Column("start", sa.BigInteger(), nullable=True))
    for column in ("action", "resource"):
        op.drop_index(f"ix_audit_entries_chain_{column}", table_name="audit_entries")
    for column in ("action", "actor", "resource"):
        op.create_index(
            f"ix_audit_entries_chain_{column}_sequence",
            "audit_entries",
            ["chain", column, "sequence"],
            unique=False,
        )
    op.create_table(
        "audit_checkpoints",
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "sequence", name=op.f("pk_audit_checkpoints")),
    )
    op.create_table(
        "audit_keys",
        sa.Column("verifier", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("verifier", name=op.f("pk_audit_keys")),
    )
