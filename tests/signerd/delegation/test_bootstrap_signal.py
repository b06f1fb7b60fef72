"""Where the signals of RFC 9615 go, and why some do not."""

from collections.abc import Mapping

import pytest

from answering import read_zone
from sign_here import sign_zone
from signerd.delegation.bootstrap_signal import SignalPlan, list_signals, make_signal_name, plan_signals
from signerd.dns import rdatatype as rt
from signerd.dns.name import BadName, format_name, parse_name
from signerd.dns.rrset import RRset
from signerd.dns.zone import Zone
from signerd.dnssec.policy import SigningPolicy

SOA = "$TTL 300\n@ SOA ns h 1 7200 900 604800 300\n"
CHILD = SOA + "@ NS ns1.provider.test.\n@ NS ns2.provider.test.\n"
PROVIDER = SOA + "@ NS ns1\nns1 A 192.0.2.1\nns2 A 192.0.2.2\n"


def make(origin: str, text: str, *, publish_cds: bool = True, is_signed: bool = True) -> Zone:
    unsigned = read_zone(text, origin)
    return sign_zone(unsigned, policy=SigningPolicy(publish_cds=publish_cds)) if is_signed else unsigned


def plan(*children: Zone, served: tuple[Zone, ...], refused: Mapping[str, str] | None = None) -> SignalPlan:
    refusals = {parse_name(name): reason for name, reason in (refused or {}).items()}
    return plan_signals(children, {zone.origin: zone for zone in (*children, *served)}, refusals.get)


def describe(found: SignalPlan) -> dict[str, list[str]]:
    return {
        format_name(host): [format_name(owner) for owner in signals]
        for host, signals in found.by_host.items()
    }


def list_problems(found: SignalPlan) -> list[str]:
    return [problem for problems in found.problems.values() for problem in problems]


def test_every_name_server_outside_the_zone_gets_the_records_of_the_apex() -> None:
    child, provider = make("child.test.", CHILD), make("provider.test.", PROVIDER)
    found = plan(child, served=(provider,))
    assert describe(found) == {
        "provider.test.": [
            "_dsboot.child.test._signal.ns1.provider.test.",
            "_dsboot.child.test._signal.ns2.provider.test.",
        ]
    }
    for owner, types in found.by_host[provider.origin].items():
        for number in (rt.CDS, rt.CDNSKEY):
            own = child.names[child.origin][number]
            assert types[number] == RRset(owner, number, own.ttl, own.rdatas)
    assert found.names == {child.origin: list(found.by_host[provider.origin])}
    assert not found.problems


def test_a_zone_of_the_signals_alone_gets_them() -> None:
    child, provider = make("child.test.", CHILD), make("provider.test.", PROVIDER)
    own = make("_signal.ns1.provider.test.", SOA + "@ NS ns1.provider.test.\n")
    assert describe(plan(child, served=(provider, own))) == {
        "_signal.ns1.provider.test.": ["_dsboot.child.test._signal.ns1.provider.test."],
        "provider.test.": ["_dsboot.child.test._signal.ns2.provider.test."],
    }


def test_name_servers_inside_the_zone_get_nothing() -> None:
    inside = SOA + "@ NS ns1\n@ NS ns.deep\n@ NS ns1.provider.test.\nns1 A 192.0.2.1\nns.deep A 192.0.2.2\n"
    provider = make("provider.test.", PROVIDER)
    found = plan(make("child.test.", inside), served=(provider,))
    assert describe(found) == {"provider.test.": ["_dsboot.child.test._signal.ns1.provider.test."]}
    alone = plan(provider, served=())
    assert alone.by_host == {}
    assert ["all of its name servers" in problem for problem in list_problems(alone)] == [True]


@pytest.mark.parametrize(
    "child",
    [
        make("child.test.", CHILD, publish_cds=False),
        make("child.test.", CHILD, is_signed=False),
    ],
    ids=["no CDS by policy", "not signed"],
)
def test_a_zone_that_asks_for_no_ds_is_not_signalled(child: Zone) -> None:
    found = plan(child, served=(make("provider.test.", PROVIDER),))
    assert (found.by_host, found.problems) == ({}, {})


