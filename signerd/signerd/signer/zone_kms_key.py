"""The KMS key that is a zone's own: `DNSSEC <zone>`, or the first numbered successor that is usable."""

from collections.abc import Callable
from typing import Final

from signerd_kms.attribution import Attribution
from signerd_kms.errors import KeyNameTaken
from signerd_kms.key import Key, KeyStatus, KeyType, Scope
from signerd_kms.kms import Kms

VIA: Final = "dns-dnssec"  # in the KMS's audit entries
_MOST_NAMES: Final = 1000  # of unusable keys that block `DNSSEC <zone>`; beyond, something else is wrong


class NoUsableZoneKey(Exception):
    """A great many keys of the zone's name are there, and none can be used."""

    code = "signer.no_usable_zone_key"


def provide_zone_key(
    kms: Kms,
    scope: Scope,
    zone: str,
    key_type: KeyType,
    by: Attribution,
    is_free: Callable[[Key], bool] = lambda key: True,
) -> Key:
    """Find or make the zone's own key; unusable ones of its name are passed over, and those not free.

    Args:
        kms: Where it is.
        scope: Region and place of the zone.
        zone: Its name without final dot.
        key_type: What it must be.
        by: Who asks.
        is_free: Says if a key can be taken.

    Raises:
        NoUsableZoneKey: A great many are passed over.
        KmsError: The KMS makes no keys now.
    """
    base = f"DNSSEC {zone}"
    for number in range(1, _MOST_NAMES):
        name = base if number == 1 else f"{base} {number}"
        key = kms.find_key(scope, name)
        if key is None:
            try:
                key = kms.create_key(scope, name, key_type, by=by)
            except KeyNameTaken:  # names are unique by slug too, which `a.b` and `a-b` share
                key = kms.find_key(scope, name)  # or another call made it in between
        if key is not None and key.status is KeyStatus.ACTIVE and key.key_type is key_type and is_free(key):
            return key
    raise NoUsableZoneKey(f"{_MOST_NAMES} unusable KMS keys are named {base!r}")
