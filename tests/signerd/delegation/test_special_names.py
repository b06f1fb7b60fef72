"""Names of which the public DNS is not asked."""

import pytest

from signerd.delegation.special_names import is_special
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
