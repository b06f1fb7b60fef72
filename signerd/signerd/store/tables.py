"""All tables of the program, one list: what the migrations must add up to."""

from sqlalchemy import MetaData

from signerd.platform import tables as platform_tables
from signerd.store import zone_tables
from signerd_kms import schema as kms_schema

METADATA: tuple[MetaData, ...] = (kms_schema.metadata, platform_tables.metadata, zone_tables.metadata)
