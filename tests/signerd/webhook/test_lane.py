"""How events get to one receiver: kept, repeated, given up."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from deployment import Deployment, make_deployment
from signerd.alarm.alarm import AlarmEvent, EventKind
from signerd.custody import CustodyUnavailable
from signerd.webhook import outbox
from signerd.webhook.lane import IDLE_SECONDS, WAIT_SECONDS, Lane, LaneParts
from signerd.webhook.message import KeySignature
from signerd.webhook.sender import DELIVERED, Verdict
from signerd.webhook.signing_key import WebhookKeyRefused
from signerd.webhook.webhook import Webhook
from signerd_kms.audited_store import AuditedStore
from signerd_kms.errors import Sealed, StoreUnavailable

DOWN = Verdict("ConnectError: refused")
REFUSED = Verdict("status 404", is_refused=True)
HOOK = Webhook("ops", "http://127.0.0.1:1/")


@dataclass
class World:
    """A receiver that answers as told, and the outbox before it."""

    deployment: Deployment
    webhook: Webhook = HOOK
    verdicts: list[Verdict] = field(default_factory=list[Verdict])
    sent: list[str] = field(default_factory=list[str])
    trouble: list[str | None] = field(default_factory=list[str | None])
    sign_failure: Exception | None = None
    is_closed: bool = False
    ticks: float = 1000.0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin with nothing but what is in the database."""
        parts = LaneParts(
            self.open,
            self.sign,
            self.send,
            self.deployment.clock.now,
            lambda: self.ticks,
            "signerd/test",
            lambda _, trouble: self.trouble.append(trouble),
            lambda: 0.5,  # delays as they are without a random part
        )
        self.lane = Lane(self.webhook, parts)

    def open(self) -> AuditedStore:
        if self.is_closed:
            raise CustodyUnavailable("no seal opens")
        return self.deployment.kms.custodian.store

    def sign(self, reference: str, data: bytes) -> KeySignature:
        del reference, data
        if self.sign_failure is not None:
            raise self.sign_failure
        return KeySignature("kms-x", 1, bytes(32))

    async def send(self, webhook: Webhook, headers: Mapping[str, str], body: bytes) -> Verdict:
        del webhook, body
        self.sent.append(headers["Signerd-Event-Id"])
        return self.verdicts.pop(0) if self.verdicts else DELIVERED

    def add(self, *names: str) -> Mapping[str, int]:
        """Put events into the outbox."""
        now = self.deployment.clock.now()
        events = [
            AlarmEvent(EventKind.HAPPENED, "key.made", "a.test", "a key was made", now, identity=name)
            for name in names
        ]
        return self.open().write(
            lambda connection: outbox.add_events(connection, [self.webhook], events, "here", now)
        )

    def pass_time(self, seconds: float) -> None:
        self.deployment.clock.seconds += round(seconds)
        self.ticks += seconds

    @property
    def waiting(self) -> int:
        with self.open().read() as connection:
            return outbox.count_backlog(connection, self.webhook.name).waiting


@pytest.fixture
def world(tmp_path: Path) -> Generator[World]:
    with make_deployment(tmp_path) as deployment:
        yield World(deployment)


async def test_events_are_delivered_once_in_their_order(world: World) -> None:
    world.add("e1", "e2")
    world.add("e3")
    assert await world.lane.deliver() == IDLE_SECONDS
    assert world.sent == ["e1", "e2", "e3"]
    assert world.waiting == 0
    await world.lane.deliver()
    assert len(world.sent) == 3


async def test_a_receiver_that_is_down_is_tried_ever_more_seldom(world: World) -> None:
    world.webhook = replace(HOOK, max_age_seconds=30 * 86400)
    world.restart()
    pauses: list[float] = []
    for number in range(9):
        world.add(f"e{number}")  # a new event is due at once, but for the pause
        world.verdicts = [DOWN]
        tried = len(world.sent)
        pauses.append(await world.lane.deliver())
        assert len(world.sent) == tried + 1
        world.pass_time(pauses[-1])
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]


async def test_the_delays_of_an_event_double_up_to_an_hour(world: World) -> None:
    world.add("e1")
    world.verdicts = [REFUSED] * 14
    delays: list[float] = []
    for _ in range(14):
        delays.append(await world.lane.deliver())
        world.pass_time(delays[-1])
    assert delays == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600, 3600]
    await world.lane.deliver()
    assert world.waiting == 0


async def test_a_refused_event_does_not_hold_up_the_others(world: World) -> None:
    world.add("e1", "e2")
    world.verdicts = [REFUSED]
    assert await world.lane.deliver() == 5
    assert world.sent == ["e1", "e2"]
    assert world.waiting == 1


async def test_a_receiver_that_is_down_gets_one_event_at_a_time_and_all_once_it_is_back(world: World) -> None:
    world.add("e1", "e2", "e3")
    world.verdicts = [DOWN]
    assert await world.lane.deliver() == 5
    assert world.sent == ["e1"]
    world.pass_time(4)
    assert await world.lane.deliver() == 1  # nobody is asked meanwhile
    assert world.sent == ["e1"]
    world.pass_time(1)
    await world.lane.deliver()
    assert sorted(world.sent) == ["e1", "e1", "e2", "e3"]
    assert world.waiting == 0


