"""The roles and policies that every organisation and every project has from the start."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import insert, select

from signerd.platform.change import Change
from signerd.platform.described import Described, Description
from signerd.platform.iam_tables import iam_policies, iam_rules
from signerd.platform.json_column import dump_list
from signerd.platform.rights import AUDIT_LOG, DNS_ZONE, EVERYTHING, KMS_KEY, SECRET
from signerd_kms.identity import new_identity

ADMINISTRATOR: Final = "org-admin"
AUDITOR: Final = "org-auditor"


@dataclass(frozen=True, slots=True)
class BuiltinPolicy:
    """A policy with one rule."""

    name: str
    description: str
    resource: str
    permissions: tuple[str, ...]


BUILTIN_POLICIES: Final = (
    BuiltinPolicy(ADMINISTRATOR, "Everything", EVERYTHING, (EVERYTHING,)),
    BuiltinPolicy(AUDITOR, "Read the audit log", AUDIT_LOG, ("list", "read")),
    BuiltinPolicy("kms:ReadAccess", "List and read keys", KMS_KEY, ("list", "read")),
    BuiltinPolicy("kms:FullAccess", "Everything on keys", KMS_KEY, (EVERYTHING,)),
    BuiltinPolicy("kms:Encrypt", "Encrypt with keys", KMS_KEY, ("encrypt",)),
    BuiltinPolicy("kms:Decrypt", "Decrypt with keys", KMS_KEY, ("decrypt",)),
    BuiltinPolicy("kms:Sign", "Sign with keys", KMS_KEY, ("sign",)),
    BuiltinPolicy("kms:Verify", "Verify signatures with keys", KMS_KEY, ("verify",)),
    BuiltinPolicy("kms:HMAC", "Make MACs with keys", KMS_KEY, ("hmac",)),
    BuiltinPolicy("kms:VerifyHMAC", "Verify MACs with keys", KMS_KEY, ("verifyHmac",)),
    BuiltinPolicy("kms:Rotate", "Rotate keys", KMS_KEY, ("rotate",)),
    BuiltinPolicy("kms:Export", "Export keys that allow it", KMS_KEY, ("export",)),
    BuiltinPolicy("secrets:ReadAccess", "List and read secrets, not their values", SECRET, ("list", "read")),
    BuiltinPolicy(
        "secrets:FullAccess",
        "Everything on secrets, their values too",
        SECRET,
        ("create", "read", "update", "delete", "list", "getSecretValue", "putSecretValue"),
    ),
    BuiltinPolicy("dns:ReadAccess", "List and read zones", DNS_ZONE, ("list", "read")),
    BuiltinPolicy(
        "dns:FullAccess", "Everything on zones", DNS_ZONE, ("list", "read", "create", "update", "delete")
    ),
)


def provision_policies(change: Change, organisation: str, project: str | None) -> bool:
    """Make the built-in policies that an organisation or a project lacks.

    Args:
        change: The write; the caller records what it does it for.
        organisation: Whose.
        project: Of which project; None for the roles of the organisation.

    Returns:
        Whether any was lacking.
    """
    place = project or ""
    present = set(
        change.connection.execute(
            select(iam_policies.c.name).where(
                iam_policies.c.organisation == organisation,
                iam_policies.c.project == place,
                iam_policies.c.system,
            )
        ).scalars()
    )
    lacking = [policy for policy in BUILTIN_POLICIES if policy.name not in present]
    for policy in lacking:
        made = Described.make("iamp", Description(policy.name, policy.description), change.now)
        change.connection.execute(
            insert(iam_policies).values(
                organisation=organisation,
                project=place,
                system=True,
                read_only=True,
                replicate_to_children=False,
                conditionals="{}",
                **made.columns(),
            )
        )
        change.connection.execute(
            insert(iam_rules).values(
                organisation=organisation,
                policy=made.identity,
                identity=new_identity("iamr"),
                resources=dump_list([policy.resource]),
                resource_identities="[]",
                permissions=dump_list(policy.permissions),
                note="",
                created_at=change.now,
            )
        )
    return bool(lacking)
