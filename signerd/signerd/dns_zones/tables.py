"""Tables of zones and records. Times are seconds since 1970, UTC."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from signerd_kms.schema import NAMING

metadata = MetaData(naming_convention=NAMING)

dns_zones = Table(
    "dns_zones",
    metadata,
    Column("identity", Text, primary_key=True),
    Column("organisation", Text, nullable=False),
    Column("project", Text),
    Column("name", Text, nullable=False),  # lower case, without trailing dot
    Column("slug", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("labels", Text, nullable=False),  # JSON object of strings
    Column("annotations", Text, nullable=False),  # JSON object of strings
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("object_version", Integer, nullable=False),
    Column("data_version", BigInteger, nullable=False),  # rises with each change of records
    UniqueConstraint("name"),
)
Index("ix_dns_zones_organisation_project", dns_zones.c.organisation, dns_zones.c.project)

dns_records = Table(
    "dns_records",
    metadata,
    Column("identity", Text, primary_key=True),
    Column("zone", Text, nullable=False),
    Column("name", Text, nullable=False),  # relative, as sent
    Column("owner", LargeBinary, nullable=False),  # wire form, lower case
    Column("type", Text, nullable=False),
    Column("ttl", Integer, nullable=False),
    Column("values", Text, nullable=False),  # JSON array of strings, as sent
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger),  # NULL: never changed
    ForeignKeyConstraint(["zone"], ["dns_zones.identity"]),
    UniqueConstraint("zone", "owner", "type"),
)

# What led from one data version to the next: tells why a version is served, and what to read again.
dns_change_sets = Table(
    "dns_change_sets",
    metadata,
    Column("zone", Text, primary_key=True),
    Column("data_version", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text),
    Column("request_id", Text),
    Column("action", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("owners", Text),  # JSON array of owner names in hexadecimal; NULL: too many to list
    Column("serial", BigInteger),  # of the first version that was published with it
    ForeignKeyConstraint(["zone"], ["dns_zones.identity"]),
)

# Deleted zones whose service may not have ended yet: a crash between the two must not let it go on.
dns_zone_removals = Table(
    "dns_zone_removals",
    metadata,
    Column("name", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
)
