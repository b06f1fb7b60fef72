"""Tables of the platform: organisations, regions, tokens, audit log. Times are seconds since 1970, UTC.

Who is who and what they may do is in `iam_tables.py`.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
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

organisations = Table(
    "organisations",
    metadata,
    Column("identity", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("object_version", Integer, nullable=False),
    Column("labels", Text, nullable=False, server_default="{}"),  # JSON object of strings
    Column("annotations", Text, nullable=False, server_default="{}"),  # JSON object of strings
    UniqueConstraint("slug"),
)

organisation_gates = Table(
    "organisation_gates",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("gate", Text, primary_key=True),
    Column("enabled", Boolean, nullable=False),
    ForeignKeyConstraint(["organisation"], ["organisations.identity"]),
)

regions = Table(
    "regions",
    metadata,
    Column("identity", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("kms_available", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("object_version", Integer, nullable=False),
    Column("labels", Text, nullable=False, server_default="{}"),  # JSON object of strings
    Column("annotations", Text, nullable=False, server_default="{}"),  # JSON object of strings
    UniqueConstraint("slug"),
)

region_zones = Table(
    "region_zones",
    metadata,
    Column("region", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("labels", Text, nullable=False),  # JSON object of strings
    Column("annotations", Text, nullable=False),  # JSON object of strings
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("object_version", Integer, nullable=False),
    ForeignKeyConstraint(["region"], ["regions.identity"]),
    UniqueConstraint("region", "slug"),
)

platform_generation = Table(
    "platform_generation",
    metadata,
    Column("only", Integer, primary_key=True, autoincrement=False),  # one row
    Column("value", BigInteger, nullable=False),  # raised by every change of the platform's tables
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organisation", Text),  # the only one it works in; NULL: every one its user is a member of
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("mac", LargeBinary, nullable=False),  # the token itself is not stored
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("user_subject", Text),  # whose it is: a user's
    Column("service_account", Text),  # or a service account's
    Column("parent", Text),  # access credential or federated identity it was issued for; it dies with it
    Column("scopes", Text, nullable=False, server_default="[]"),  # JSON array of strings; empty: no limit
    Column("project", Text),  # the only one it works in
    Column("last_used_on", BigInteger),  # start of the day, so that reading does not write each time
    ForeignKeyConstraint(["organisation"], ["organisations.identity"]),
)
Index("ix_tokens_organisation", tokens.c.organisation)
Index("ix_tokens_user_subject", tokens.c.user_subject)
Index("ix_tokens_parent", tokens.c.parent)
Index("ix_tokens_kind_expires_at", tokens.c.kind, tokens.c.expires_at)

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("chain", Text, primary_key=True),  # identity of the organisation, or `instance`
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("action", Text, nullable=False),
    Column("actor", Text),
    Column("resource_type", Text),
    Column("resource", Text),
    Column("request_id", Text),
    Column("status", Integer),  # of a request
    Column("description", Text),
    Column("record", LargeBinary, nullable=False),  # canonical JSON: what the hashes cover
    Column("hash", LargeBinary, nullable=False),  # of the chain up to and with this entry
    UniqueConstraint("event_id"),
)
for _column in ("action", "actor", "resource"):  # what the log is searched by, newest first
    Index(
        f"ix_audit_entries_chain_{_column}_sequence",
        audit_entries.c.chain,
        audit_entries.c[_column],
        audit_entries.c.sequence,
    )
Index("ix_audit_entries_chain_request_id", audit_entries.c.chain, audit_entries.c.request_id)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("chain", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("start", BigInteger),  # entries before the tree of the checkpoints; null is none
)

audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("chain", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),  # of the newest entry it covers
    Column("at", BigInteger, nullable=False),
    Column("note", Text, nullable=False),  # signed
    Column("frontier", LargeBinary, nullable=False),  # lets the tree grow on when the entries are gone
)

audit_keys = Table(
    "audit_keys",
    metadata,
    Column("verifier", Text, primary_key=True),  # public key that signs checkpoints, in the form of notes
    Column("created_at", BigInteger, nullable=False),
)
