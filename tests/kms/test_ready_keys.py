"""RSA keys made ahead: who gets them, and what becomes of them when the KMS is sealed."""

from collections.abc import Callable
from dataclasses import dataclass, field

from kms_world import World
from signerd_kms.attribution import NOBODY
from signerd_kms.key import KeyType
from signerd_kms.key_material import RSA_BITS, generate_material
from signerd_kms.kms import Kms
from signerd_kms.ready_keys import ReadyKeys
from signerd_kms.signature import DEFAULT_FORM

R2048 = KeyType.RSA_2048


@dataclass
class Source:
    """Makes all RSA keys of 2048 bits, for speed, and notes the types asked for."""

    made: list[KeyType] = field(default_factory=list[KeyType])
    at_each: Callable[[], None] | None = None

    def __call__(self, key_type: KeyType) -> bytes:
        self.made.append(key_type)
        octets = generate_material(R2048 if key_type in RSA_BITS else key_type)
        if self.at_each is not None:
            self.at_each()
        return octets


def test_keys_are_made_until_there_are_enough_of_each_type(kms: Kms) -> None:
    source = Source()
    ready = ReadyKeys(kms.custodian, source)
    made = [ready.make_one(2) for _ in range(7)]
    assert made[:3] == [KeyType.RSA_2048, KeyType.RSA_3072, KeyType.RSA_4096]
    assert made[6] is None
    assert source.made == made[:6]
    assert {counts.ready for counts in ready.count().values()} == {2}
    assert ready.make_one(0) is None


def test_a_new_key_a_rotation_and_a_wrapping_key_take_what_is_ready(kms: Kms, world: World) -> None:
    for _ in range(2):
        kms.ready_keys.make_one(1)  # of 2048 bits and 3072
    key = kms.create_key(world.scope, "key", R2048, by=NOBODY)
    counts = kms.ready_keys.count()[R2048]
    assert (counts.ready, counts.taken, counts.waited) == (0, 1, 0)
    made = kms.sign(world.scope, key.identity, None, b"message", by=NOBODY)
    assert kms.verify(world.scope, key.identity, b"message", made.text, by=NOBODY, form=DEFAULT_FORM)
    kms.rotate(world.scope, key.identity, by=NOBODY)  # none is ready: it waits
    counts = kms.ready_keys.count()[R2048]
    assert (counts.ready, counts.taken, counts.waited) == (0, 1, 1)
    kms.ready_keys.make_one(1)
    kms.rotate(world.scope, key.identity, by=NOBODY)
    assert kms.ready_keys.count()[R2048].taken == 2
    public_keys = kms.public_keys(world.scope, key.identity, by=NOBODY)
    assert len(set(public_keys.values())) == 3


def test_no_key_is_given_out_twice(kms: Kms) -> None:
    source = Source()
    ready = ReadyKeys(kms.custodian, source)
    while ready.make_one(3) is not None:
        pass
    taken = [ready.take(R2048) for _ in range(5)]
    assert len(set(taken)) == 5
    counts = ready.count()[R2048]
    assert (counts.ready, counts.taken, counts.waited) == (0, 3, 2)
    assert len(source.made) == 11


def test_what_is_ready_is_wiped_when_the_kms_is_sealed(kms: Kms, world: World) -> None:
    kms.ready_keys.make_one(1)
    kms.seal()
    assert kms.ready_keys.count()[R2048].ready == 0
    assert kms.ready_keys.make_one(1) is None
    assert kms.ready_keys.count()[R2048].ready == 0
    kms.unseal(world.seal)
    assert kms.ready_keys.make_one(1) is R2048


def test_a_key_made_while_the_kms_was_being_sealed_is_not_kept(kms: Kms) -> None:
    ready = ReadyKeys(kms.custodian, Source(at_each=kms.seal))
    assert ready.make_one(1) is None
    assert ready.count()[R2048].ready == 0


def test_other_types_are_made_when_they_are_asked_for(kms: Kms) -> None:
    source = Source()
    ready = ReadyKeys(kms.custodian, source)
    assert len(ready.take(KeyType.AES256_GCM96)) == 32
    assert source.made == [KeyType.AES256_GCM96]
    assert KeyType.AES256_GCM96 not in ready.count()