async def test_what_waits_survives_a_restart(world: World) -> None:
    world.add("e1", "e2")
    world.verdicts = [DOWN]
    await world.lane.deliver()
    world.restart()
    world.pass_time(5)
    await world.lane.deliver()
    assert world.sent == ["e1", "e1", "e2"]


async def test_an_attempt_whose_end_was_not_noted_is_made_again_with_the_same_identity(world: World) -> None:
    world.add("e1")
    world.sign_failure = None
    world.verdicts = [DELIVERED]
    lane = world.lane
    store = world.open()
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(store, "write", _fail)
        assert await lane.deliver() == WAIT_SECONDS
    world.restart()
    await world.lane.deliver()
    assert world.sent == ["e1", "e1"]
    assert world.waiting == 0


def _fail(work: object) -> None:
    raise StoreUnavailable("disk is full")


async def test_an_event_is_given_up_after_so_many_attempts(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.webhook = replace(HOOK, max_attempts=3)
    world.restart()
    world.add("e1")
    world.verdicts = [REFUSED] * 3
    for _ in range(3):
        world.pass_time(await world.lane.deliver())
    assert world.sent == ["e1"] * 3
    assert world.waiting == 0
    assert world.lane.counts.given_up == 1
    assert "1 events are given up: 3 attempts failed, the last with status 404" in caplog.text


async def test_an_event_is_given_up_when_it_is_too_old(world: World) -> None:
    world.add("old")
    world.pass_time(2 * 86400)
    world.add("new")
    world.pass_time(86400 + 1)
    await world.lane.deliver()
    assert world.sent == ["new"]
    assert world.lane.counts.given_up == 1


async def test_of_too_many_events_the_oldest_are_given_up(world: World) -> None:
    world.webhook = replace(HOOK, max_waiting=3)
    world.restart()
    assert world.add("e1", "e2") == {}
    assert world.add("e3", "e4", "e5") == {"ops": 2}
    await world.lane.deliver()
    assert world.sent == ["e3", "e4", "e5"]


@pytest.mark.parametrize("failure", [Sealed("sealed"), CustodyUnavailable("no seal opens")])
async def test_while_the_kms_is_sealed_events_wait_and_no_attempt_counts(
    world: World, failure: Exception
) -> None:
    world.add("e1")
    world.sign_failure = failure
    for _ in range(200):
        assert await world.lane.deliver() == WAIT_SECONDS
    assert not world.sent
    assert world.lane.counts.failed == 0
    world.sign_failure = None
    await world.lane.deliver()
    assert world.sent == ["e1"]


async def test_a_key_that_cannot_sign_is_told(world: World) -> None:
    world.add("e1")
    world.sign_failure = WebhookKeyRefused("key 'k' is disabled, not active")
    assert await world.lane.deliver() == WAIT_SECONDS
    assert world.trouble == ["its events cannot be signed: key 'k' is disabled, not active"]
    world.sign_failure = None
    await world.lane.deliver()
    assert world.trouble[-1] is None


async def test_a_database_that_is_closed_is_waited_for(world: World) -> None:
    world.add("e1")
    world.is_closed = True
    assert await world.lane.deliver() == WAIT_SECONDS
    world.is_closed = False
    await world.lane.deliver()
    assert world.sent == ["e1"]


async def test_a_receiver_that_fails_for_long_is_told_until_it_answers(world: World) -> None:
    world.add("e1")
    world.verdicts = [DOWN] * 5
    while world.verdicts:
        assert not world.trouble
        world.pass_time(await world.lane.deliver())
    assert world.trouble == ["events cannot be delivered: ConnectError: refused"]
    while world.waiting:
        world.pass_time(await world.lane.deliver())
    assert world.trouble[-1] is None


async def test_the_same_failure_is_logged_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.add("e1")
    other = Verdict("status 500")
    world.verdicts = [DOWN, DOWN, DOWN, other]
    while world.waiting:
        world.pass_time(await world.lane.deliver())
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [line.rpartition("delivered: ")[2] for line in warnings] == [DOWN.reason, other.reason]


async def test_a_receiver_that_asks_for_patience_gets_it(world: World) -> None:
    world.add("e1", "e2")
    world.verdicts = [Verdict("status 503", retry_after=600)]
    assert await world.lane.deliver() == 600
    assert world.sent == ["e1"]


async def test_a_clock_that_is_set_back_delays_nothing_for_ever(world: World) -> None:
    world.add("e1")
    world.verdicts = [DOWN]
    await world.lane.deliver()
    world.deployment.clock.seconds -= 10 * 86400
    world.ticks += 5
    await world.lane.deliver()
    assert world.sent == ["e1", "e1"]
    assert world.waiting == 0


async def test_only_wanted_events_are_kept(world: World) -> None:
    world.webhook = replace(HOOK, events=("rollover", "dnssec.expired"))
    wants = world.webhook.wants
    assert wants("rollover.stopped")
    assert wants("dnssec.expired")
    assert not wants("dnssec.expired_soon")
    assert not wants("dnssec.sign_failed")
    assert not wants("rolloverx.y")
    world.restart()
    world.add("e1")
    assert world.waiting == 0


def test_events_of_webhooks_that_are_configured_no_more_are_dropped(world: World) -> None:
    world.add("e1", "e2")
    gone = world.open().write(lambda connection: outbox.drop_unknown(connection, ["other"]))
    assert gone == 2
    assert world.waiting == 0
