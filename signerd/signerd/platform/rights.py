"""What a principal may do: the union of rules, with nothing that denies. Pure; evaluated before any work."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from signerd.platform.errors import Forbidden

EVERYTHING: Final = "*"  # as a permission every verb, as a resource every type, as an identity every object

KMS_KEY: Final = "kms_key"
SECRET: Final = "secret"  # noqa: S105  # the name of a resource type
DNS_ZONE: Final = "dns_zone"
AUDIT_LOG: Final = "audit_log"
IAM_POLICY: Final = "iam_policy"
RESOURCE_TYPES: Final = (
    AUDIT_LOG,
    DNS_ZONE,
    "federated_identity",
    "federated_identity_provider",
    IAM_POLICY,
    "iam_role",
    KMS_KEY,
    "membership",
    "project",
    SECRET,
    "service_account",
    "team",
)
"""All types that rules can name."""

KMS_SINGLE_ACTIONS: Final = frozenset(
    {"encrypt", "decrypt", "sign", "verify", "hmac", "verifyHmac", "rotate", "export"}
)
"""Verbs of `kms_key` that `update` includes."""

_SUBTREE: Final = "/*"


@dataclass(frozen=True, slots=True)
class Rule:
    """Grants permissions on types of resources.

    Attributes:
        resources: Types, such as `kms_key`, or `*`.
        permissions: Verbs, or `*`.
        resource_identities: The only objects it holds for; empty for all that are in the scope. Of a secret
            the identity is its path, and `/app/prod/*` stands for everything below `/app/prod`.
    """

    resources: frozenset[str]
    permissions: frozenset[str]
    resource_identities: frozenset[str] = frozenset()

    def covers(self, resource_type: str, verb: str) -> bool:
        """Say if it grants the verb on some object of the type."""
        if EVERYTHING not in self.resources and resource_type not in self.resources:
            return False
        return not self.permissions.isdisjoint(_list_permissions(resource_type, verb))

    def holds_for(self, resource_type: str, identity: str | None) -> bool:
        """Say if it holds for an object; None is the type as a whole, which no limited rule grants."""
        if not self.resource_identities:
            return True
        if identity is None:
            return EVERYTHING in self.resource_identities
        return any(_matches(resource_type, pattern, identity) for pattern in self.resource_identities)

    def includes(self, resource: str, permission: str, identity: str | None) -> bool:
        """Say if it grants all of what another rule grants with one entry of each of its lists.

        Args:
            resource: A type, or `*`.
            permission: A verb, or `*`.
            identity: An object or a pattern; None if the other rule is not limited.
        """
        return self.covers(resource, permission) and self.holds_for(resource, identity)

    @property
    def is_unlimited(self) -> bool:
        """Whether it grants everything on everything."""
        return (
            EVERYTHING in self.resources and EVERYTHING in self.permissions and not self.resource_identities
        )


@dataclass(frozen=True, slots=True)
class Rights:
    """All rules that hold for a principal in an organisation and, if one is in effect, a project."""

    rules: tuple[Rule, ...] = ()

    @staticmethod
    def of_owner() -> "Rights":
        """Give the rights of one who may do everything."""
        return Rights((GRANT_EVERYTHING,))

    def allows(self, resource_type: str, verb: str, identity: str | None = None) -> bool:
        """Say if a verb is allowed.

        Args:
            resource_type: Such as `kms_key`.
            verb: Such as `read`, or a single action such as `encrypt`.
            identity: The object; the full path of a secret. None asks for the type as a whole.
        """
        return any(
            rule.covers(resource_type, verb) and rule.holds_for(resource_type, identity)
            for rule in self.rules
        )

    def allows_some(self, resource_type: str, verb: str) -> bool:
        """Say if the verb is allowed on at least some objects that there might be.

        A list asks this and then leaves out each object that `allows` does not allow.
        """
        return any(rule.covers(resource_type, verb) for rule in self.rules)

    def require(self, resource_type: str, verb: str, identity: str | None = None) -> None:
        """Check that a verb is allowed.

        Raises:
            Forbidden: It is not.
        """
        if not self.allows(resource_type, verb, identity):
            raise Forbidden(resource_type, verb)

    def joined(self, other: Iterable[Rule]) -> "Rights":
        """Give the union with further rules."""
        return Rights((*self.rules, *other))

    @property
    def is_administrator(self) -> bool:
        """Whether everything is allowed on everything."""
        return any(rule.is_unlimited for rule in self.rules)

    def include(self, rule: Rule) -> bool:
        """Say if all that a rule grants is allowed already, so that who has these rights may grant it."""
        return all(
            any(own.includes(resource, permission, identity) for own in self.rules)
            for resource in rule.resources
            for permission in rule.permissions
            for identity in rule.resource_identities or (None,)
        )


GRANT_EVERYTHING: Final = Rule(frozenset({EVERYTHING}), frozenset({EVERYTHING}))


def _list_permissions(resource_type: str, verb: str) -> frozenset[str]:
    """Give the permissions of which any one grants a verb."""
    permissions = {verb, EVERYTHING}
    if resource_type == KMS_KEY and verb in KMS_SINGLE_ACTIONS:
        permissions.add("update")
    return frozenset(permissions)


def _matches(resource_type: str, pattern: str, identity: str) -> bool:
    if pattern in (EVERYTHING, identity):
        return True
    if resource_type == SECRET and pattern.endswith(_SUBTREE):
        prefix = pattern[:-1]  # keeps the slash: /app/prod/* is not /app/production
        return len(identity) > len(prefix) and identity.startswith(prefix)
    return False
