"""Users, teams, service accounts, projects, policies, federation; more of tokens, organisations, regions."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "users",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("is_operator", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_users")),
    )
    op.create_table(
        "iam_policies",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("annotations", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("object_version", sa.Integer(), nullable=False),
        sa.Column("system", sa.Boolean(), nullable=False),
        sa.Column("read_only", sa.Boolean(), nullable=False),
        sa.Column("replicate_to_children", sa.Boolean(), nullable=False),
        sa.Column("conditionals", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation"], ["organisations.identity"], name=op.f("fk_iam_policies_organisation")
        ),
        sa.PrimaryKeyConstraint("organisation", "identity", name=op.f("pk_iam_policies")),
        sa.UniqueConstraint(
            "organisation", "project", "slug", name=op.f("uq_iam_policies_organisation_project_slug")
        ),
    )
    op.create_table(
        "identity_providers",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("annotations", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("object_version", sa.Integer(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("jwks_uri", sa.Text(), nullable=True),
        sa.Column("local_jwks", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation"], ["organisations.identity"], name=op.f("fk_identity_providers_organisation")
        ),
        sa.PrimaryKeyConstraint("organisation", "identity", name=op.f("pk_identity_providers")),
        sa.UniqueConstraint("organisation", "slug", name=op.f("uq_identity_providers_organisation_slug")),
    )
    op.create_table(
        "memberships",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("user_subject", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("role IN ('OWNER', 'MEMBER')", name=op.f("ck_memberships_role_known")),
        sa.ForeignKeyConstraint(
            ["organisation"], ["organisations.identity"], name=op.f("fk_memberships_organisation")
        ),
        sa.ForeignKeyConstraint(
            ["user_subject"], ["users.subject"], name=op.f("fk_memberships_user_subject")
        ),
        sa.PrimaryKeyConstraint("organisation", "identity", name=op.f("pk_memberships")),
        sa.UniqueConstraint(
            "organisation", "user_subject", name=op.f("uq_memberships_organisation_user_subject")
        ),
    )
    with op.batch_alter_table("memberships") as batch_op:
        batch_op.create_index("ix_memberships_user_subject", ["user_subject"], unique=False)

    op.create_table(
        "projects",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("annotations", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("object_version", sa.Integer(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation", "parent"],
            ["projects.organisation", "projects.identity"],
            name=op.f("fk_projects_organisation_parent"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation"], ["organisations.identity"], name=op.f("fk_projects_organisation")
        ),
        sa.PrimaryKeyConstraint("organisation", "identity", name=op.f("pk_projects")),
        sa.UniqueConstraint("organisation", "slug", name=op.f("uq_projects_organisation_slug")),
    )
    with op.batch_alter_table("projects") as batch_op:
        batch_op.create_index("ix_projects_organisation_parent", ["organisation", "parent"], unique=False)

    op.create_table(
        "region_zones",
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("annotations", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("object_version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["region"], ["regions.identity"], name=op.f("fk_region_zones_region")),
        sa.PrimaryKeyConstraint("region", "identity", name=op.f("pk_region_zones")),
        sa.UniqueConstraint("region", "slug", name=op.f("uq_region_zones_region_slug")),
    )
    op.create_table(
        "service_accounts",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("annotations", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("object_version", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation"], ["organisations.identity"], name=op.f("fk_service_accounts_organisation")
        ),
        sa.PrimaryKeyConstraint("organisation", "identity", name=op.f("pk_service_accounts")),
        sa.UniqueConstraint("identity", name=op.f("uq_service_accounts_identity")),
        sa.UniqueConstraint("organisation", "slug", name=op.f("uq_service_accounts_organisation_slug")),
    )
    op.create_table(
        "teams",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("annotations", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("object_version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation"], ["organisations.identity"], name=op.f("fk_teams_organisation")
        ),
        sa.PrimaryKeyConstraint("organisation", "identity", name=op.f("pk_teams")),
        sa.UniqueConstraint("organisation", "slug", name=op.f("uq_teams_organisation_slug")),
    )
    op.create_table(
        "access_credentials",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("service_account", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("access_key", sa.Text(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_on", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation", "service_account"],
            ["service_accounts.organisation", "service_accounts.identity"],
            name=op.f("fk_access_credentials_organisation_service_account"),
        ),
        sa.PrimaryKeyConstraint("organisation", "identity", name=op.f("pk_access_credentials")),
        sa.UniqueConstraint("access_key", name=op.f("uq_access_credentials_access_key")),
    )
    with op.batch_alter_table("access_credentials") as batch_op:
        batch_op.create_index(
            "ix_access_credentials_organisation_service_account",
            ["organisation", "service_account"],
            unique=False,
        )

    op.create_table(
        "federated_identities",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("annotations", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("object_version", sa.Integer(), nullable=False),
        sa.Column("service_account", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("provider_subject", sa.Text(), nullable=False),
        sa.Column("trusted_audiences", sa.Text(), nullable=False),
        sa.Column("audience_match_mode", sa.Text(), nullable=False),
        sa.Column("allowed_scopes", sa.Text(), nullable=False),
        sa.Column("conditions", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_on", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation", "provider"],
            ["identity_providers.organisation", "identity_providers.identity"],
            name=op.f("fk_federated_identities_organisation_provider"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation", "service_account"],
            ["service_accounts.organisation", "service_accounts.identity"],
            name=op.f("fk_federated_identities_organisation_service_account"),
        ),
        sa.PrimaryKeyConstraint("organisation", "identity", name=op.f("pk_federated_identities")),
        sa.UniqueConstraint("organisation", "slug", name=op.f("uq_federated_identities_organisation_slug")),
    )
    with op.batch_alter_table("federated_identities") as batch_op:
        batch_op.create_index(
            "ix_federated_identities_organisation_service_account",
            ["organisation", "service_account"],
            unique=False,
        )

    op.create_table(
        "iam_bindings",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("annotations", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("object_version", sa.Integer(), nullable=False),
        sa.Column("user_subject", sa.Text(), nullable=True),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("service_account", sa.Text(), nullable=True),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(user_subject IS NOT NULL AND team IS NULL AND service_account IS NULL)"
            " OR (user_subject IS NULL AND team IS NOT NULL AND service_account IS NULL)"
            " OR (user_subject IS NULL AND team IS NULL AND service_account IS NOT NULL)",
            name=op.f("ck_iam_bindings_one_principal"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation", "policy"],
            ["iam_policies.organisation", "iam_policies.identity"],
            name=op.f("fk_iam_bindings_organisation_policy"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation", "service_account"],
            ["service_accounts.organisation", "service_accounts.identity"],
            name=op.f("fk_iam_bindings_organisation_service_account"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation", "team"],
            ["teams.organisation", "teams.identity"],
            name=op.f("fk_iam_bindings_organisation_team"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation", "user_subject"],
            ["memberships.organisation", "memberships.user_subject"],
            name=op.f("fk_iam_bindings_organisation_user_subject"),
        ),
        sa.PrimaryKeyConstraint("organisation", "policy", "identity", name=op.f("pk_iam_bindings")),
        sa.UniqueConstraint(
            "organisation", "policy", "slug", name=op.f("uq_iam_bindings_organisation_policy_slug")
        ),
    )
    with op.batch_alter_table("iam_bindings") as batch_op:
        batch_op.create_index(
            "ix_iam_bindings_organisation_service_account", ["organisation", "service_account"], unique=False
        )
        batch_op.create_index("ix_iam_bindings_organisation_team", ["organisation", "team"], unique=False)
        batch_op.create_index(
            "ix_iam_bindings_organisation_user_subject", ["organisation", "user_subject"], unique=False
        )

    op.create_table(
        "iam_rules",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("resources", sa.Text(), nullable=False),
        sa.Column("resource_identities", sa.Text(), nullable=False),
        sa.Column("permissions", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation", "policy"],
            ["iam_policies.organisation", "iam_policies.identity"],
            name=op.f("fk_iam_rules_organisation_policy"),
        ),
        sa.PrimaryKeyConstraint("organisation", "policy", "identity", name=op.f("pk_iam_rules")),
    )
    op.create_table(
        "team_members",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("user_subject", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation", "team"],
            ["teams.organisation", "teams.identity"],
            name=op.f("fk_team_members_organisation_team"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation", "user_subject"],
            ["memberships.organisation", "memberships.user_subject"],
            name=op.f("fk_team_members_organisation_user_subject"),
        ),
        sa.PrimaryKeyConstraint("organisation", "team", "identity", name=op.f("pk_team_members")),
        sa.UniqueConstraint(
            "organisation",
            "team",
            "user_subject",
            name=op.f("uq_team_members_organisation_team_user_subject"),
        ),
    )
    with op.batch_alter_table("team_members") as batch_op:
        batch_op.create_index(
            "ix_team_members_organisation_user_subject", ["organisation", "user_subject"], unique=False
        )

    with op.batch_alter_table("organisations") as batch_op:
        batch_op.add_column(sa.Column("labels", sa.Text(), server_default="{}", nullable=False))
        batch_op.add_column(sa.Column("annotations", sa.Text(), server_default="{}", nullable=False))

    with op.batch_alter_table("regions") as batch_op:
        batch_op.add_column(sa.Column("labels", sa.Text(), server_default="{}", nullable=False))
        batch_op.add_column(sa.Column("annotations", sa.Text(), server_default="{}", nullable=False))

    with op.batch_alter_table("tokens") as batch_op:
        batch_op.add_column(sa.Column("user_subject", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("service_account", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("parent", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("scopes", sa.Text(), server_default="[]", nullable=False))
        batch_op.add_column(sa.Column("project", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("last_used_on", sa.BigInteger(), nullable=True))
        batch_op.alter_column("organisation", existing_type=sa.TEXT(), nullable=True)
        batch_op.create_index("ix_tokens_kind_expires_at", ["kind", "expires_at"], unique=False)
        batch_op.create_index("ix_tokens_parent", ["parent"], unique=False)
        batch_op.create_index("ix_tokens_user_subject", ["user_subject"], unique=False)
