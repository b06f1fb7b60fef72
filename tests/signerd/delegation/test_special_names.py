"""Names of which the public DNS is not asked."""

import pytest

from signerd.delegation.parent_probe import NoPublicParent, ParentProbe, ProbeOptions
from signerd.delegation.special_names import is_special
from signerd.delegation.stub_resolver import ServerAddress
from signerd.dns.name import parse_name


@pytest.mark.parametrize(
    "name",
    [
        "test.",
        "child.test.",
        "example.com.",
        "a.b.internal.",
        "16.172.in-addr.arpa.",
        "2.0.192.in-addr.arpa.",
    ],
)
def test_names_that_nobody_is_delegated_are_special(name: str) -> None:
    assert is_special(parse_name(name))


@pytest.mark.parametrize(
    "name", [".", "com.", "mytest.", "test.com.", "example.de.", "15.172.in-addr.arpa.", "192.in-addr.arpa."]
)
def test_other_names_are_not(name: str) -> None:
    assert not is_special(parse_name(name))


async def test_nobody_is_asked_for_the_parent_of_such_a_name_unless_that_is_configured() -> None:
    zone, server = parse_name("small.test."), ServerAddress("192.0.2.1")
    with pytest.raises(NoPublicParent):
        await ParentProbe(ProbeOptions(), lambda: 0).find_servers(zone)
    fixed = ParentProbe(ProbeOptions(parents={"test.": (server,)}), lambda: 0)
    assert await fixed.find_servers(zone) == [server]
