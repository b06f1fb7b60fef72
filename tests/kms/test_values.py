import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signerd_kms.associated_data import encode_fields
from signerd_kms.errors import InvalidRequest, KmsError
from signerd_kms.identity import new_identity
from signerd_kms.key import OPERATIONS, KeyType, Scope
from signerd_kms.slug import make_slug
from signerd_kms.state import ALLOWED, State, Task


def test_encoding_of_fields_is_count_then_length_and_octets() -> None:
    assert encode_fields(("a", b"", 12, True)) == (
        b"\x04" + b"\0\0\0\x01a" + b"\0\0\0\0" + b"\0\0\0\x0212" + b"\0\0\0\x04true"
    )


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_different_fields_never_give_the_same_octets(one: list[bytes], other: list[bytes]) -> None:
    assert (encode_fields(one) == encode_fields(other)) == (one == other)


def test_identities_have_the_wire_shape_and_differ() -> None:
    made = {new_identity("kms") for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(r"kms-[0-9a-v]{20}", identity) for identity in made)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("DNSSEC example.com", "dnssec-example-com"),
        ("  a -- b! ", "a-b"),
        ("Ünïcode 7", "n-code-7"),
        ("...", ""),
        ("nl-01", "nl-01"),
    ],
)
def test_slug(name: str, slug: str) -> None:
    assert make_slug(name) == slug


def test_key_types_are_those_of_the_contract_and_all_can_do_something() -> None:
    assert len(KeyType) == 13
    assert set(OPERATIONS) == set(KeyType)
    assert all(OPERATIONS.values())


def test_a_scope_without_organisation_or_region_cannot_be_made() -> None:
    for parts in (("", "r", None), ("o", "", None), ("o", "r", "")):
        with pytest.raises(InvalidRequest):
            Scope(*parts)


def test_error_codes_are_stable_and_unique() -> None:
    kinds: list[type[KmsError]] = [KmsError, *KmsError.__subclasses__()]
    codes = sorted(kind.code for kind in kinds)
    assert all(one != other for one, other in pairwise(codes))
    assert all(code.startswith("kms.") for code in codes)


def test_every_task_has_its_states() -> None:
    assert set(ALLOWED) == set(Task)
    assert ALLOWED[Task.USE] == ALLOWED[Task.CREATE] == {State.UNSEALED}
    assert State.SEALED in ALLOWED[Task.READ]
    assert all(
        State.UNINITIALISED not in states for task, states in ALLOWED.items() if task is not Task.INITIALISE
    )
