"""Tables of who is who and what they may do.

Every row of a tenant carries its organisation, and so does every foreign key: a reference across tenants
cannot be stored. Times are seconds since 1970, UTC; columns that hold JSON say so.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from signerd.platform.tables import metadata


def _list_described_columns() -> list[Column[object]]:
    """Give the columns that most objects have in common."""
    return [
        Column("name", Text, nullable=False),
        Column("slug", Text, nullable=False),
        Column("description", Text, nullable=False),
        Column("labels", Text, nullable=False),  # JSON object of strings
        Column("annotations", Text, nullable=False),  # JSON object of strings
        Column("created_at", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
        Column("object_version", Integer, nullable=False),
    ]


users = Table(
    "users",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("is_operator", Boolean, nullable=False),  # may make organisations and regions
    Column("created_at", BigInteger, nullable=False),
)

memberships = Table(
    "memberships",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    Column("user_subject", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    ForeignKeyConstraint(["organisation"], ["organisations.identity"]),
    ForeignKeyConstraint(["user_subject"], ["users.subject"]),
    UniqueConstraint("organisation", "user_subject"),
    CheckConstraint("role IN ('OWNER', 'MEMBER')", name="role_known"),
)
Index("ix_memberships_user_subject", memberships.c.user_subject)

projects = Table(
    "projects",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    *_list_described_columns(),
    Column("parent", Text),
    ForeignKeyConstraint(["organisation"], ["organisations.identity"]),
    ForeignKeyConstraint(["organisation", "parent"], ["projects.organisation", "projects.identity"]),
    UniqueConstraint("organisation", "slug"),
)
Index("ix_projects_organisation_parent", projects.c.organisation, projects.c.parent)

teams = Table(
    "teams",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    *_list_described_columns(),
    ForeignKeyConstraint(["organisation"], ["organisations.identity"]),
    UniqueConstraint("organisation", "slug"),
)

team_members = Table(
    "team_members",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("team", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    Column("user_subject", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    ForeignKeyConstraint(["organisation", "team"], ["teams.organisation", "teams.identity"]),
    ForeignKeyConstraint(
        ["organisation", "user_subject"], ["memberships.organisation", "memberships.user_subject"]
    ),
    UniqueConstraint("organisation", "team", "user_subject"),
)
Index("ix_team_members_organisation_user_subject", team_members.c.organisation, team_members.c.user_subject)

service_accounts = Table(
    "service_accounts",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    *_list_described_columns(),
    Column("created_by", Text),  # subject of the user who made it, if a user did
    ForeignKeyConstraint(["organisation"], ["organisations.identity"]),
    UniqueConstraint("organisation", "slug"),
    UniqueConstraint("identity"),
)

access_credentials = Table(
    "access_credentials",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    Column("service_account", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("access_key", Text, nullable=False),
    Column("mac", LargeBinary, nullable=False),  # of access key and secret; the secret is not stored
    Column("scopes", Text, nullable=False),  # JSON array of strings; empty: no limit
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("last_used_on", BigInteger),  # start of the day
    ForeignKeyConstraint(
        ["organisation", "service_account"], ["service_accounts.organisation", "service_accounts.identity"]
    ),
    UniqueConstraint("access_key"),
)
Index(
    "ix_access_credentials_organisation_service_account",
    access_credentials.c.organisation,
    access_credentials.c.service_account,
)

iam_policies = Table(
    "iam_policies",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    Column("project", Text, nullable=False),  # empty: a role of the organisation
    *_list_described_columns(),
    Column("system", Boolean, nullable=False),  # built in
    Column("read_only", Boolean, nullable=False),
    Column("replicate_to_children", Boolean, nullable=False),
    Column("conditionals", Text, nullable=False),  # JSON object; stored, not enforced
    ForeignKeyConstraint(["organisation"], ["organisations.identity"]),
    UniqueConstraint("organisation", "project", "slug"),
)

iam_rules = Table(
    "iam_rules",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("policy", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    Column("resources", Text, nullable=False),  # JSON array of strings
    Column("resource_identities", Text, nullable=False),  # JSON array of strings
    Column("permissions", Text, nullable=False),  # JSON array of strings
    Column("note", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    ForeignKeyConstraint(["organisation", "policy"], ["iam_policies.organisation", "iam_policies.identity"]),
)

iam_bindings = Table(
    "iam_bindings",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("policy", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    *_list_described_columns(),
    Column("user_subject", Text),
    Column("team", Text),
    Column("service_account", Text),
    Column("scopes", Text, nullable=False),  # JSON array of strings; empty: no limit
    ForeignKeyConstraint(["organisation", "policy"], ["iam_policies.organisation", "iam_policies.identity"]),
    ForeignKeyConstraint(
        ["organisation", "user_subject"], ["memberships.organisation", "memberships.user_subject"]
    ),
    ForeignKeyConstraint(["organisation", "team"], ["teams.organisation", "teams.identity"]),
    ForeignKeyConstraint(
        ["organisation", "service_account"], ["service_accounts.organisation", "service_accounts.identity"]
    ),
    UniqueConstraint("organisation", "policy", "slug"),
    CheckConstraint(
        "(user_subject IS NOT NULL AND team IS NULL AND service_account IS NULL)"
        " OR (user_subject IS NULL AND team IS NOT NULL AND service_account IS NULL)"
        " OR (user_subject IS NULL AND team IS NULL AND service_account IS NOT NULL)",
        name="one_principal",
    ),
)
for _principal in ("user_subject", "team", "service_account"):
    Index(
        f"ix_iam_bindings_organisation_{_principal}", iam_bindings.c.organisation, iam_bindings.c[_principal]
    )

identity_providers = Table(
    "identity_providers",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    *_list_described_columns(),
    Column("issuer", Text, nullable=False),
    Column("jwks_uri", Text),
    Column("local_jwks", Text),  # JSON: the key set as given
    Column("status", Text, nullable=False),
    ForeignKeyConstraint(["organisation"], ["organisations.identity"]),
    UniqueConstraint("organisation", "slug"),
)

federated_identities = Table(
    "federated_identities",
    metadata,
    Column("organisation", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    *_list_described_columns(),
    Column("service_account", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("provider_subject", Text, nullable=False),
    Column("trusted_audiences", Text, nullable=False),  # JSON array of strings
    Column("audience_match_mode", Text, nullable=False),
    Column("allowed_scopes", Text, nullable=False),  # JSON array of strings; empty: no limit
    Column("conditions", Text, nullable=False),  # JSON object: claim to what it must be
    Column("status", Text, nullable=False),
    Column("expires_at", BigInteger),
    Column("last_used_on", BigInteger),  # start of the day
    ForeignKeyConstraint(
        ["organisation", "service_account"], ["service_accounts.organisation", "service_accounts.identity"]
    ),
    ForeignKeyConstraint(
        ["organisation", "provider"], ["identity_providers.organisation", "identity_providers.identity"]
    ),
    UniqueConstraint("organisation", "slug"),
)
Index(
    "ix_federated_identities_organisation_service_account",
    federated_identities.c.organisation,
    federated_identities.c.service_account,
)
