"""NOTIFY(CDS) to endpoints on the loopback, found through a resolver whose answers the tests write."""

import ipaddress
from collections.abc import Mapping

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest

from loopback_dns import Answer, respond, serving
from signerd.delegation.parent_notifier import NoticeOutcome, NoticeResult, ParentNotifier
from signerd.delegation.stub_resolver import Patience, ServerAddress
from signerd.dns.name import parse_name

ZONE = parse_name("child.example.test.")
SOA = "example.test. 60 SOA ns.example.test. h.example.test. 1 3600 600 86400 60"
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
PATIENCE = Patience(1.0, 1)
Records = Mapping[str, list[str]]


class World:
    """A resolver that knows some records, and an endpoint that keeps what it got."""

    def __init__(
        self, records: Records, *, flags: int = 0, code: dns.rcode.Rcode = dns.rcode.NOERROR
    ) -> None:
        self.records = records
        self.flags = flags
        self.code = code
        self.asked: list[str] = []
        self.notified: list[dns.message.Message] = []

    def resolve(self, query: dns.message.Message, _: bool) -> dns.message.Message | None:
        question = query.question[0]
        key = f"{question.name} {dns.rdatatype.to_text(question.rdtype)}"
        self.asked.append(key)
        records = self.records.get(key, [])
        return respond(query, *records, flags=self.flags, authority="" if records else SOA)

    def receive(self, query: dns.message.Message, _: bool) -> dns.message.Message | None:
        self.notified.append(query)
        return respond(query, rcode=self.code)


def make_records(port: int, owner: str = "child._dsync.example.test.") -> dict[str, list[str]]:
    return {
        f"{owner} DSYNC": [f"{owner} 60 DSYNC CDS NOTIFY {port} scanner.example.test."],
        "scanner.example.test. A": ["scanner.example.test. 60 A 127.0.0.1"],
    }


async def notify(
    resolve: Answer, *, networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = LOOPBACK
) -> NoticeOutcome:
    async with serving(resolve) as resolver:
        return await ParentNotifier([resolver], networks, PATIENCE).notify(ZONE)


async def run(
    owner: str, *, code: dns.rcode.Rcode = dns.rcode.NOERROR, flags: int = 0
) -> tuple[World, NoticeOutcome]:
    world = World({}, code=code, flags=flags)
    async with serving(world.receive) as endpoint:
        world.records = make_records(endpoint.port, owner)
        outcome = await notify(world.resolve)
        assert str(endpoint.port) in outcome.endpoint
    return world, outcome


async def test_the_endpoint_gets_a_notify_for_the_cds_of_the_zone() -> None:
    world, outcome = await run("child._dsync.example.test.")
    assert (outcome.result, outcome.detail, outcome.is_final) == (
        NoticeResult.TAKEN,
        "answered NOERROR",
        True,
    )
    (message,) = world.notified
    assert message.opcode() is dns.opcode.NOTIFY
    assert message.flags & dns.flags.AA
    assert not message.flags & dns.flags.RD
    (question,) = message.question
    assert (str(question.name), question.rdtype) == ("child.example.test.", dns.rdatatype.CDS)
    assert not message.answer


async def test_a_parent_without_wildcard_is_found_at_its_own_name() -> None:
    world, outcome = await run("_dsync.example.test.")
    assert outcome.result is NoticeResult.TAKEN
    assert world.asked[:2] == ["child._dsync.example.test. DSYNC", "_dsync.example.test. DSYNC"]


async def test_what_the_resolver_validated_is_told() -> None:
    _, outcome = await run("child._dsync.example.test.", flags=dns.flags.AD)
    assert outcome.is_validated
    _, outcome = await run("child._dsync.example.test.")
    assert not outcome.is_validated


async def test_a_refusal_is_final() -> None:
    world, outcome = await run("child._dsync.example.test.", code=dns.rcode.REFUSED)
    assert (outcome.result, outcome.detail, outcome.is_final) == (
        NoticeResult.REFUSED,
        "answered REFUSED",
        True,
    )
    assert len(world.notified) == 1


