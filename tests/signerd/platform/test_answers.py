"""What is remembered of callers never outlives a change, whichever process makes it."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text

from deployment import Deployment, make_deployment
from signerd.api.access import Identity, TokenPresented
from signerd.platform import answers
from signerd.platform.answers import Answers
from signerd.platform.api_token import ACCESS, PERSONAL, NewToken, issue_token, revoke_token
from signerd.platform.audit_log import AuditLog
from signerd.platform.change import Change, PlatformStore
from signerd.platform.described import Description
from signerd.platform.errors import CredentialRefused, OrganisationRefused, PlatformError, ProjectUnknown
from signerd.platform.gate import Gate
from signerd.platform.membership import Role, add_membership, find_membership, remove_membership
from signerd.platform.organisation import set_gate
from signerd.platform.policy import Place, PolicyDraft, add_rule, create_policy, remove_rule
from signerd.platform.policy_binding import BindingDraft, add_binding, remove_binding
from signerd.platform.policy_rule import RuleDraft
from signerd.platform.principal import Principal, PrincipalKind, Project, TokenScope
from signerd.platform.project import create_project, delete_project
from signerd.platform.region import find_place, get_region, update_region
from signerd.platform.rights import KMS_KEY, Rights
from signerd.platform.service_account import create_service_account, delete_service_account
from signerd.platform.user import create_user
from signerd.store.engine import open_database
from signerd_kms.attribution import NOBODY
from signerd_kms.audited_store import READ_ONLY, AuditedStore
from signerd_kms.errors import Sealed

LIFETIME = 1000


@dataclass
class Caller:
    """A service account and a user who may use keys by one binding each, a project, and their tokens."""

    deployment: Deployment
    account: str
    account_token: str
    user: str
    user_token: str
    token_id: str
    policy: str
    rule: str
    binding: str
    project: str

    @property
    def organisation(self) -> str:
        return self.deployment.platform.organisation

    @property
    def place(self) -> Place:
        return Place(self.organisation, None)

    def admit(self, token: str, project: str | None = None) -> tuple[Identity, bool, Project | None, Rights]:
        """Ask all that is asked of a call."""
        parts = self.deployment.parts
        with parts.hold():
            identity = parts.authenticate(TokenPresented(token))
            organisation = parts.find_organisation(identity, "local-test")
            is_on = parts.read_gates(organisation)[Gate.KMS]
            found = parts.find_project(identity, organisation, project) if project else None
            return (
                identity,
                is_on,
                found,
                parts.collect_rights(identity, organisation, found, TokenScope.API_WRITE),
            )

    def may_encrypt(self, token: str) -> bool:
        return self.admit(token)[3].allows(KMS_KEY, "encrypt", "key-1")


def prepare(deployment: Deployment) -> Caller:
    organisation = deployment.platform.organisation
    place = Place(organisation, None)

    def make(change: Change) -> Caller:
        account = create_service_account(change, organisation, Description("robot"), creator=None)
        user = create_user(change, name="Bob", email="bob@example.com", is_operator=False)
        add_membership(change, organisation, user.subject, Role.MEMBER)
        rule = RuleDraft(resources=[KMS_KEY], permissions=["encrypt"])
        policy = create_policy(change, place, PolicyDraft(Description("crypto"), rules=[rule]))
        name = policy.record.identity
        draft = BindingDraft(Description("robot"), service_account=account.record.identity)
        binding = add_binding(change, place, name, draft)[1]
        add_binding(change, place, name, BindingDraft(Description("bob"), user=user.subject))
        creator = Principal(PrincipalKind.USER, user.subject, "Bob")
        project = create_project(change, organisation, Description("one"), parent=None, creator=creator)
        issue = change.connection, deployment.pepper
        robot = NewToken(
            ACCESS, "", LIFETIME, service_account=account.record.identity, organisation=organisation
        )
        token_id, account_token = issue_token(*issue, robot, change.now)
        user_token = issue_token(*issue, NewToken(PERSONAL, "bob", LIFETIME, user.subject), change.now)[1]
        return Caller(
            deployment,
            account.record.identity,
            account_token,
            user.subject,
            user_token,
            token_id,
            name,
            policy.rules[0].identity,
            binding.record.identity,
            project.identity,
        )

    return deployment.store.change(NOBODY, make)


@pytest.fixture
def caller(tmp_path: Path) -> Generator[Caller]:
    with make_deployment(tmp_path) as deployment:
        yield prepare(deployment)


@pytest.fixture(params=["this process", "another process"])
def writer(request: pytest.FixtureRequest, caller: Caller, tmp_path: Path) -> Generator[PlatformStore]:
    """Who makes the change; the other one shares the file with us and nothing in memory."""
    if request.param == "this process":
        yield caller.deployment.store
        return
    engine = open_database(tmp_path / "signerd.db")
    yield PlatformStore(AuditedStore(engine, caller.deployment.clock, AuditLog()))
    engine.dispose()


def count_nothing(_: Connection, __: str, ___: str) -> int:
    return 0


def refused(caller: Caller, token: str, error: type[PlatformError], project: str | None = None) -> None:
    with pytest.raises(error):
        caller.admit(token, project)


def test_a_revoked_token_is_refused_at_once(caller: Caller, writer: PlatformStore) -> None:
    caller.admit(caller.account_token)
    caller.admit(caller.account_token)
    writer.change(NOBODY, lambda change: revoke_token(change.connection, caller.token_id, change.now))
    refused(caller, caller.account_token, CredentialRefused)


def test_an_expired_token_is_refused_without_any_change(caller: Caller) -> None:
    caller.admit(caller.account_token)
    caller.deployment.clock.seconds += LIFETIME - 1
    caller.admit(caller.account_token)
    caller.deployment.clock.seconds += 1
    refused(caller, caller.account_token, CredentialRefused)


def test_a_deleted_service_account_is_refused_at_once(caller: Caller, writer: PlatformStore) -> None:
    caller.admit(caller.account_token)
    writer.change(NOBODY, lambda change: delete_service_account(change, caller.organisation, caller.account))
    refused(caller, caller.account_token, CredentialRefused)


def test_a_removed_binding_gives_no_rights_at_once(caller: Caller, writer: PlatformStore) -> None:
    assert caller.may_encrypt(caller.account_token)
    assert caller.may_encrypt(caller.account_token)
    writer.change(NOBODY, lambda change: remove_binding(change, caller.place, caller.policy, caller.binding))
    assert not caller.may_encrypt(caller.account_token)
    assert caller.may_encrypt(caller.user_token)


def test_a_removed_rule_gives_no_rights_and_a_new_one_does(caller: Caller, writer: PlatformStore) -> None:
    assert caller.may_encrypt(caller.user_token)
    writer.change(NOBODY, lambda change: remove_rule(change, caller.place, caller.policy, caller.rule))
    assert not caller.may_encrypt(caller.user_token)
    rule = RuleDraft(resources=[KMS_KEY], permissions=["encrypt"])
    writer.change(NOBODY, lambda change: add_rule(change, caller.place, caller.policy, rule))
    assert caller.may_encrypt(caller.user_token)


def test_a_gate_is_off_at_once(caller: Caller, writer: PlatformStore) -> None:
    assert caller.admit(caller.account_token)[1]
    writer.change(NOBODY, lambda change: set_gate(change, caller.organisation, Gate.KMS, is_on=False))
    assert not caller.admit(caller.account_token)[1]


def test_a_deleted_project_is_unknown_at_once(caller: Caller, writer: PlatformStore) -> None:
    found = caller.admit(caller.user_token, caller.project)[2]
    assert found is not None
    assert found.identity == caller.project
    writer.change(
        NOBODY,
        lambda change: delete_project(change, caller.organisation, caller.project, count_nothing),
    )
    refused(caller, caller.user_token, ProjectUnknown, caller.project)


def test_who_leaves_an_organisation_is_refused_at_once(caller: Caller, writer: PlatformStore) -> None:
    caller.admit(caller.user_token)

    def leave(change: Change) -> None:
        found = find_membership(change.connection, caller.organisation, caller.user)
        assert found is not None
        remove_membership(change, caller.organisation, found.identity)

    writer.change(NOBODY, leave)
    refused(caller, caller.user_token, OrganisationRefused)


def test_a_region_without_kms_is_known_at_once(caller: Caller, writer: PlatformStore) -> None:
    def ask() -> bool:
        return store.recall(("place", "nl-01"), lambda read: find_place(read, "nl-01")).is_kms_available

    store = caller.deployment.store
    assert ask()

    def close(change: Change) -> None:
        description = get_region(change.connection, "nl-01").record.stated
        update_region(change, caller.deployment.platform.region, description, is_kms_available=False)

    writer.change(NOBODY, close)
    assert not ask()


def test_a_sealed_kms_knows_no_remembered_token(caller: Caller) -> None:
    caller.admit(caller.account_token)
    caller.deployment.kms.seal()
    with pytest.raises(Sealed):
        caller.admit(caller.account_token)


def test_a_change_that_fails_leaves_the_answers_as_they_were(caller: Caller) -> None:
    assert caller.may_encrypt(caller.account_token)

    def fail(change: Change) -> None:
        remove_binding(change, caller.place, caller.policy, caller.binding)
        raise ValueError("too late")

    with pytest.raises(ValueError, match="too late"):
        caller.deployment.store.change(NOBODY, fail)
    assert caller.may_encrypt(caller.account_token)


def test_a_call_that_nothing_changed_for_asks_the_database_one_question(caller: Caller) -> None:
    for _ in range(2):  # the first use of a token on a day is noted, which is a change
        caller.admit(caller.user_token, caller.project)
    asked: list[str] = []

    def note(_: Connection, __: object, statement: str, *___: object) -> None:
        asked.append(statement)

    event.listen(caller.deployment.engine, "before_cursor_execute", note)
    caller.admit(caller.user_token, caller.project)
    assert [statement.split() for statement in asked] == [
        ["BEGIN"],
        ["SELECT", "platform_generation.value", "FROM", "platform_generation"],
    ]


def test_a_reader_of_an_older_state_neither_gets_nor_leaves_answers(caller: Caller) -> None:
    known, engine = Answers(), caller.deployment.engine
    question = ("accounts",)

    def count(connection: Connection) -> int:
        return int(connection.execute(text("SELECT count(*) FROM service_accounts")).scalar_one())

    def find_nothing(_: Connection) -> int:
        raise AssertionError("this is known")

    with (
        engine.connect().execution_options(**{READ_ONLY: True}) as old,
        engine.connect().execution_options(**{READ_ONLY: True}) as new,
    ):
        assert count(old) == 1
        caller.deployment.store.change(
            NOBODY,
            lambda change: create_service_account(
                change, caller.organisation, Description("second"), creator=None
            ),
        )
        assert known.recall(new, question, count) == 2
        assert known.recall(old, question, count) == 1
        assert known.recall(new, question, find_nothing) == 2


def test_the_number_of_answers_is_bounded(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MAX_ANSWERS", 3)
    store, found = caller.deployment.store, list[int]()

    def ask(number: int) -> int:
        def find(_: Connection) -> int:
            found.append(number)
            return number

        return store.recall(("number", number), find)

    assert [ask(number) for number in (1, 2, 3, 3, 4, 4, 1)] == [1, 2, 3, 3, 4, 4, 1]
    assert found == [1, 2, 3, 4, 1]
