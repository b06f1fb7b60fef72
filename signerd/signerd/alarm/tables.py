"""The table of alarms that are on. Times are seconds since 1970, UTC."""

from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from signerd_kms.schema import NAMING

metadata = MetaData(naming_convention=NAMING)

alarms = Table(
    "alarms",
    metadata,
    Column("source", Text, primary_key=True),
    Column("zone", Text, primary_key=True),  # without final dot; empty if it is not about a zone
    Column("code", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("reminded_at", BigInteger),
)
