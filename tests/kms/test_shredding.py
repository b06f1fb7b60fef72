"""The end of all keys of an organisation or region."""

import pytest
from sqlalchemy import select

from kms_world import World
from signerd_kms.attribution import Attribution
from signerd_kms.errors import AuditNotWritten, KeyUnknown, ShredChanged, UnwrapFailed
from signerd_kms.key import Key, KeyType, Scope
from signerd_kms.kms import Kms
from signerd_kms.schema import keks, key_versions, tombstones, wrapping_keys

BY = Attribution(None, via="control-socket")
AES = KeyType.AES256_GCM96
ZONE = b"\x07example\x03com\x00"


def make(kms: Kms, scope: Scope, name: str, key_type: KeyType = AES) -> Key:
    return kms.create_key(scope, name, key_type, by=BY)


@pytest.fixture
def places(world: World) -> tuple[Scope, Scope, Scope]:
    """The world's, another region of the same organisation, another organisation."""
    return world.scope, Scope(world.scope.organisation, "reg-two"), Scope("o-two", world.scope.region)


def test_all_keys_of_an_organisation_go_and_no_others(
    kms: Kms, world: World, places: tuple[Scope, Scope, Scope]
) -> None:
    here, elsewhere, foreign = places
    key = make(kms, here, "here")
    kms.rotate(here, key.identity, by=BY)
    inside = make(kms, Scope(here.organisation, here.region, "prj-one"), "in a project")
    signing = make(kms, elsewhere, "elsewhere", KeyType.ECDSA_P256)
    kms.bind_zone(elsewhere, signing.identity, ZONE, by=BY)
    kept = make(kms, foreign, "foreign")
    ciphertext = kms.encrypt(foreign, kept.identity, b"plaintext", by=BY).text
    service = kms.wrap_service_key(here, "test", "one", b"s" * 32)
    kms.rotate_kek(BY, organisation=here.organisation)

    found = kms.find_shred(here.organisation, None)
    assert set(found.keys) == {key.identity, inside.identity, signing.identity}
    assert (found.keks, found.zones) == (4, (ZONE,))
    kms.shred(found, by=BY)

    for scope, gone in ((here, key), (inside.scope, inside), (elsewhere, signing)):
        with pytest.raises(KeyUnknown):
            kms.get_key(scope, gone.identity)
        with pytest.raises(KeyUnknown):
            kms.encrypt(scope, gone.identity, b"x", by=BY)
    with pytest.raises(UnwrapFailed):
        kms.unwrap_service_key(here, "test", "one", service)
    assert kms.decrypt(foreign, kept.identity, ciphertext, by=BY).plaintext == b"plaintext"
    with world.engine.connect() as connection:
        assert set(connection.execute(select(keks.c.organisation)).scalars()) == {"o-two"}
        assert set(connection.execute(select(key_versions.c.identity)).scalars()) == {kept.identity}
        assert len(connection.execute(select(tombstones.c.identity)).all()) == 4  # one for each version
    shreds = [event for event in world.sink.events if event.action == "kms.shred"]
    assert [(item.organisation, item.region, item.via) for item in shreds] == [
        (here.organisation, None, "control-socket")
    ]
    assert shreds[0].details == {"keys": 3, "keks": 4, "zones": 1}
    with pytest.raises(KeyUnknown):
        kms.find_shred(here.organisation, None)
    again = make(kms, here, "here")  # the place goes on with keys of its own
    kms.encrypt(here, again.identity, b"x", by=BY)


def test_one_region_leaves_the_others(kms: Kms, places: tuple[Scope, Scope, Scope]) -> None:
    here, elsewhere, _ = places
    key, kept = make(kms, here, "here"), make(kms, elsewhere, "elsewhere")
    kms.shred(kms.find_shred(here.organisation, here.region), by=BY)
    with pytest.raises(KeyUnknown):
        kms.get_key(here, key.identity)
    kms.encrypt(elsewhere, kept.identity, b"x", by=BY)


def test_only_what_was_shown_is_destroyed(kms: Kms, world: World) -> None:
    key = make(kms, world.scope, "first")
    found = kms.find_shred(world.scope.organisation, None)
    make(kms, world.scope, "second")
    with pytest.raises(ShredChanged):
        kms.shred(found, by=BY)
    kms.encrypt(world.scope, key.identity, b"x", by=BY)


def test_nothing_is_destroyed_without_its_event(kms: Kms, world: World) -> None:
    key = make(kms, world.scope, "key")
    found = kms.find_shred(world.scope.organisation, None)
    world.sink.failure = OSError("disk full")
    with pytest.raises(AuditNotWritten):
        kms.shred(found, by=BY)
    world.sink.failure = None
    kms.encrypt(world.scope, key.identity, b"x", by=BY)


def test_it_works_while_sealed_and_the_wrapping_key_goes_too(kms: Kms, world: World) -> None:
    make(kms, world.scope, "key")
    with world.engine.begin() as connection:
        connection.execute(
            wrapping_keys.insert().values(
                organisation=world.scope.organisation,
                region=world.scope.region,
                generation=1,
                kek_generation=1,
                wrapped=b"w",
                key_check=b"c",
                public_key=b"p",
                created_at=1,
            )
        )
    kms.seal()
    kms.shred(kms.find_shred(world.scope.organisation, None), by=BY)
    kms.unseal(world.seal)
    assert kms.list_keys(world.scope) == []
    with world.engine.connect() as connection:
        assert connection.execute(select(wrapping_keys.c.generation)).all() == []


def test_what_was_wrapped_is_nowhere_in_the_database_file(kms: Kms, world: World) -> None:
    key = make(kms, world.scope, "key")
    with world.engine.connect() as connection:
        wrapped = bytes(
            connection.execute(
                select(key_versions.c.wrapped).where(key_versions.c.identity == key.identity)
            ).scalar_one()
        )
        kek = bytes(connection.execute(select(keks.c.wrapped)).scalar_one())
    kms.shred(kms.find_shred(world.scope.organisation, None), by=BY)
    for file in world.directory.glob("signerd.db*"):
        octets = file.read_bytes()
        assert wrapped not in octets
        assert kek not in octets