def test_a_zone_that_asks_for_removal_is_not_signalled() -> None:
    child = make("child.test.", CHILD)
    apex = dict(child.names[child.origin])
    apex[rt.CDS] = apex[rt.CDS]._replace(rdatas=(bytes(5),))
    leaving = Zone(child.origin, {**child.names, child.origin: apex}, child.nsec3)
    assert plan(leaving, served=(make("provider.test.", PROVIDER),)).by_host == {}


def test_a_zone_that_has_its_ds_in_a_zone_served_here_is_not_signalled() -> None:
    child, provider = make("child.test.", CHILD), make("provider.test.", PROVIDER)
    insecure = make("test.", SOA + "@ NS ns\nns A 192.0.2.1\nchild NS ns1.provider.test.\n")
    secure = make(
        "test.", SOA + "@ NS ns\nns A 192.0.2.1\nchild NS ns1.provider.test.\nchild DS 1 13 2 " + "00" * 32
    )
    assert plan(child, served=(provider, insecure)).by_host
    assert not plan(child, served=(provider, secure)).by_host


@pytest.mark.parametrize(
    ("provider", "reason"),
    [
        (make("other.test.", PROVIDER), "in no zone that is served here"),
        (make("provider.test.", PROVIDER, is_signed=False), "is not signed"),
        (make("provider.test.", PROVIDER + "ns2 NS ns.ns2\nns.ns2 A 192.0.2.3\n"), "delegated or redirected"),
        (make("provider.test.", PROVIDER + "_signal.ns2 DNAME elsewhere.test.\n"), "delegated or redirected"),
        (
            make("provider.test.", PROVIDER + "_dsboot.child.test._signal.ns2 CNAME x\n"),
            "_dsboot.child.test._signal.ns2.provider.test. is an alias",
        ),
        (
            make("provider.test.", SOA + "@ NS ns1\nns1 A 192.0.2.1\n* A 192.0.2.2\n"),
            "has no records of ns2.provider.test.",
        ),
    ],
)
def test_what_cannot_be_signalled_is_said(provider: Zone, reason: str) -> None:
    found = plan(make("child.test.", CHILD), served=(provider,))
    assert any(reason in problem and "ns2.provider.test." in problem for problem in list_problems(found))
    assert not any("ns2" in owner for owners in describe(found).values() for owner in owners)


def test_a_zone_may_refuse_to_have_anything_added() -> None:
    provider = make("provider.test.", PROVIDER)
    child = make("child.test.", CHILD)
    found = plan(child, served=(provider,), refused={"provider.test.": "is somebody's"})
    assert found.by_host == {}
    assert list_problems(found) == [
        f"no signal to its parent beneath ns{number}.provider.test.: zone provider.test. is somebody's"
        for number in (1, 2)
    ]


def test_a_name_that_would_be_too_long_is_said() -> None:
    label = "a" * 63
    origin = f"{label}.{label}.{label}.{'b' * 23}.test."  # as long as NSEC3 allows
    found = plan(make(origin, CHILD), served=(make("provider.test.", PROVIDER),))
    assert found.by_host == {}
    problems = list_problems(found)
    assert len(problems) == 2
    assert all("too long" in problem for problem in problems)


def test_the_longest_signal_name_has_255_octets() -> None:
    label, server = "a" * 63, parse_name("ns.test.")
    assert len(make_signal_name(parse_name(f"{label}.{label}.{label}.{'b' * 37}."), server)) == 255
    with pytest.raises(BadName):
        make_signal_name(parse_name(f"{label}.{label}.{label}.{'b' * 38}."), server)


def test_the_signals_of_a_version_are_read_back() -> None:
    child, provider = make("child.test.", CHILD), make("provider.test.", PROVIDER)
    signals = plan(child, served=(provider,)).by_host[provider.origin]
    assert list_signals(provider) == {}
    names = {**provider.names, **signals}
    assert list_signals(Zone(provider.origin, names, provider.nsec3)) == signals
