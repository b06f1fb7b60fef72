"""What differs between two versions is found, however they share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signerd.dns.name import Name
from signerd.dns.zone import find_changed_owners

KEYS = [Name(bytes((1, number, 0))) for number in range(40)]
keys = st.sampled_from(KEYS)
mappings = st.dictionaries(keys, st.integers(0, 3).map(lambda number: [number]), max_size=40)


def copy_key(key: Name) -> Name:
    return Name(bytes(bytearray(key)))


def list_differences(old: dict[Name, list[int]], new: dict[Name, list[int]]) -> list[Name]:
    return sorted(key for key in {*old, *new} if old.get(key) != new.get(key))


@given(old=mappings, changed=mappings, gone=st.lists(keys, max_size=30), back=mappings)
def test_changes_of_a_copy_are_found(
    old: dict[Name, list[int]], changed: dict[Name, list[int]], gone: list[Name], back: dict[Name, list[int]]
) -> None:
    new = {**old, **changed}
    for key in gone:
        new.pop(key, None)
    new.update(back)
    assert sorted(find_changed_owners(old, new)) == list_differences(old, new)
    assert sorted(find_changed_owners(new, old)) == list_differences(old, new)


@given(old=mappings, new=mappings)
def test_changes_of_what_shares_nothing_are_found(
    old: dict[Name, list[int]], new: dict[Name, list[int]]
) -> None:
    strange = {copy_key(key): list(value) for key, value in new.items()}
    assert sorted(find_changed_owners(old, strange)) == list_differences(old, new)


@pytest.mark.parametrize("count", [1, 16, 17, 40])
@pytest.mark.parametrize("is_first", [True, False])
def test_owners_that_are_gone_are_found_however_many(count: int, *, is_first: bool) -> None:
    old = {key: [0] for key in KEYS}
    gone = KEYS[:count] if is_first else KEYS[len(KEYS) - count :]
    new = {key: value for key, value in old.items() if key not in gone}
    assert sorted(find_changed_owners(old, new)) == sorted(gone)
