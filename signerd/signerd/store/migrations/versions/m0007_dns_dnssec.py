"""DNSSEC of the zones of the API, and where the KMS keys of zones live."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "dns_dnssec",
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("zone_identity", sa.Text(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("region_text", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("kms_key", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=True),
        sa.Column("enabled_at", sa.BigInteger(), nullable=False),
        sa.Column("last_signed_at", sa.BigInteger(), nullable=True),
        sa.Column("sign_error", sa.Text(), nullable=True),
        sa.Column("sign_error_since", sa.BigInteger(), nullable=True),
        sa.Column("signatures_until", sa.BigInteger(), nullable=True),
        sa.Column("next_probe_at", sa.BigInteger(), nullable=True),
        sa.Column("is_delegated", sa.Integer(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state IN ('signed', 'awaiting', 'unsigning', 'off')", name=op.f("ck_dns_dnssec_state_known")
        ),
        sa.PrimaryKeyConstraint("zone", name=op.f("pk_dns_dnssec")),
    )
    op.create_index("ix_dns_dnssec_next_probe_at", "dns_dnssec", ["next_probe_at"])
    for name in ("kms_organisation", "kms_region", "kms_project"):
        op.add_column("zone_signing_keys", sa.Column(name, sa.Text(), nullable=True))
