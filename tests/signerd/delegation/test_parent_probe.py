"""The probe against servers on the loopback whose answers are written in the tests."""

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from loopback_dns import Answer, respond, serving
from signerd.delegation.parent_probe import ParentNotFound, ParentProbe, ProbeOptions
from signerd.delegation.stub_resolver import ServerAddress
from signerd.dns.name import parse_name

ZONE = parse_name("child.example.test.")
NOW = 1_800_000_000
DS = "4711 13 2 " + "ab" * 32
DS_RDATA = (4711).to_bytes(2) + b"\x0d\x02" + b"\xab" * 32


def make_probe(*servers: ServerAddress, name: str = "example.test.") -> ParentProbe:
    return ParentProbe(ProbeOptions(parents={name: servers}, timeout=0.2, attempts=2), lambda: NOW)


async def test_gives_what_each_of_all_servers_said() -> None:
    def with_ds(query: dns.message.Message, is_tcp: bool) -> dns.message.Message:
        assert not query.flags & dns.flags.RD
        assert query.question[0].rdtype == dns.rdatatype.DS
        return respond(query, f"child.example.test. 120 DS {DS}")

    async with (
        serving(with_ds) as first,
        serving(lambda query, _: respond(query)) as second,
        serving(lambda query, _: respond(query, rcode=dns.rcode.NXDOMAIN)) as third,
        serving(lambda query, _: respond(query, rcode=dns.rcode.REFUSED)) as refusing,
        serving(lambda query, _: respond(query, flags=0)) as lame,
        serving(lambda query, _: None) as silent,
        serving(
            lambda query, _: respond(query, authority="child.example.test. 60 SOA a. b. 1 2 3 4 5")
        ) as childish,
    ):
        servers = (first, second, third, refusing, lame, silent, childish)
        answers = await make_probe(*servers).ask(ZONE)
    assert [answer.server for answer in answers] == [str(server) for server in servers]
    assert {answer.at for answer in answers} == {NOW}
    assert [(answer.ds, answer.ttl, answer.error) for answer in answers] == [
        (frozenset({DS_RDATA}), 120, None),
        (frozenset(), 0, None),
        (frozenset(), 0, None),
        (None, 0, "answered REFUSED"),
        (None, 0, "is not authoritative for the parent"),
        (None, 0, "timed out"),
        (None, 0, "answered for the zone itself, not for its parent"),
    ]


async def test_asks_over_tcp_what_does_not_fit_into_a_datagram() -> None:
    def answer(query: dns.message.Message, is_tcp: bool) -> dns.message.Message:
        if not is_tcp:
            return respond(query, flags=dns.flags.AA | dns.flags.TC)
        return respond(query, f"child.example.test. 120 DS {DS}")

    async with serving(answer) as server:
        (found,) = await make_probe(server).ask(ZONE)
    assert found.ds == frozenset({DS_RDATA})


async def test_asks_again_when_a_datagram_is_lost() -> None:
    asked: list[int] = []

    def answer(query: dns.message.Message, is_tcp: bool) -> dns.message.Message | None:
        asked.append(query.id)
        return respond(query) if len(asked) == 2 else None

    async with serving(answer) as server:
        (found,) = await make_probe(server).ask(ZONE)
    assert found.error is None
    assert len(asked) == 2


async def test_a_name_of_the_zone_itself_wins_over_one_of_its_parent() -> None:
    near, far = ServerAddress("127.0.0.1", 1), ServerAddress("127.0.0.1", 2)
    options = ProbeOptions(parents={"child.example.test.": (near, near), ".": (far,)})
    assert await ParentProbe(options, lambda: NOW).find_servers(ZONE) == [near]
    assert await ParentProbe(options, lambda: NOW).find_servers(parse_name("other.test.")) == [far]


def make_resolver(records: dict[tuple[str, str], list[str]], broken: str = "") -> Answer:
    def answer(query: dns.message.Message, is_tcp: bool) -> dns.message.Message:
        assert query.flags & dns.flags.RD
        name, rdatatype = query.question[0].name.to_text(), dns.rdatatype.to_text(query.question[0].rdtype)
        if name == broken:
            return respond(query, rcode=dns.rcode.SERVFAIL)
        return respond(
            query, *(f"{name} 60 {rdatatype} {text}" for text in records.get((name, rdatatype), []))
        )

    return answer


async def test_finds_the_addresses_of_all_servers_of_the_nearest_zone_above() -> None:
    records = {
        ("test.", "NS"): ["ns.far.test."],
        ("example.test.", "NS"): ["ns1.example.test.", "ns2.example.test."],
        ("ns1.example.test.", "A"): ["192.0.2.1"],
        ("ns1.example.test.", "AAAA"): ["2001:db8::1"],
        ("ns2.example.test.", "A"): ["192.0.2.2"],
    }
    async with serving(make_resolver(records)) as resolver:
        probe = ParentProbe(ProbeOptions(resolvers=(resolver,), timeout=60), lambda: NOW)
        servers = await probe.find_servers(ZONE)
        assert sorted(map(str, servers)) == ["192.0.2.1#53", "192.0.2.2#53", "2001:db8::1#53"]
        # the parent need not be one label up
        del records["example.test.", "NS"]
        records["ns.far.test.", "A"] = ["192.0.2.3"]
        assert list(map(str, await probe.find_servers(ZONE))) == ["192.0.2.3#53"]


async def test_goes_on_to_the_next_resolver() -> None:
    records = {("example.test.", "NS"): ["ns.test."], ("ns.test.", "A"): ["192.0.2.1"]}
    async with (
        serving(lambda query, _: respond(query, rcode=dns.rcode.REFUSED)) as bad,
        serving(make_resolver(records)) as good,
    ):
        probe = ParentProbe(ProbeOptions(resolvers=(bad, good), timeout=60), lambda: NOW)
        assert list(map(str, await probe.find_servers(ZONE))) == ["192.0.2.1#53"]


@pytest.mark.parametrize("broken", ["example.test.", "ns2.example.test."])
async def test_never_takes_some_servers_for_all(broken: str) -> None:
    records = {
        ("example.test.", "NS"): ["ns1.example.test.", "ns2.example.test."],
        ("ns1.example.test.", "A"): ["192.0.2.1"],
        ("test.", "NS"): ["ns1.example.test."],
    }
    async with serving(make_resolver(records, broken)) as resolver:
        probe = ParentProbe(ProbeOptions(resolvers=(resolver,), timeout=60), lambda: NOW)
        with pytest.raises(ParentNotFound, match=r"SERVFAIL"):
            await probe.find_servers(ZONE)


async def test_a_parent_without_servers_is_an_error_that_says_so() -> None:
    async with serving(make_resolver({})) as resolver:
        probe = ParentProbe(ProbeOptions(resolvers=(resolver,), timeout=60), lambda: NOW)
        with pytest.raises(ParentNotFound, match="no zone above"):
            await probe.find_servers(ZONE)
    with pytest.raises(ParentNotFound, match="root"):
        await probe.find_servers(parse_name("."))
