"""The number that every change of the platform's tables raises, so that answers from memory are never old."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the table and its row."""
    made = op.create_table(
        "platform_generation",
        sa.Column("only", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("only", name=op.f("pk_platform_generation")),
    )
    op.bulk_insert(made, [{"only": 1, "value": 1}])
