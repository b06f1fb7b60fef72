from pathlib import Path

import pytest

from sign_here import make_keys, sign_zone
from signerd.dns.name import parse_name
from signerd.dns.zone import Zone
from signerd.dnssec.policy import Denial, SigningPolicy
from signerd.signer.served_keys import ServedKeys, observe_zone
from signerd.timetable.policy import DenialKind
from signerd.zones.master_file import load_master_file

TEXT = """$ORIGIN example.
@ 3600 SOA ns.example. admin.example. 1 7200 3600 1209600 300
@ 3600 NS ns.example.
ns 3600 A 192.0.2.1
slow 86400 TXT "a day"
"""


@pytest.fixture
def unsigned(tmp_path: Path) -> Zone:
    file = tmp_path / "zone"
    file.write_text(TEXT)
    loaded = load_master_file(file, parse_name("example."), directory=tmp_path)
    assert loaded.zone is not None, loaded.notices
    return loaded.zone


@pytest.mark.parametrize("denial", [Denial.NSEC, Denial.NSEC3])
def test_a_signed_zone_tells_its_keys_and_ttls(unsigned: Zone, denial: Denial) -> None:
    ksk, zsk = make_keys()
    zone = sign_zone(unsigned, keys=(ksk, zsk), policy=SigningPolicy(denial=denial, dnskey_ttl=1800))

    assert observe_zone(zone, {ksk.dnskey: "ksk-1", zsk.dnskey: "zsk-1"}) == ServedKeys(
        frozenset({"ksk-1", "zsk-1"}),
        frozenset({"zsk-1"}),
        frozenset({13}),
        DenialKind(denial.value),
        1800,
        86400,
        frozenset({"ksk-1"}),
    )


def test_a_key_without_a_name_is_told_by_its_tag(unsigned: Zone) -> None:
    ksk, zsk = make_keys()
    served = observe_zone(sign_zone(unsigned, keys=(ksk, zsk)), {ksk.dnskey: "ksk-1"})

    stranger = f"key tag {zsk.dnskey.key_tag}, algorithm 13"
    assert served.published == {"ksk-1", stranger}
    assert served.signing == {stranger}


def test_an_unsigned_zone_has_nothing(unsigned: Zone) -> None:
    assert observe_zone(unsigned, {}) == ServedKeys(frozenset(), frozenset(), frozenset(), None, 0, 86400)


def test_an_algorithm_covers_only_if_it_signed_everything(unsigned: Zone) -> None:
    first, second = make_keys(13), make_keys(14)
    zone = sign_zone(unsigned, keys=(*first, *second))
    assert observe_zone(zone, {}).covering == {13, 14}

    names = {owner: dict(types) for owner, types in zone.names.items()}
    owner = parse_name("slow.example.")
    rdatatype, rrset = next(iter(names[owner].items()))
    names[owner][rdatatype] = rrset._replace(
        signatures=tuple(signature for signature in rrset.signatures if signature[2] == 13)
    )
    partly = observe_zone(Zone(zone.origin, names, zone.nsec3), {})
    assert partly.covering == {13}
    assert {f"key tag {second[1].dnskey.key_tag}, algorithm 14"} < partly.signing
