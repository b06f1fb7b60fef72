"""The tables of the KMS. Rows of tenants carry their organisation; times are seconds since 1970, UTC."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

NAMING = {  # so that migrations can name what they change, on any database
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING)

instance = Table(
    "kms_instance",
    metadata,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("identity", Text, nullable=False),
    Column("root_generation", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    CheckConstraint("only = 1", name="one_row"),
)

root_key_wraps = Table(
    "kms_root_key_wraps",
    metadata,
    Column("seal_id", Text, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("key_check", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

derived_keys = Table(  # what the first generation of the root key gave, once there is a second
    "kms_derived_keys",
    metadata,
    Column("label", Text, primary_key=True),
    Column("root_generation", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("key_check", LargeBinary, nullable=False),
)

rewraps = Table(  # how far the rewrapping under new key-encryption keys has come
    "kms_rewraps",
    metadata,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),  # the table that is gone through
    Column("cursor", Text, nullable=False),  # the last row that is done
    Column("rewrapped", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    CheckConstraint("only = 1", name="one_row"),
)

keks = Table(
    "kms_keks",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("region", Text, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("root_generation", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("key_check", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

keys = Table(
    "kms_keys",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    Column("region", Text, nullable=False),
    Column("project", Text, nullable=False),  # empty: none; NULLs would escape unique indexes
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("labels", Text, nullable=False),  # JSON object of strings
    Column("annotations", Text, nullable=False),  # JSON object of strings
    Column("key_type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("operations", Text, nullable=False),
    Column("export_allowed", Boolean, nullable=False),
    Column("imported", Boolean, nullable=False),
    Column("rotation_allowed", Boolean, nullable=False),
    Column("rotation_enabled", Boolean, nullable=False),
    Column("rotation_period_in_days", Integer),
    Column("latest_version", Integer, nullable=False),
    Column("min_decryption_version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("object_version", Integer, nullable=False),
    Column("deletion_scheduled_at", BigInteger),
)

_NOT_PENDING = text("status <> 'pending_deletion'")  # names of keys that are going do not block new ones

Index("ux_kms_keys_identity", keys.c.identity, unique=True)
Index("ix_kms_keys_status", keys.c.status, keys.c.deletion_scheduled_at)
Index(
    "ux_kms_keys_name",
    keys.c.organisation,
    keys.c.region,
    keys.c.project,
    keys.c.name,
    unique=True,
    sqlite_where=_NOT_PENDING,
    postgresql_where=_NOT_PENDING,
)
Index(
    "ux_kms_keys_slug",
    keys.c.organisation,
    keys.c.region,
    keys.c.project,
    keys.c.slug,
    unique=True,
    sqlite_where=_NOT_PENDING,
    postgresql_where=_NOT_PENDING,
)

key_versions = Table(
    "kms_key_versions",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("status", Text, nullable=False),
    Column("kek_generation", Integer, nullable=False),
    Column("wrapped", LargeBinary),  # NULL once destroyed
    Column("key_check", LargeBinary, nullable=False),
    Column("public_key", LargeBinary),  # SubjectPublicKeyInfo in DER
    Column("created_at", BigInteger, nullable=False),
    # encrypted under random nonces, rounded up to whole blocks of a process
    Column("reserved_messages", BigInteger, nullable=False, server_default="0"),
    Column("fingerprint", LargeBinary),  # the same for the same material in an organisation
    ForeignKeyConstraint(["organisation", "identity"], ["kms_keys.organisation", "kms_keys.identity"]),
)

Index("ix_kms_key_versions_fingerprint", key_versions.c.organisation, key_versions.c.fingerprint)

tombstones = Table(  # of destroyed key versions: what a restored backup would bring back from the dead
    "kms_tombstones",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("region", Text, nullable=False),
    Column("key_check", LargeBinary, nullable=False),
    Column("destroyed_at", BigInteger, nullable=False),
)

wrapping_keys = Table(
    "kms_wrapping_keys",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("region", Text, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("kek_generation", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("key_check", LargeBinary, nullable=False),
    Column("public_key", LargeBinary, nullable=False),  # SubjectPublicKeyInfo in DER
    Column("created_at", BigInteger, nullable=False),
)

imported_blobs = Table(  # a wrapped blob is imported once, also if the key it made is gone
    "kms_imported_blobs",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("imported_at", BigInteger, nullable=False),
)

creations = Table(  # outcomes by idempotency key, so that a retry finds what it made
    "kms_creations",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("principal", Text, primary_key=True),
    Column("idempotency_key", Text, primary_key=True),
    Column("request_digest", LargeBinary, nullable=False),
    Column("identity", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

export_approvals = Table(  # each for one export by one person
    "kms_export_approvals",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    Column("actor", Text, primary_key=True),
    Column("approved_by", Text, nullable=False),
    Column("approved_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    ForeignKeyConstraint(["organisation", "identity"], ["kms_keys.organisation", "kms_keys.identity"]),
)

zone_bindings = Table(  # for which zones a key may sign
    "kms_zone_bindings",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    Column("zone", LargeBinary, primary_key=True),  # wire form, lower case
    Column("bound_at", BigInteger, nullable=False),
    Column("signs_data", Integer, nullable=False, server_default="0"),  # 1: all RRsets, 0: key sets only
    ForeignKeyConstraint(["organisation", "identity"], ["kms_keys.organisation", "kms_keys.identity"]),
)

Index("ix_kms_zone_bindings_zone", zone_bindings.c.organisation, zone_bindings.c.zone)
