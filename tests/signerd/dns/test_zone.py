"""What differs between two versions is found, however they share."""

import gc
from collections.abc import Mapping
from weakref import ref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signerd.dns.name import Name
from signerd.dns.rrset import RRset
from signerd.dns.zone import (
    TouchedOwners,
    Zone,
    find_changed_names,
    find_changed_nsec3,
    find_changed_owners,
    find_touched_owners,
)

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


rrsets = st.integers(0, 2).map(lambda number: RRset(KEYS[0], 1, 60, (bytes((192, 0, 2, number)),)))
data = st.dictionaries(st.sampled_from(KEYS[:8]), rrsets)
changes = st.dictionaries(st.sampled_from(KEYS[:8]), st.none() | rrsets)


def make_zone(names: Mapping[Name, RRset], nsec3: Mapping[Name, RRset]) -> Zone:
    return Zone(KEYS[0], {name: {1: rrset} for name, rrset in names.items()}, nsec3)


def patch(mapping: Mapping[Name, RRset], changed: Mapping[Name, RRset | None]) -> dict[Name, RRset]:
    return {owner: rrset for owner, rrset in {**mapping, **changed}.items() if rrset is not None}


@given(names=data, nsec3=data, new_names=changes, new_nsec3=changes)
def test_what_is_known_of_a_derived_version_is_what_comparing_finds(
    names: dict[Name, RRset],
    nsec3: dict[Name, RRset],
    new_names: dict[Name, RRset | None],
    new_nsec3: dict[Name, RRset | None],
) -> None:
    old = make_zone(names, nsec3)
    new = old.derive(
        {name: {} if rrset is None else {1: rrset} for name, rrset in new_names.items()}, new_nsec3
    )
    expected = make_zone(patch(names, new_names), patch(nsec3, new_nsec3))
    assert (new.names, new.nsec3) == (expected.names, expected.nsec3)
    assert (old.names, old.nsec3) == (make_zone(names, nsec3).names, nsec3), "the version before was changed"
    assert find_touched_owners(old, new) == TouchedOwners(frozenset(new_names), frozenset(new_nsec3))
    for one, other in ((old, new), (new, old)):
        assert sorted(find_changed_names(one, other)) == sorted(find_changed_owners(one.names, other.names))
        assert sorted(find_changed_nsec3(one, other)) == sorted(find_changed_owners(one.nsec3, other.nsec3))
    assert all(new.names[name] is types for name, types in old.names.items() if name not in new_names), (
        "what is not touched is shared"
    )


def test_versions_two_steps_apart_are_compared() -> None:
    first = make_zone({KEYS[0]: RRset(KEYS[0], 1, 60, (bytes(4),))}, {})
    second = first.derive({KEYS[1]: {1: RRset(KEYS[1], 1, 60, (bytes(4),))}})
    third = second.derive({KEYS[2]: {1: RRset(KEYS[2], 1, 60, (bytes(4),))}})
    assert find_touched_owners(first, third) is None
    assert sorted(find_changed_names(first, third)) == KEYS[1:3]


def test_a_version_keeps_none_before_it_in_memory() -> None:
    first = make_zone({KEYS[0]: RRset(KEYS[0], 1, 60, (bytes(4),))}, {})
    second = first.derive({KEYS[1]: {1: RRset(KEYS[1], 1, 60, (bytes(4),))}})
    remembered = ref(first)
    del first
    gc.collect()
    assert remembered() is None
    assert len(second.names) == 2
