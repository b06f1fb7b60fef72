"""Secrets and their versions."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "secrets",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("path", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("kms_key", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("annotations", sa.Text(), nullable=False),
        sa.Column("access_policy", sa.Text(), nullable=True),
        sa.Column("highest_version", sa.Integer(), nullable=False),
        sa.Column("object_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("last_accessed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("organisation", "identity", name=op.f("pk_secrets")),
    )
    op.create_index("ux_secrets_path", "secrets", ["organisation", "region", "project", "path"], unique=True)
    op.create_table(
        "secret_versions",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("value_format", sa.Text(), nullable=False),
        sa.Column("kms_key_version", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("destroyed_at", sa.BigInteger(), nullable=True),
        sa.Column("last_accessed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation", "secret"],
            ["secrets.organisation", "secrets.identity"],
            name=op.f("fk_secret_versions_organisation_secret"),
        ),
        sa.PrimaryKeyConstraint("organisation", "secret", "version", name=op.f("pk_secret_versions")),
    )
