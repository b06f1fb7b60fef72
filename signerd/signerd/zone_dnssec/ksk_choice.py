"""Which key of the KMS becomes the KSK of a zone: one that the caller names, or the zone's own."""

from collections.abc import Callable
from dataclasses import replace

from signerd.dnssec.algorithm import KEY_TYPE_ALGORITHMS
from signerd.signer.zone_kms_key import VIA, NoUsableZoneKey, provide_zone_key
from signerd.zone_dnssec.errors import DnssecKeyRefused
from signerd_kms.attribution import Attribution
from signerd_kms.key import Key, KeyIdentity, KeyStatus, KeyType, Scope
from signerd_kms.kms import Kms

KeyRight = Callable[[Key], None]
"""Checks that the caller may sign with a key; raises what the API makes of it."""


def take_key(kms: Kms, scope: Scope, identity: str, may_sign: KeyRight) -> Key:
    """Find the key that a caller names.

    Args:
        kms: Where it is.
        scope: Region and place of the zone: no key of another one is found.
        identity: Of the key.
        may_sign: Checks the caller's right.

    Raises:
        KeyUnknown: There is none such in the scope.
        DnssecKeyRefused: It is not active, or its type signs no zones.
    """
    key = kms.get_key(scope, KeyIdentity(identity))
    may_sign(key)
    require_usable(key)
    return key


def require_usable(key: Key) -> None:
    """Check that a key can be a KSK.

    Raises:
        DnssecKeyRefused: It cannot.
    """
    if key.key_type.value not in KEY_TYPE_ALGORITHMS:
        types = ", ".join(KEY_TYPE_ALGORITHMS)
        raise DnssecKeyRefused(
            f"kmsKeyIdentity: a key of type {key.key_type.value} signs no zones; {types} do"
        )
    if key.status is not KeyStatus.ACTIVE:
        raise DnssecKeyRefused(f"kmsKeyIdentity: the key is {key.status.value}, not active")


def provide_key(kms: Kms, scope: Scope, zone: str, by: Attribution) -> Key:
    """Find or make the zone's own key, `DNSSEC <zone>`; unusable ones of its name are passed over.

    Args:
        kms: Where it is made.
        scope: Region and place of the zone.
        zone: Its name without trailing dot.
        by: Who asks.

    Raises:
        DnssecKeyRefused: Too many unusable keys have the name.
        Sealed: The KMS makes no keys now.
    """
    try:
        return provide_zone_key(kms, scope, zone, KeyType.ECDSA_P256, replace(by, via=VIA))
    except NoUsableZoneKey as error:
        raise DnssecKeyRefused(str(error)) from error
