"""KMS keys of zones that cannot be used: found before a signature is due."""

from collections.abc import Mapping

from sqlalchemy import Connection, select

from signerd.alarm.alarm import Alarm
from signerd.store.zone_tables import zone_signing_keys as zone_keys
from signerd_kms.key import KeyStatus
from signerd_kms.schema import keys as kms_keys

_IN_USE = ("active", "outgoing", "incoming")


def find_key_alarms(connection: Connection) -> Mapping[str, Alarm]:
    """Find the zones with a KMS key that is disabled, about to be deleted, or gone.

    Returns:
        An alarm for each, by name without final dot.
    """
    query = (
        select(
            zone_keys.c.zone,
            zone_keys.c.role,
            zone_keys.c.key_tag,
            zone_keys.c.kms_key_identity,
            kms_keys.c.status,
        )
        .join_from(zone_keys, kms_keys, zone_keys.c.kms_key_identity == kms_keys.c.identity, isouter=True)
        .where(
            zone_keys.c.kms_key_identity.is_not(None),
            zone_keys.c.state.in_(_IN_USE),
            kms_keys.c.status.is_distinct_from(KeyStatus.ACTIVE.value),
        )
        .order_by(zone_keys.c.zone, zone_keys.c.key_tag)
    )
    found: dict[str, list[str]] = {}
    for row in connection.execute(query):
        state = "gone" if row.status is None else str(row.status).replace("_", " ")
        reason = (
            f"its {row.role.upper()} {row.key_tag} is the KMS key {row.kms_key_identity}, which is {state}"
        )
        name = str(row.zone)
        found.setdefault(name if name == "." else name.removesuffix("."), []).append(reason)
    effect = "its key set is served with the signatures made ahead, until they run out"
    return {
        zone: Alarm("dnssec.key_unusable", f"{'; '.join(reasons)}: {effect}", "the operator")
        for zone, reasons in found.items()
    }
