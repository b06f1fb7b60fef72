"""Keys that sign all RRsets of a zone, and not only its key sets."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the column, and allow the role; the keys bound so far sign key sets only."""
    op.add_column(
        "kms_zone_bindings", sa.Column("signs_data", sa.Integer(), nullable=False, server_default="0")
    )
    # SQLite makes the table anew, without the check that is replaced.
    with op.batch_alter_table("zone_signing_keys", recreate="auto") as batch:
        if op.get_context().dialect.name != "sqlite":
            batch.drop_constraint(op.f("ck_zone_signing_keys_role_known"), type_="check")
        batch.create_check_constraint(
            op.f("ck_zone_signing_keys_role_known"), "role IN ('ksk', 'zsk', 'csk')"
        )
