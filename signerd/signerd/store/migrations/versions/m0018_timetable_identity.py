"""Which zone of the API a timetable is of: names are used again."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the column, and fill it in."""
    op.add_column("zone_timetables", sa.Column("identity", sa.Text(), nullable=True))
    op.execute(
        "UPDATE zone_timetables SET identity = "
        "(SELECT dns_zones.identity FROM dns_zones WHERE dns_zones.name || '.' = zone_timetables.zone)"
    )
