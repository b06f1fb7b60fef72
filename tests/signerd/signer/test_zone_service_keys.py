from sqlalchemy import text

from key_world import KeyWorld
from signerd.dns.name import fold_case, parse_name
from signerd.signer.zone_service_keys import ZoneServiceKeys
from signerd_kms.attribution import NOBODY
from signerd_kms.kek_rotation import KEK_GRACE_SECONDS
from signerd_kms.key import KeyType
from signerd_kms.wrapped_rows import ServiceKeyRows

ZONES = [fold_case(parse_name(text)) for text in ("example.com.", "a\\.b.test.", ".")]


def read_generations(key_world: KeyWorld) -> list[int]:
    with key_world.world.engine.connect() as connection:
        rows = connection.execute(text("SELECT wrapped FROM zone_signing_keys WHERE wrapped IS NOT NULL"))
        return [int.from_bytes(row.wrapped[1:5]) for row in rows]


def test_zone_signing_keys_are_wrapped_anew_and_sign_after_the_old_key_is_destroyed(
    key_world: KeyWorld,
) -> None:
    before = {zone: key_world.store.ensure(zone, KeyType.ECDSA_P256, None).key_set for zone in ZONES}
    kms = key_world.kms
    kms.add_wrapped_rows(ServiceKeyRows(ZoneServiceKeys(key_world.world.scope)))
    kms.rotate_kek(NOBODY)
    with key_world.world.engine.begin() as connection:
        connection.execute(
            text("UPDATE kms_keks SET created_at = created_at - :grace"), {"grace": KEK_GRACE_SECONDS}
        )
    assert read_generations(key_world) == [1] * len(ZONES)
    done = kms.rewrap_keys()
    assert (done.rewrapped, done.failed, done.destroyed) == (2 * len(ZONES), 0, 1)
    assert read_generations(key_world) == [2] * len(ZONES)
    store = key_world.restart()
    for zone in ZONES:
        keys = store.ensure(zone, KeyType.ECDSA_P256, None)
        assert keys.key_set == before[zone]
        assert [bool(key.sign(b"data")) for key in keys.signing_keys if not key.dnskey.is_ksk] == [True]
