import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signerd.platform.merkle import EMPTY_ROOT, Frontier, hash_leaf

# leaves and roots that implementations of RFC 6962 test themselves with
LEAVES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def compute_by_definition(leaves: list[bytes]) -> bytes:
    """Compute the hash as RFC 6962 section 2.1 defines it."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = compute_by_definition(leaves[:split]), compute_by_definition(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def test_roots_are_those_of_other_implementations() -> None:
    tree = Frontier()
    for leaf, root in zip(LEAVES, ROOTS, strict=True):
        tree = tree.grow([hash_leaf(bytes.fromhex(leaf))])
        assert tree.compute_root().hex() == root


@given(st.lists(st.binary(max_size=4), max_size=70), st.integers(0, 70))
def test_growing_in_steps_and_through_the_stored_form_gives_the_root_of_the_definition(
    leaves: list[bytes], at: int
) -> None:
    hashed = [hash_leaf(leaf) for leaf in leaves]
    half = Frontier().grow(hashed[:at])
    whole = Frontier.parse(half.size, half.octets).grow(hashed[at:])
    assert whole.compute_root() == compute_by_definition(leaves)
    assert whole.size == len(leaves)


def test_a_stored_form_of_another_size_is_refused() -> None:
    assert Frontier().compute_root() == EMPTY_ROOT
    with pytest.raises(ValueError, match="form"):
        Frontier.parse(3, bytes(32))
