"""What is wrong at the parent of a zone of the API, or has to be done there, as alarms of the board."""

from collections.abc import Iterable, Sequence
from typing import Final

from signerd.alarm.alarm import Alarm
from signerd.delegation.delegation_state import Intent
from signerd.zone_dnssec.delegation_news import DelegationNews

SOURCE: Final = "delegation"
REGISTRAR: Final = "whoever has the zone at its registrar"
FIRST_DS_SECONDS: Final = 86400  # a new zone is no alarm: its owner has just been told the DS


def find_delegation_alarms(news: DelegationNews, now: int) -> Sequence[Alarm]:
    """Say what is wrong at the parent, and what has to be done there.

    DS records that lead nowhere and break the zone have a code of their own.

    Args:
        news: How the zone stands.
        now: Epoch seconds.
    """
    strays = news.state.alarms
    alarms = [
        Alarm("dnssec.delegation_broken" if stray.breaks else "dnssec.ds_stray", str(stray), REGISTRAR)
        for stray in strays
    ]
    if news.intent is Intent.SIGNED:
        return [*alarms, *_find_missing(news, now)]
    if news.state.to_remove:
        tags = _name_tags(news.state.to_remove)
        text = f"DNSSEC is turned off, but the zone stays signed as long as the parent has DS records: {tags}"
        alarms.append(Alarm("rollover.parent_must_act", text, REGISTRAR))
    return alarms


def _find_missing(news: DelegationNews, now: int) -> list[Alarm]:
    """Find what the parent shall take or, once it has done so, drop."""
    since, add = news.ds_not_before, news.state.to_add
    strays = {stray.ds for stray in news.state.alarms}
    remove = [ds for ds in news.state.to_remove if ds not in strays]
    if not add:
        if not news.is_key_change or not remove:
            return []
        text = f"key change: the parent still has the DS of the key that goes, {_name_tags(remove)}"
        return [Alarm("rollover.parent_must_act", text, REGISTRAR)]
    if since is None or since > now:
        return []  # not yet: a cache may lack the key
    text = f"the parent has no DS of the key {_name_tags(add)} yet"
    if news.is_key_change:
        return [Alarm("rollover.parent_must_act", f"key change: {text}", REGISTRAR, since)]
    if now - since < FIRST_DS_SECONDS:
        return []
    return [Alarm("dnssec.ds_missing", text, REGISTRAR, since)]


def _name_tags(ds_records: Iterable[bytes]) -> str:
    return ", ".join(sorted({str(int.from_bytes(ds[:2])) for ds in ds_records}))