async def test_a_parent_without_dsync_takes_no_notifications() -> None:
    world = World({})
    outcome = await notify(world.resolve)
    assert (outcome.result, outcome.is_final) == (NoticeResult.NO_ENDPOINT, True)
    assert world.asked == ["child._dsync.example.test. DSYNC", "_dsync.example.test. DSYNC"]


async def test_records_for_other_types_are_no_endpoint() -> None:
    owner = "child._dsync.example.test."
    world = World({f"{owner} DSYNC": [f"{owner} 60 DSYNC CSYNC NOTIFY 53 scanner.example.test."]})
    assert (await notify(world.resolve)).result is NoticeResult.NO_ENDPOINT


async def test_the_next_endpoint_is_notified_when_one_is_silent() -> None:
    world = World({})
    owner = "child._dsync.example.test."
    async with serving(lambda query, is_tcp: None) as silent, serving(world.receive) as endpoint:
        records = make_records(endpoint.port)
        # An endpoint sorts before another by its port, so the silent one is made the first by its name.
        records[f"{owner} DSYNC"] = [
            f"{owner} 60 DSYNC CDS NOTIFY {port} {host}.example.test."
            for port, host in ((silent.port, "silent"), (endpoint.port, "scanner"))
        ]
        records["silent.example.test. A"] = ["silent.example.test. 60 A 127.0.0.1"]
        world.records = records
        outcome = await notify(world.resolve)
    assert outcome.result is NoticeResult.TAKEN
    assert len(world.notified) == 1


async def test_a_silent_endpoint_is_worth_another_try() -> None:
    world = World({})
    async with serving(lambda query, is_tcp: None) as silent:
        world.records = make_records(silent.port)
        outcome = await notify(world.resolve)
    assert (outcome.result, outcome.is_final) == (NoticeResult.UNREACHED, False)
    assert "timed out" in outcome.detail


async def test_a_resolver_that_fails_is_worth_another_try() -> None:
    outcome = await notify(lambda query, is_tcp: respond(query, rcode=dns.rcode.SERVFAIL))
    assert (outcome.result, outcome.is_final) == (NoticeResult.UNREACHED, False)
    assert "SERVFAIL" in outcome.detail


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.0.1", "224.0.0.1", "192.0.2.1"])
async def test_nothing_is_sent_to_addresses_that_are_not_public(address: str) -> None:
    world = World({})
    async with serving(world.receive) as endpoint:
        world.records = {
            **make_records(endpoint.port),
            "scanner.example.test. A": [f"scanner.example.test. 60 A {address}"],
        }
        outcome = await notify(world.resolve, networks=())
    assert outcome.result is NoticeResult.UNREACHED
    assert f"not in the public address space: {address}" in outcome.detail
    assert not world.notified


async def test_zones_of_special_names_are_not_looked_up_in_the_public_dns() -> None:
    outcome = await ParentNotifier([], LOOPBACK, PATIENCE).notify(ZONE)
    assert outcome.result is NoticeResult.NO_ENDPOINT


async def test_answers_that_lead_nowhere_end_the_search() -> None:
    asked: list[str] = []

    def mislead(query: dns.message.Message, _: bool) -> dns.message.Message:
        asked.append(str(query.question[0].name))
        return respond(query, authority=SOA.replace("example.test. 60", "elsewhere. 60", 1))

    assert (await notify(mislead)).result is NoticeResult.NO_ENDPOINT
    assert len(asked) == 1


async def test_no_resolver_that_answers_is_worth_another_try() -> None:
    async with serving(lambda query, is_tcp: None) as silent:
        notifier = ParentNotifier([ServerAddress(silent.host, silent.port)], LOOPBACK, Patience(0.1, 1))
        outcome = await notifier.notify(ZONE)
    assert outcome.result is NoticeResult.UNREACHED
