import pytest

from signerd.dnssec.key import DnsKey
from signerd.dnssec.key_set import KeySet, UnusableKeySet
from signerd.dnssec.policy import ImpossibleSigningPolicy, SigningPolicy

KSK = DnsKey(257, 13, b"\x00\x10")
ZSK = DnsKey(256, 13, b"\x00\x02")
OTHER = DnsKey(256, 13, b"\x00\x03")
FOREIGN = DnsKey(256, 8, b"\x00\x04")


def test_the_sep_flag_says_what_a_key_does() -> None:
    keys = KeySet.from_keys([ZSK, KSK, ZSK])
    assert keys == KeySet((ZSK, KSK), ksks=(KSK,), zsks=(ZSK,), announced=(KSK,))


@pytest.mark.parametrize("key", [KSK, ZSK])
def test_a_single_key_does_all_work(key: DnsKey) -> None:
    assert KeySet.from_keys([key]) == KeySet((key,), ksks=(key,), zsks=(key,), announced=(key,))


@pytest.mark.parametrize(
    ("published", "roles", "reason"),
    [
        ((), {}, "at least one key"),
        ((ZSK,), {"zsks": (ZSK,)}, "at least one key"),
        ((KSK,), {"ksks": (KSK,), "zsks": (ZSK,)}, "not published"),
        ((KSK, ZSK), {"ksks": (KSK,), "zsks": (ZSK,), "former_zsks": (OTHER,)}, "not published"),
        ((KSK, ZSK), {"ksks": (KSK,), "zsks": (ZSK,), "announced": (OTHER,)}, "not published"),
        ((KSK, FOREIGN), {"ksks": (KSK,), "zsks": (FOREIGN,)}, "same algorithms"),
        # a zero word more changes nothing in the sum that a key tag is
        (
            (KSK, ZSK, DnsKey(256, 13, b"\x00\x02\x00\x00")),
            {"ksks": (KSK,), "zsks": (ZSK,)},
            "same key tag",
        ),
    ],
)
def test_key_sets_that_cannot_sign_are_refused(
    published: tuple[DnsKey, ...], roles: dict[str, tuple[DnsKey, ...]], reason: str
) -> None:
    with pytest.raises(UnusableKeySet, match=reason):
        KeySet(
            published,
            ksks=roles.get("ksks", ()),
            zsks=roles.get("zsks", ()),
            former_zsks=roles.get("former_zsks", ()),
            announced=roles.get("announced", ()),
        )


def test_a_zone_that_asks_for_no_ds_announces_no_key() -> None:
    with pytest.raises(UnusableKeySet, match="announces no keys"):
        KeySet((KSK, ZSK), ksks=(KSK,), zsks=(ZSK,), announced=(KSK,), asks_removal=True)


@pytest.mark.parametrize(
    ("validity", "margin", "offset", "reason"),
    [
        (100, 100, 0, "not larger than the refresh margin"),
        (100, 0, 0, "not positive"),
        (100, 50, -1, "negative"),
        (2**31 - 10, 50, 10, "too long"),
    ],
)
def test_times_that_contradict_each_other_are_refused(
    validity: int, margin: int, offset: int, reason: str
) -> None:
    with pytest.raises(ImpossibleSigningPolicy, match=reason):
        SigningPolicy(
            validity_seconds=validity, refresh_margin_seconds=margin, inception_offset_seconds=offset
        )


def test_salt_and_iterations_are_bounded() -> None:
    SigningPolicy(nsec3_salt=bytes(255), nsec3_iterations=65535)
    for salt, iterations in ((bytes(256), 0), (b"", -1), (b"", 65536)):
        with pytest.raises(ImpossibleSigningPolicy, match="NSEC3"):
            SigningPolicy(nsec3_salt=salt, nsec3_iterations=iterations)
