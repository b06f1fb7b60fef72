"""Message counts and fingerprints of key versions; tombstones, imports, creations, zones of keys."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make them."""
    op.add_column(
        "kms_key_versions",
        sa.Column("reserved_messages", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.add_column("kms_key_versions", sa.Column("fingerprint", sa.LargeBinary(), nullable=True))
    op.create_index("ix_kms_key_versions_fingerprint", "kms_key_versions", ["organisation", "fingerprint"])
    op.create_index("ix_kms_keys_status", "kms_keys", ["status", "deletion_scheduled_at"])
    op.create_table(
        "kms_tombstones",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("key_check", sa.LargeBinary(), nullable=False),
        sa.Column("destroyed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "identity", "version", name=op.f("pk_kms_tombstones")),
    )
    op.create_table(
        "kms_wrapping_keys",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kek_generation", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("key_check", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "region", "generation", name=op.f("pk_kms_wrapping_keys")),
    )
    op.create_table(
        "kms_imported_blobs",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("imported_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "digest", name=op.f("pk_kms_imported_blobs")),
    )
    op.create_table(
        "kms_creations",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "organisation", "principal", "idempotency_key", name=op.f("pk_kms_creations")
        ),
    )
    op.create_table(
        "kms_zone_bindings",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("zone", sa.LargeBinary(), nullable=False),
        sa.Column("bound_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation", "identity"],
            ["kms_keys.organisation", "kms_keys.identity"],
            name=op.f("fk_kms_zone_bindings_organisation_identity"),
        ),
        sa.PrimaryKeyConstraint("organisation", "identity", "zone", name=op.f("pk_kms_zone_bindings")),
    )
    op.create_index("ix_kms_zone_bindings_zone", "kms_zone_bindings", ["organisation", "zone"])
