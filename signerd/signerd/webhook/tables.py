"""The outbox: what is still to be delivered. Times are seconds since 1970, UTC."""

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, UniqueConstraint

from signerd_kms.schema import NAMING

metadata = MetaData(naming_convention=NAMING)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("webhook", Text, nullable=False),  # its name in the configuration
    Column("event", Text, nullable=False),  # identity
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("next_attempt_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_error", Text),
    UniqueConstraint("webhook", "event"),
    sqlite_autoincrement=True,  # the order of events outlives their rows
)
Index(
    "ix_webhook_deliveries_webhook_next_attempt_at",
    webhook_deliveries.c.webhook,
    webhook_deliveries.c.next_attempt_at,
)
