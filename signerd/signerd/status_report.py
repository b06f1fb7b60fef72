"""What `signerd status` shows, and whether the server is ready."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from signerd.clock import Clock
from signerd.control.listen_address import ListenAddress
from signerd.control.responder_pool import ResponderPool, ResponderState
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name
from signerd.dns.zone import Zone
from signerd.dnssec.expiration import find_first_expiration
from signerd.dnssec.key import compute_key_tag
from signerd.rollover.key_plan import KeyPlan
from signerd.rollover.plan_report import summarise_plan
from signerd.zones.keeper import ZoneKeeper
from signerd.zones.notice import Severity

MAX_NOTICES = 20  # of each zone; a file with thousands of warnings must not make the reply unreadable


@dataclass(frozen=True, slots=True)
class StatusParts:
    """What the report is made of."""

    clock: Clock
    started_at: int
    addresses: Sequence[ListenAddress]
    keepers: Mapping[Name, ZoneKeeper]
    pool: ResponderPool
    kms_key_of: Mapping[tuple[str, int], str]  # zone name and key tag to the KMS key's identity
    describe_keys: Callable[[], dict[str, object]]  # state and seals of the KMS
    list_plans: Callable[[], Sequence[KeyPlan]]  # of the keys of zones
    describe_alarms: Callable[[], list[dict[str, object]]] = list
    # Of a zone: notices beside those of its file, and what its parent was told of CDS.
    list_more_notices: Callable[[Name], Sequence[str]] = lambda name: ()
    describe_parent_notice: Callable[[Name], dict[str, object] | None] = lambda name: None


class ExpirationCache:
    """First expirations and sizes of published versions; found once for each: it means reading all of it."""

    def __init__(self) -> None:
        self._known: dict[Name, tuple[Zone, int | None]] = {}
        self._counts: dict[Name, tuple[Zone, int]] = {}

    def find(self, zone: Zone, now: int) -> int | None:
        """Give the first expiration in epoch seconds; None for an unsigned zone."""
        known = self._known.get(zone.origin)
        if known is None or known[0] is not zone:
            known = self._known[zone.origin] = (zone, find_first_expiration(zone.iterate_rrsets(), now))
        return known[1]

    def count_records(self, zone: Zone) -> int:
        """Say how many records a version has, signatures included."""
        known = self._counts.get(zone.origin)
        if known is None or known[0] is not zone:
            count = sum(len(rrset.rdatas) + len(rrset.signatures) for rrset in zone.iterate_rrsets())
            known = self._counts[zone.origin] = (zone, count)
        return known[1]


def report_status(parts: StatusParts, expirations: ExpirationCache, admin: str | None) -> dict[str, object]:
    """Describe everything, as the reply to the command `status`; for a worker thread."""
    plans = {plan.zone: plan for plan in parts.list_plans()}
    return {
        "started_at": parts.started_at,
        "addresses": [str(address) for address in parts.addresses],
        "admin": admin,
        "kms": parts.describe_keys(),
        "zones": [
            _describe_zone(keeper, parts, expirations, plans.get(keeper.entry.text))
            for _, keeper in sorted(parts.keepers.items(), key=lambda item: item[1].entry.text)
        ],
        "alarms": parts.describe_alarms(),
        "responders": [_describe_responder(state) for state in parts.pool.responders],
    }


def _describe_responder(state: ResponderState) -> dict[str, object]:
    queries = state.counters.get("queries")
    total = sum(v for v in queries.values() if isinstance(v, int)) if isinstance(queries, dict) else queries  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return {
        "pid": state.pid,
        "alive": state.link is not None,
        "queries": total if isinstance(total, int) else None,
        "restarts": state.restarts,
        "loaded": dict(state.loaded),
    }


def _describe_zone(
    keeper: ZoneKeeper, parts: StatusParts, expirations: ExpirationCache, plan: KeyPlan | None
) -> dict[str, object]:
    state, entry = keeper.state, keeper.entry
    now = parts.clock.now()
    published = state.published
    expires_at = expirations.find(published, now) if published is not None else None
    served_by = [
        responder.pid
        for responder in parts.pool.responders
        if published is not None and responder.loaded.get(entry.text) == published.serial
    ]
    notices = [notice for notice in state.notices if notice.severity is not Severity.NOTICE]
    return {
        "name": entry.text,
        "state": _name_state(keeper, expires_at, now),
        "serial": published.serial if published is not None else None,
        "source_serial": state.source_serial,
        "policy": entry.policy,
        "signed": expires_at is not None,
        "records": expirations.count_records(published) if published is not None else None,
        "keys": _list_keys(published, entry.text, parts.kms_key_of) if published is not None else [],
        "key_changes": summarise_plan(plan) if plan is not None else None,
        "runway_seconds": expires_at - now if expires_at is not None else None,
        "expires_at": expires_at,
        "next_refresh_at": state.next_due,
        "last_error": state.last_error or state.check_error or state.file_error,
        "failed_at": state.failed_at,
        "notices": [*map(str, notices[:MAX_NOTICES]), *parts.list_more_notices(entry.name)][:MAX_NOTICES],
        "parent_notice": parts.describe_parent_notice(entry.name),
        "served_by": served_by,
    }


def _name_state(keeper: ZoneKeeper, expires_at: int | None, now: int) -> str:
    state = keeper.state
    if state.published is None:
        return "failed" if state.last_error is not None else "starting"
    if expires_at is not None and expires_at <= now:
        return "expired"
    if state.last_error is not None or state.file_error is not None:
        return "stale"  # the last good version is in service
    return "published"


def _list_keys(zone: Zone, text: str, kms_key_of: Mapping[tuple[str, int], str]) -> list[dict[str, object]]:
    dnskeys = zone.names[zone.origin].get(rt.DNSKEY)
    keys: list[dict[str, object]] = []
    for rdata in dnskeys.rdatas if dnskeys is not None else ():
        tag = compute_key_tag(rdata)
        role = "ksk" if rdata[1] & 1 else "zsk"
        keys.append({"role": role, "tag": tag, "algorithm": rdata[3], "kms_key": kms_key_of.get((text, tag))})
    return sorted(keys, key=lambda key: str(key["role"]))


def list_unready(parts: StatusParts, expirations: ExpirationCache) -> list[str]:
    """Say why the server is not ready, one reason a line; nothing when it is."""
    reasons: list[str] = []
    now = parts.clock.now()
    for keeper in parts.keepers.values():
        published, text = keeper.state.published, keeper.entry.text
        if published is None:
            reasons.append(f"zone {text} has no published version")
            continue
        if not any(text in responder.loaded for responder in parts.pool.responders):
            reasons.append(f"zone {text} is not served by any responder")
        expires_at = expirations.find(published, now)
        if expires_at is not None and expires_at <= now:
            reasons.append(f"a signature of zone {text} has expired")
    if not any(responder.link is not None for responder in parts.pool.responders):
        reasons.append("no responder is running")
    return reasons
