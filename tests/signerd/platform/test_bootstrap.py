import re
import zlib

import pytest
from sqlalchemy import text

from kms_world import World
from signerd.platform.api_token import (
    NewToken,
    Token,
    issue_token,
    read_shown_token,
    require_unexpired,
    verify_token,
)
from signerd.platform.audit_log import AuditLog, verify_chain
from signerd.platform.bootstrap import BootstrapRefused, FirstNames, Platform, bootstrap
from signerd.platform.change import PlatformStore
from signerd.platform.errors import CredentialRefused
from signerd.platform.membership import Role, find_membership
from signerd.platform.policy import Place, list_policies
from signerd.platform.secret_text import compute_crc
from signerd_kms.errors import Sealed
from signerd_kms.kms import Kms
from signerd_kms.root_key import Label
from signerd_kms.wrapping import LiveKey


class Start:
    """Bootstraps the same database again and again."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.kms: Kms = Kms.open(world.engine, world.seal, world.clock, AuditLog())
        self.tokens: list[str] = []
        self.failure: Exception | None = None

    def pepper(self) -> LiveKey:
        return self.kms.derive_key(Label.TOKEN_PEPPER)

    def deliver(self, token: str) -> None:
        self.tokens.append(token)
        if self.failure is not None:
            raise self.failure

    def run(self, organisation: str = "Example Org", region: str = "nl-01") -> Platform:
        return bootstrap(
            PlatformStore(self.kms.custodian.store),
            FirstNames(organisation, region),
            pepper=self.pepper,
            deliver_token=self.deliver,
        )

    def verify(self, token: str, now: int = 1_800_001_000) -> Token:
        with self.world.engine.connect() as connection:
            known = verify_token(connection, read_shown_token(self.pepper, token))
        require_unexpired(known, now)
        return known


@pytest.fixture
def start(world: World) -> Start:
    return Start(world)


def test_the_first_start_makes_all_and_later_ones_find_it(start: Start) -> None:
    made = start.run()
    assert re.fullmatch(r"o-[0-9a-v]{20}", made.organisation)
    assert start.run() == made
    assert len(start.tokens) == 1
    with start.world.engine.connect() as connection:
        gates = connection.execute(
            text("SELECT gate FROM organisation_gates WHERE enabled ORDER BY 1")
        ).scalars()
        assert list(gates) == ["dns", "kms", "projects", "secrets"]
        assert verify_chain(connection, made.organisation).sequence == 2


def test_the_administrator_token_speaks_for_the_owner_of_the_organisation(start: Start) -> None:
    made = start.run()
    token = start.verify(start.tokens[0])
    assert token.kind == "admin"
    assert token.user is not None
    with start.world.engine.connect() as connection:
        owner = find_membership(connection, made.organisation, token.user)
    assert owner is not None
    assert owner.role is Role.OWNER
    assert owner.user.is_operator


def test_a_database_of_a_version_without_users_gets_them_and_its_token_works_on(start: Start) -> None:
    made = start.run()
    with start.world.engine.begin() as connection:
        connection.execute(
            text("UPDATE tokens SET user_subject = NULL, organisation = :o"), {"o": made.organisation}
        )
        for table in ("iam_bindings", "iam_rules", "iam_policies", "memberships", "users"):
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608
    assert start.run() == made
    assert len(start.tokens) == 1
    token = start.verify(start.tokens[0])
    with start.world.engine.connect() as connection:
        assert find_membership(connection, made.organisation, token.user or "") is not None
        roles = list_policies(connection, Place(made.organisation))
    assert {role.record.name for role in roles} >= {"org-admin", "org-auditor", "kms:FullAccess"}
    assert all(role.is_system and role.is_read_only for role in roles)


def test_a_token_that_cannot_be_delivered_leaves_nothing(start: Start) -> None:
    start.failure = OSError("disk full")
    with pytest.raises(OSError, match="disk full"):
        start.run()
    start.failure = None
    start.run()
    assert len(start.tokens) == 2
    with pytest.raises(CredentialRefused):
        start.verify(start.tokens[0])
    start.verify(start.tokens[1])


@pytest.mark.parametrize(("organisation", "region"), [("Other", "nl-01"), ("Example Org", "nl-02")])
def test_changed_names_are_refused_and_nothing_is_made(start: Start, organisation: str, region: str) -> None:
    start.run()
    with pytest.raises(BootstrapRefused, match=r"example-org|nl-01"):
        start.run(organisation, region)
    assert len(start.tokens) == 1


@pytest.mark.parametrize(
    ("organisation", "region"), [("", "nl-01"), ("!", "nl-01"), ("Ok", ""), ("Ok", "NL 01")]
)
def test_bad_names_are_refused(start: Start, organisation: str, region: str) -> None:
    with pytest.raises(BootstrapRefused):
        start.run(organisation, region)


def test_tokens_have_the_form_and_are_not_stored(start: Start) -> None:
    start.run()
    token = start.tokens[0]
    assert re.fullmatch(r"sgd_admin_[0-9A-Za-z]{16}_[0-9A-Za-z]{27}_[0-9A-Za-z]{6}", token)
    body, _, crc = token.rpartition("_")
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number = 0
    for character in crc:
        number = number * 62 + alphabet.index(character)
    assert number == zlib.crc32(body.encode())
    secret = token.split("_")[3].encode()
    start.world.engine.dispose()
    assert all(
        secret not in path.read_bytes()
        for path in start.world.directory.iterdir()
        if path.name.startswith("signerd")
    )


def test_wrong_expired_revoked_and_malformed_tokens_are_refused_alike(start: Start) -> None:
    made = start.run()
    good = start.tokens[0]
    with start.world.engine.begin() as connection:
        short, revoked = (
            issue_token(
                connection,
                start.pepper,
                NewToken("pat", "short", seconds, "u-1", organisation=made.organisation),
                1_800_000_000,
            )[1]
            for seconds in (60, 3600)
        )
        connection.execute(
            text("UPDATE tokens SET revoked_at = 1 WHERE id = :id"), {"id": revoked.split("_")[2]}
        )
    start.verify(short, 1_800_000_059)
    prefix, kind, token_id, secret, _ = good.split("_")
    forged = "_".join((prefix, kind, token_id, secret[::-1]))
    refused = [
        ("", 0),
        ("sgd_admin", 0),
        (good[:-1], 0),
        (good + "x", 0),
        (good.swapcase(), 0),
        (good + "é", 0),
    ]
    refused += [(forged + "_" + recompute(forged), 0), (short, 1_800_000_060), (revoked, 1_800_000_000)]
    messages: set[str] = set()
    for token, now in refused:
        with pytest.raises(CredentialRefused) as error:
            start.verify(token, now)
        messages.add(str(error.value))
    assert messages == {"the credential is not valid"}


def test_a_sealed_kms_lets_nobody_in(start: Start) -> None:
    start.run()
    start.kms.seal()
    with pytest.raises(Sealed):
        start.verify(start.tokens[0])


def recompute(body: str) -> str:
    return compute_crc(body)
