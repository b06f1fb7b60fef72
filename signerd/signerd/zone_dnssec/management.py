"""Turning DNSSEC on and off, and what happens to a zone as its parent changes."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from sqlalchemy import insert

from signerd.delegation.delegation_state import DelegationState, ProbePlan, judge
from signerd.delegation.parent_view import ServerAnswer
from signerd.dns.name import Name
from signerd.dns_zones.change_sets import raise_data_version
from signerd.dnssec.announcement import Announcement
from signerd.dnssec.key import KSK_FLAGS, DnsKey, clashes
from signerd.platform.change import Change, PlatformStore
from signerd.platform.rights import DNS_ZONE
from signerd.signer.zone_kms_key import VIA
from signerd.store.zone_tables import zone_signing_keys
from signerd.zone_dnssec import settings
from signerd.zone_dnssec.delegation_news import DelegationNews
from signerd.zone_dnssec.errors import DnssecKeyRefused
from signerd.zone_dnssec.ignored_servers import IgnoredServer, list_ignored, mark_answers
from signerd.zone_dnssec.ksk_choice import KeyRight, provide_key, take_key
from signerd.zone_dnssec.settings import (
    ACTIVE,
    OUTGOING,
    RETIRED,
    DnssecSetting,
    DnssecState,
    ZoneKsk,
    ZonePlace,
    make_ds_sets,
)
from signerd_kms.attribution import Attribution
from signerd_kms.errors import KeyUnknown
from signerd_kms.identity import new_identity
from signerd_kms.key import Key, KeyIdentity, KeyStatus, Scope
from signerd_kms.kms import Kms
from signerd_kms.state import State

logger = logging.getLogger(__name__)

JOB: Final = Attribution(None, via=VIA)
"""Who does what follows from a probe or from signing."""
FindNotBefore = Callable[[DnsKey], int | None]
_SIGNED_NOTE_SECONDS: Final = 60  # `lastSignedAt` is stored no oftener: each record change signs


class Order(StrEnum):
    """What comes first: signatures, or the DS at the parent."""

    SIGN_FIRST = "sign-first"
    VENDOR = "vendor"  # unsigned until the DS is seen: validators fail from then until all is spread


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller asks for.

    Attributes:
        region_text: As written.
        region: Its identity.
        kms_key: Identity of the key; None for the zone's own.
        may_sign: Checks the right on the key named.
        may_create: Checks the right to make keys.
    """

    region_text: str
    region: str
    kms_key: str | None
    may_sign: KeyRight
    may_create: Callable[[], None]


@dataclass(frozen=True, slots=True)
class DnssecStatus:
    """What is to be told of a zone.

    Attributes:
        setting: Its row; None if DNSSEC was never turned on.
        keys: Its KSKs.
        delegation: What follows from the parent's answers; None without a row.
        sign_error: Why signing fails or will fail, as far as is known; None if nothing is known.
        ignored: Servers of the parent that nobody waits for.
    """

    setting: DnssecSetting | None
    keys: Sequence[ZoneKsk] = ()
    delegation: DelegationState | None = None
    sign_error: settings.SignError | None = None
    ignored: Sequence[IgnoredServer] = ()


