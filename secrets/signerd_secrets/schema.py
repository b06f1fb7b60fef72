"""The tables of the secrets manager. Times are seconds since 1970, UTC."""

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
)

from signerd_kms.schema import NAMING

metadata = MetaData(naming_convention=NAMING)

secrets = Table(
    "secrets",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("identity", Text, primary_key=True),  # never shown: a path used again is another secret
    Column("region", Text, nullable=False),
    Column("project", Text, nullable=False),  # empty: none; NULLs would escape the unique index
    # compared and ordered by code point: ranges of paths are walked along the index
    Column("path", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False),
    Column("kms_key", Text, nullable=False),  # identity of the bound key
    Column("description", Text, nullable=False),
    Column("labels", Text, nullable=False),  # JSON object of strings
    Column("annotations", Text, nullable=False),  # JSON object of strings
    Column("access_policy", Text),  # JSON as received
    Column("highest_version", Integer, nullable=False),  # ever used
    Column("object_version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("last_accessed_at", BigInteger),
)
Index(
    "ux_secrets_path",
    secrets.c.organisation,
    secrets.c.region,
    secrets.c.project,
    secrets.c.path,
    unique=True,
)

secret_versions = Table(
    "secret_versions",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("secret", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("status", Text, nullable=False),
    Column("value_format", Text, nullable=False),
    Column("kms_key_version", Integer, nullable=False),
    Column(
        "sealed", LargeBinary
    ),  # the value under its data key, and that under the KMS key; NULL once destroyed
    Column("created_at", BigInteger, nullable=False),
    Column("destroyed_at", BigInteger),
    Column("last_accessed_at", BigInteger),
    ForeignKeyConstraint(["organisation", "secret"], ["secrets.organisation", "secrets.identity"]),
)
