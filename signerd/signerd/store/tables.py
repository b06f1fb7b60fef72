"""All tables of the program: what the migrations must add up to."""

from sqlalchemy import MetaData

from signerd.alarm import tables as alarm_tables
from signerd.dns_zones import tables as dns_tables
from signerd.platform import iam_tables
from signerd.store import zone_tables
from signerd.webhook import tables as webhook_tables
from signerd_kms import schema as kms_schema
from signerd_secrets import schema as secrets_schema

OWNERS: tuple[MetaData, ...] = (
    kms_schema.metadata,
    iam_tables.users.metadata,
    zone_tables.metadata,
    dns_tables.metadata,
    secrets_schema.metadata,
    alarm_tables.metadata,
    webhook_tables.metadata,
)


def join_tables() -> MetaData:
    """Give copies of all tables in one MetaData."""
    joined = MetaData(naming_convention=kms_schema.NAMING)
    for owner in OWNERS:
        for table in owner.sorted_tables:
            table.to_metadata(joined)
    return joined