@dataclass(frozen=True)
class DnssecManagement:
    """DNSSEC of the zones of the API. Safe to use from several threads; blocks.

    Attributes:
        store: The database.
        kms: Keys.
        order: What comes first.
        plan: How often parents are asked.
        chance: Gives a number from 0 up to 1, for the spread of probes.
        on_change: Told the apex of a zone that is to be signed otherwise now.
        on_delegation: Told the name of a zone and how it stands at its parent, after each probe; None once
            the parent is asked no more.
    """

    store: PlatformStore
    kms: Kms
    order: Order = Order.SIGN_FIRST
    plan: ProbePlan = field(default_factory=ProbePlan)
    chance: Callable[[], float] = lambda: 0.5
    on_change: Callable[[Name], None] = lambda _: None
    on_delegation: Callable[[str, DelegationNews | None], None] = lambda _zone, _news: None

    # What the owner does

    def enable(self, zone: ZonePlace, wish: Wish, by: Attribution) -> DnssecStatus:
        """Turn DNSSEC on, or start a key change if it is on with another key.

        Raises:
            KeyUnknown: There is no such key in the zone's scope and the region.
            DnssecKeyRefused: The key cannot be the KSK.
            KmsError: The KMS cannot be used now.
        """
        scope = Scope(zone.organisation, wish.region, zone.project)
        with self.store.read() as connection:
            current = settings.find_setting(connection, zone)
        if current is not None and current.state.is_enabled and self._is_same(current, wish):
            if current.region_text != wish.region_text:
                self._rewrite(zone, by, lambda old: replace(old, region_text=wish.region_text))
            return self.show(zone)
        if wish.kms_key is None:
            wish.may_create()
            key = provide_key(self.kms, scope, zone.text, by)
        else:
            key = take_key(self.kms, scope, wish.kms_key, wish.may_sign)
        # with the owner's name in the audit: from here on the key may sign the zone
        self.kms.bind_zone(scope, key.identity, zone.apex, by=replace(by, via=VIA))

        def store(change: Change) -> None:
            self._choose_key(change, zone, wish, key, scope)

        self.store.change(by, store)
        self.on_change(zone.apex)
        return self.show(zone)

    def _is_same(self, current: DnssecSetting, wish: Wish) -> bool:
        return current.region == wish.region and wish.kms_key in (None, current.kms_key)

    def _choose_key(self, change: Change, zone: ZonePlace, wish: Wish, key: Key, scope: Scope) -> None:
        connection = change.connection
        former = settings.find_setting(connection, zone)
        if former is None:  # nothing of a deleted zone of the same name may come back
            settings.forget_zone(connection, zone.text)
        keys = settings.list_ksks(connection, zone.text)
        # The version whose DS was handed out, whatever rotation has done since.
        chosen = next((known for known in reversed(keys) if known.kms_key == key.identity), None)
        is_served = former is not None and former.state.is_served_signed
        for known in keys:
            if known.state in (ACTIVE, OUTGOING) and known is not chosen:
                settings.set_ksk_state(connection, known.id, OUTGOING if is_served else RETIRED)
        if chosen is None:
            self._insert_ksk(change, zone, key, scope, keys)
        else:
            if chosen.state == RETIRED:
                _refuse_clash(chosen.dnskey, keys)
            settings.set_ksk_state(connection, chosen.id, ACTIVE)
        is_signed = is_served or self.order is Order.SIGN_FIRST
        state = DnssecState.SIGNED if is_signed else DnssecState.AWAITING
        setting = DnssecSetting(
            zone,
            state,
            wish.region_text,
            wish.region,
            key.identity,
            change.by.actor,
            change.now,
            last_signed_at=former.last_signed_at if former else None,
            next_probe_at=change.now,
        )
        if former is not None:
            setting = replace(setting, view=former.view)
            if former.kms_key == key.identity:
                setting = replace(setting, is_delegated=former.is_delegated)
                if is_served:
                    setting = replace(setting, ds_not_before=former.ds_not_before)
        settings.store_setting(connection, setting, change.now)
        details = {"kmsKey": key.identity, "region": wish.region}
        _record(change, "dns.dnssec.enable", zone, details, f"the KSK is the KMS key {key.identity}")

    def _insert_ksk(
        self, change: Change, zone: ZonePlace, key: Key, scope: Scope, others: Sequence[ZoneKsk]
    ) -> None:
        version = key.latest_version
        public_key = next(known.public_key for known in key.versions if known.version == version)
        assert public_key is not None  # noqa: S101  # types that sign zones have one
        dnskey = DnsKey.from_spki(public_key, KSK_FLAGS)
        _refuse_clash(dnskey, others)
        change.connection.execute(
            insert(zone_signing_keys).values(
                id=new_identity("ksk"),
                zone=f"{zone.text}.",
                role="ksk",
                flags=dnskey.flags,
                algorithm=dnskey.algorithm,
                public_key=dnskey.public_key,
                key_tag=dnskey.key_tag,
                kms_key_identity=key.identity,
                kms_key_version=version,
                kms_organisation=scope.organisation,
                kms_region=scope.region,
                kms_project=scope.project,
                wrapped=None,
                state=ACTIVE,
                created_at=change.now,
            )
        )

    def disable(self, zone: ZonePlace, by: Attribution) -> None:
        """Turn DNSSEC off. A signed zone stays signed until no cache can have a DS; the KMS key stays."""

        def store(change: Change) -> DnssecState | None:
            setting = settings.find_setting(change.connection, zone)
            if setting is None or not setting.state.is_enabled:
                return None
            state = DnssecState.UNSIGNING if setting.state is DnssecState.SIGNED else DnssecState.OFF
            setting = replace(
                setting,
                state=state,
                sign_error=None,
                next_probe_at=change.now if state is DnssecState.UNSIGNING else None,
            )
            settings.store_setting(change.connection, setting, change.now)
            _record(change, "dns.dnssec.disable", zone, {"kmsKey": setting.kms_key}, "DNSSEC is turned off")
            return state

        if (state := self.store.change(by, store)) is not None:
            if state is DnssecState.OFF:
                self.on_delegation(zone.text, None)
            self.on_change(zone.apex)

    # What is told

    def show(self, zone: ZonePlace) -> DnssecStatus:
        """Say how DNSSEC of a zone stands."""
        with self.store.read() as connection:
            setting = settings.find_setting(connection, zone)
            if setting is None:
                return DnssecStatus(None)
            keys = settings.list_ksks(connection, zone.text)
            ignored = list_ignored(connection, zone.text, self.store.now())
        error = setting.sign_error
        if error is None and setting.state.is_served_signed:
            error = self._foresee_error(setting)
        return DnssecStatus(setting, keys, setting.judge(keys, self.store.now()), error, ignored)

    def _foresee_error(self, setting: DnssecSetting) -> settings.SignError | None:
        """Say why the next signature of the KSK would fail, before it is due."""
        scope = Scope(setting.zone.organisation, setting.region, setting.zone.project)
        now = self.store.now()
        if self.kms.state is not State.UNSEALED:
            return settings.SignError("the KMS is sealed", now, None)
        try:
            key = self.kms.get_key(scope, KeyIdentity(setting.kms_key))
        except KeyUnknown:
            return settings.SignError(f"the KMS key {setting.kms_key} is gone", now, None)
        if key.status is not KeyStatus.ACTIVE:
            reason = f"the KMS key {setting.kms_key} is {key.status.value}"
            return settings.SignError(reason, key.updated_at, None)
        return None

    # What the pipeline does

    def note_signed(
        self,
        zone: str,
        at: int,
        find_not_before: FindNotBefore = lambda _: None,
        is_in_service: Callable[[DnsKey], bool] = lambda _: True,
    ) -> None:
        """Note that a version of a zone was signed.

        Args:
            zone: Its name without trailing dot.
            at: Epoch seconds.
            find_not_before: Says from when the DS of a KSK may be at the parent, if the version has the key.
            is_in_service: Says if the version before has a KSK; if not, one that was signed with it was
                rejected, and this one is the first.
        """
        with self.store.read() as connection:
            setting = settings.find_setting_by_name(connection, zone)
            if setting is None:
                return
            not_before = setting.ds_not_before
            key = settings.find_active_ksk(connection, zone)
            if key is not None and (not_before is None or not is_in_service(key.dnskey)):
                not_before = find_not_before(key.dnskey)
        last = setting.last_signed_at
        is_noted = last is not None and 0 <= at - last < _SIGNED_NOTE_SECONDS
        if setting.sign_error is None and is_noted and not_before == setting.ds_not_before:
            return

        def note(old: DnssecSetting) -> DnssecSetting:
            noted = replace(old, last_signed_at=at, sign_error=None)
            # of another key that was chosen meanwhile nothing is known yet
            if old.kms_key != setting.kms_key or not_before is None or not_before == old.ds_not_before:
                return noted
            return noted.wait_for_ds(not_before)

        self._rewrite(setting.zone, JOB, note)

    def delay_ds(self, zone: str, moment: int) -> None:
        """Note that the DS of the key chosen last may be at the parent no sooner than at a moment.

        Args:
            zone: Its name without trailing dot.
            moment: Epoch seconds.
        """
        with self.store.read() as connection:
            setting = settings.find_setting_by_name(connection, zone)
        if setting is None:
            return

        def delay(old: DnssecSetting) -> DnssecSetting:
            if old.ds_not_before is None or old.kms_key != setting.kms_key:
                return old
            return old.wait_for_ds(moment) if moment > old.ds_not_before else old

        self._rewrite(setting.zone, JOB, delay)

    def note_failed(self, zone: str, reason: str, signatures_until: int | None) -> None:
        """Note that a version could not be signed; the one in service stays.

        Args:
            zone: Its name without trailing dot.
            reason: What failed.
            signatures_until: When the first signature in service expires, epoch seconds.
        """

        def store(change: Change) -> None:
            setting = settings.find_setting_by_name(change.connection, zone)
            if setting is None:
                return
            failed = settings.note_failure(setting, reason, change.now, signatures_until)
            if failed == setting:
                return
            settings.store_setting(change.connection, failed, change.now)
            if setting.sign_error is None or setting.sign_error.reason != reason:
                _record(change, "dns.dnssec.sign_failed", setting.zone, {"reason": reason})

        self.store.change(JOB, store)

    def is_served_signed(self, zone: str) -> bool:
        """Say if versions of a zone are to be signed."""
        with self.store.read() as connection:
            setting = settings.find_setting_by_name(connection, zone)
        return setting is not None and setting.state.is_served_signed

    def find_announcement(self, zone: str) -> Announcement:
        """Say what the parent is to be asked for by CDS: for no DS that a cache could not follow."""
        with self.store.read() as connection:
            setting = settings.find_setting_by_name(connection, zone)
        return Announcement.REMOVAL if setting is None else setting.find_announcement(self.store.now())

    # What the parent says

    def list_due(self) -> Sequence[ZonePlace]:
        """List the zones whose parent is to be asked now."""
        with self.store.read() as connection:
            return [setting.zone for setting in settings.list_due(connection, self.store.now())]

    def take_in(self, zone: ZonePlace, answers: Sequence[ServerAnswer], problem: str | None = None) -> None:
        """Act on what the servers of the parent said.

        Args:
            zone: The zone.
            answers: One for each server.
            problem: Why there are none.
        """

        def store(change: Change) -> tuple[bool, DelegationNews | None]:
            return self._take_in(change, zone, answers, problem)

        is_changed, news = self.store.change(JOB, store)
        self.on_delegation(zone.text, news)
        if is_changed:
            self.on_change(zone.apex)

    def _take_in(
        self, change: Change, zone: ZonePlace, answers: Sequence[ServerAnswer], problem: str | None
    ) -> tuple[bool, DelegationNews | None]:
        connection, now = change.connection, change.now
        setting = settings.find_setting(connection, zone)
        if setting is None or setting.state is DnssecState.OFF:
            return False, None  # turned off meanwhile
        keys = settings.list_ksks(connection, zone.text)
        answers = mark_answers(connection, zone.text, answers, now)
        view = setting.view.take_in(answers, now) if problem is None else setting.view.fail(problem)
        setting = replace(setting, view=view)
        state = setting.judge(keys, now)
        is_changed = setting.announces_anew(now)
        if is_changed:
            summary = "all caches can follow the DS of the KSK: CDS and CDNSKEY ask the parent for it"
            raise_data_version(change, zone.identity, "dns.dnssec.announce", summary)
        if state.retire_at is not None and state.retire_at <= now:
            for key in keys:
                if key.state == OUTGOING:
                    settings.set_ksk_state(connection, key.id, RETIRED)
                    logger.info("zone %s: KSK %d has left the zone", zone.text, key.dnskey.key_tag)
                    summary = f"the parent points to KSK {key.dnskey.key_tag} no more; it is out of use"
                    raise_data_version(change, zone.identity, "dns.dnssec.retire", summary)
            keys = settings.list_ksks(connection, zone.text)
            is_changed = True
        if state.unsign_at is not None and state.unsign_at <= now:
            logger.info("zone %s: no DS is left at the parent or in caches; it is unsigned now", zone.text)
            setting = replace(setting, state=DnssecState.OFF)
            summary = "no DS is left at the parent or in caches; the zone is unsigned"
            raise_data_version(change, zone.identity, "dns.dnssec.unsign", summary)
            is_changed = True
        elif setting.state is DnssecState.AWAITING and state.is_delegated:
            setting = replace(setting, state=DnssecState.SIGNED)
            raise_data_version(change, zone.identity, "dns.dnssec.sign", "the DS is at the parent")
            is_changed = True
        if state.is_delegated != setting.is_delegated:
            tag = next((key.dnskey.key_tag for key in keys if key.state == ACTIVE), 0)
            details: dict[str, str | int] = {"delegated": str(state.is_delegated).lower(), "keyTag": tag}
            _record(change, "dns.dnssec.delegated", zone, details)
            setting = replace(setting, is_delegated=state.is_delegated)
        next_probe, news = None, None
        if setting.state is not DnssecState.OFF:
            sets = make_ds_sets(zone.apex, keys)
            after = judge(view, sets, setting.intent, now, was_delegated=state.is_delegated)
            next_probe = self.plan.find_next(after, now, self.chance(), setting.ds_not_before)
            news = DelegationNews(after, setting.intent, bool(sets.outgoing), setting.ds_not_before)
        settings.store_setting(connection, replace(setting, next_probe_at=next_probe), now)
        return is_changed, news

    def _rewrite(
        self, zone: ZonePlace, by: Attribution, edit: Callable[[DnssecSetting], DnssecSetting]
    ) -> None:
        def store(change: Change) -> None:
            setting = settings.find_setting(change.connection, zone)
            if setting is not None:
                settings.store_setting(change.connection, edit(setting), change.now)

        self.store.change(by, store)


def _refuse_clash(dnskey: DnsKey, others: Sequence[ZoneKsk]) -> None:
    if any(clashes(dnskey, other.dnskey) for other in others if other.state != RETIRED):
        raise DnssecKeyRefused(
            f"kmsKeyIdentity: the key has the key tag {dnskey.key_tag} of another key of the zone"
        )


def _record(
    change: Change,
    action: str,
    zone: ZonePlace,
    details: Mapping[str, str | int],
    summary: str | None = None,
) -> None:
    """Record something in the audit; with a summary, also as the cause of a new version."""
    if summary is not None:
        raise_data_version(change, zone.identity, action, summary)
    change.record(
        action,
        zone.organisation,
        DNS_ZONE,
        zone.identity,
        project=zone.project,
        details={"zone": zone.text, **details},
    )
