import pytest
from hypothesis import given
from hypothesis import strategies as st

from signerd.platform.errors import Forbidden
from signerd.platform.principal import Credential, CredentialKind, Principal, PrincipalKind
from signerd.platform.rights import KMS_SINGLE_ACTIONS, Rights, Rule

VERBS = ["list", "read", "create", "update", "delete", *sorted(KMS_SINGLE_ACTIONS)]
TYPES = ["kms_key", "secret", "dns_zone", "audit_log"]


def grant(resources: str, permissions: str, *identities: str) -> Rule:
    return Rule(frozenset(resources.split()), frozenset(permissions.split()), frozenset(identities))


@pytest.mark.parametrize("resource_type", TYPES)
@pytest.mark.parametrize("verb", VERBS)
def test_nothing_is_allowed_without_a_rule(resource_type: str, verb: str) -> None:
    assert not Rights().allows(resource_type, verb, "kms-1")
    with pytest.raises(Forbidden, match=resource_type):
        Rights().require(resource_type, verb)


@pytest.mark.parametrize("resource_type", TYPES)
@pytest.mark.parametrize("verb", VERBS)
def test_stars_are_every_type_and_every_verb(resource_type: str, verb: str) -> None:
    assert Rights((grant("*", "*"),)).allows(resource_type, verb, "x")
    assert Rights((grant("*", verb),)).allows(resource_type, verb)
    assert Rights((grant(resource_type, "*"),)).allows(resource_type, verb)
    others = " ".join(kind for kind in TYPES if kind != resource_type)
    assert not Rights((grant(others, "*"),)).allows(resource_type, verb)


@pytest.mark.parametrize("action", sorted(KMS_SINGLE_ACTIONS))
def test_update_on_keys_includes_the_single_actions_and_not_the_reverse(action: str) -> None:
    assert Rights((grant("kms_key", "update"),)).allows("kms_key", action)
    assert not Rights((grant("kms_key", action),)).allows("kms_key", "update")
    assert not Rights((grant("secret", "update"),)).allows("secret", action)
    for other in KMS_SINGLE_ACTIONS - {action}:
        assert not Rights((grant("kms_key", action),)).allows("kms_key", other)
    for other in ("list", "read", "create", "delete"):
        assert not Rights((grant("kms_key", other),)).allows("kms_key", action)


def test_identities_limit_a_rule_to_single_objects() -> None:
    rights = Rights((grant("kms_key", "encrypt", "kms-a", "kms-b"),))
    assert rights.allows("kms_key", "encrypt", "kms-a")
    assert not rights.allows("kms_key", "encrypt", "kms-c")
    assert not rights.allows("kms_key", "encrypt", "kms-")
    assert not rights.allows("kms_key", "encrypt")  # the type as a whole
    assert rights.allows_some("kms_key", "encrypt")
    assert not rights.allows_some("kms_key", "decrypt")


def test_rules_add_up_and_do_not_mix() -> None:
    rights = Rights((grant("kms_key", "read", "kms-a"), grant("secret", "*", "/x")))
    assert rights.joined([grant("kms_key", "list")]).allows("kms_key", "list")
    assert not rights.allows("kms_key", "update", "kms-a")
    assert not rights.allows("secret", "read", "kms-a")


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/app/prod/*", "/app/prod/db", True),
        ("/app/prod/*", "/app/prod/db/password", True),
        ("/app/prod/*", "/app/prod", False),
        ("/app/prod/*", "/app/prod/", False),
        ("/app/prod/*", "/app/production", False),
        ("/app/prod/*", "/app/prod2/db", False),
        ("/app/prod/*", "/APP/prod/db", False),
        ("/app/prod", "/app/prod", True),
        ("/app/prod", "/app/prod/db", False),
        ("/app/p*", "/app/prod", False),
        ("/*/db", "/app/db", False),
        ("/*", "/app", True),
        ("*", "/app", True),
    ],
)
def test_patterns_of_paths_match_a_subtree(pattern: str, path: str, expected: bool) -> None:
    assert Rights((grant("secret", "read", pattern),)).allows("secret", "read", path) is expected


def test_patterns_of_paths_are_for_secrets_alone() -> None:
    assert not Rights((grant("dns_zone", "read", "dnsz/*"),)).allows("dns_zone", "read", "dnsz/a")


segments = st.text("abc*", min_size=1, max_size=3)


@given(st.lists(segments, min_size=1, max_size=4), st.lists(segments, min_size=1, max_size=4))
def test_a_subtree_is_all_paths_that_continue_its_segments(prefix: list[str], path: list[str]) -> None:
    pattern = "/" + "/".join(prefix) + "/*"
    expected = len(path) > len(prefix) and path[: len(prefix)] == prefix
    allowed = Rights((grant("secret", "read", pattern),)).allows("secret", "read", "/" + "/".join(path))
    assert allowed is (expected or pattern == "/" + "/".join(path))


def test_only_unlimited_stars_make_an_administrator() -> None:
    assert Rights.of_owner().is_administrator
    assert not Rights((grant("*", "*", "*"),)).is_administrator
    assert not Rights((grant("* kms_key", "read"), grant("kms_key", "*"))).is_administrator


@pytest.mark.parametrize(
    ("scopes", "method", "expected"),
    [
        ("", "GET", True),
        ("", "POST", True),
        ("api:read", "GET", True),
        ("api:read", "POST", False),
        ("api:read", "HEAD", False),
        ("api:read", "DELETE", False),
        ("api:write", "POST", True),
        ("api:write", "GET", False),
        ("api:read api:write", "PUT", True),
        ("kubernetes", "GET", False),
        ("kubernetes objectStorage", "POST", False),
    ],
)
def test_scopes_of_a_credential_restrict_methods(scopes: str, method: str, expected: bool) -> None:
    credential = Credential("id", CredentialKind.PERSONAL, frozenset(scopes.split()))
    assert credential.allows_method(method) is expected


def test_actors_name_kind_and_identity() -> None:
    assert Principal(PrincipalKind.USER, "u-1", "Ada").actor == "user:u-1"
    assert Principal(PrincipalKind.SERVICE_ACCOUNT, "sa-1", "ci").actor == "serviceAccount:sa-1"
