"""Turning DNSSEC on and off, and what happens to a zone as its parent changes."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from sqlalchemy import insert

from signerd.delegation.delegation_state import DelegationState, ProbePlan
from signerd.delegation.parent_view import ServerAnswer
from signerd.dns.name import Name
from signerd.dns_zones.change_sets import raise_data_version
from signerd.dnssec.key import KSK_FLAGS, DnsKey, clashes
from signerd.platform.change import Change, PlatformStore
from signerd.platform.rights import DNS_ZONE
from signerd.signer.zone_kms_key import VIA
from signerd.store.zone_tables import zone_signing_keys
from signerd.zone_dnssec import settings
from signerd.zone_dnssec.errors import DnssecKeyRefused
from signerd.zone_dnssec.ignored_servers import IgnoredServer, list_ignored, mark_answers
from signerd.zone_dnssec.ksk_choice import KeyRight, provide_key, require_usable, take_key
from signerd.zone_dnssec.settings import (
    ACTIVE,
    INCOMING,
    OUTGOING,
    RETIRED,
    DnssecSetting,
    DnssecState,
    ZoneKsk,
    ZonePlace,
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
    on_delegation: Callable[[str, DelegationState | None], None] = lambda _zone, _news: None

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
            is_key_named = current.is_key_named or wish.kms_key is not None
            if (current.region_text, current.is_key_named) != (wish.region_text, is_key_named):
                told = wish.region_text
                self._rewrite(zone, by, lambda old: replace(old, region_text=told, is_key_named=is_key_named))
            return self.show(zone)
        if wish.kms_key is None:
            wish.may_create()
            key = self._find_own_key(current, scope) or provide_key(self.kms, scope, zone.text, by)
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

    def _find_own_key(self, current: DnssecSetting | None, scope: Scope) -> Key | None:
        """Give the zone's own key of before, which a rollover may have numbered; None if it is not usable."""
        if current is None or current.is_key_named:
            return None
        try:
            key = self.kms.get_key(scope, KeyIdentity(current.kms_key))
            require_usable(key)
        except (KeyUnknown, DnssecKeyRefused):
            return None
        return key

    def _choose_key(self, change: Change, zone: ZonePlace, wish: Wish, key: Key, scope: Scope) -> None:
        connection = change.connection
        former = settings.find_setting(connection, zone)
        if former is None:  # nothing of a deleted zone of the same name may come back
            settings.forget_zone(connection, zone.text)
        keys = settings.list_ksks(connection, zone.text)
        chosen = _find_version(keys, key.identity)
        is_served = former is not None and former.state.is_served_signed
        for known in keys:
            if known.state != RETIRED and known is not chosen:
                settings.set_ksk_state(connection, known.id, OUTGOING if is_served else RETIRED)
        if chosen is None:
            self._insert_ksk(change, zone, key, scope, keys)
        else:
            if chosen.state == RETIRED:
                _refuse_clash(chosen.dnskey, keys)
                settings.forget_ksk_name(connection, chosen.id)
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
            is_key_named=wish.kms_key is not None,
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
                settles_at=None,
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
        return DnssecStatus(setting, keys, setting.judge(keys), error, ignored)

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

    def note_signed(self, zone: str, at: int) -> None:
        """Note that a version of a zone was signed.

        Args:
            zone: Its name without trailing dot.
            at: Epoch seconds.
        """
        with self.store.read() as connection:
            setting = settings.find_setting_by_name(connection, zone)
        if setting is None:
            return
        last = setting.last_signed_at
        if setting.sign_error is None and last is not None and 0 <= at - last < _SIGNED_NOTE_SECONDS:
            return
        self._rewrite(setting.zone, JOB, lambda old: replace(old, last_signed_at=at, sign_error=None))

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

    # What the timetable of the keys does

    def find_setting(self, zone: str) -> DnssecSetting | None:
        """Give what was decided about a zone, and what its parent said; None if nothing was.

        Args:
            zone: Its name without trailing dot.
        """
        with self.store.read() as connection:
            return settings.find_setting_by_name(connection, zone)

    def note_moments(self, setting: DnssecSetting, ds_not_before: int | None, settles_at: int | None) -> None:
        """Note when the DS may be at the parent, and when old keys or signatures leave the zone.

        Args:
            setting: Of which this was found out; if another key was chosen meanwhile, it says nothing.
            ds_not_before: Epoch seconds; None if it is not known yet.
            settles_at: Epoch seconds; None if it is not known yet.
        """

        def note(old: DnssecSetting) -> DnssecSetting:
            if _identify_choice(old) != _identify_choice(setting):
                return old
            noted = replace(old, ds_not_before=ds_not_before, settles_at=settles_at)
            moments = [moment for moment in (ds_not_before, settles_at) if moment is not None]
            following = min((moment for moment in moments if moment > self.store.now()), default=None)
            if following is None or old.next_probe_at is None:
                return noted
            return replace(noted, next_probe_at=min(old.next_probe_at, following))

        self._rewrite(setting.zone, JOB, note)

    def hand_out(self, setting: DnssecSetting, key: str) -> None:
        """Have the DS of another KSK given to the parent from now on: one that the timetable made, or had.

        Args:
            setting: Of the zone.
            key: The row of the KSK.
        """

        def store(change: Change) -> None:
            connection = change.connection
            current = settings.find_setting(connection, setting.zone)
            keys = settings.list_ksks(connection, setting.zone.text)
            chosen = next((known for known in keys if known.id == key), None)
            if current is None or chosen is None or chosen.state == ACTIVE:
                return
            if _identify_choice(current) != _identify_choice(setting) or not current.state.is_enabled:
                return  # its owner has chosen something else meanwhile
            for known in keys:
                if known.state == ACTIVE:
                    settings.set_ksk_state(connection, known.id, OUTGOING)
            settings.set_ksk_state(connection, key, ACTIVE)
            handed = replace(
                current,
                kms_key=chosen.kms_key,
                ds_not_before=None,
                settles_at=None,
                is_delegated=False,
                next_probe_at=change.now,
            )
            settings.store_setting(connection, handed, change.now)
            details: dict[str, str | int] = {"kmsKey": chosen.kms_key, "keyTag": chosen.dnskey.key_tag}
            _record(change, "dns.dnssec.rollover", setting.zone, details)

        self.store.change(JOB, store)

    def note_retired(self, setting: DnssecSetting, key: DnsKey) -> None:
        """Record that a KSK is given up: nothing points to it any more, and no cache has it.

        Args:
            setting: Of the zone.
            key: The KSK.
        """
        details = {"keyTag": key.key_tag}
        self.store.change(JOB, lambda change: _record(change, "dns.dnssec.retire", setting.zone, details))

    def end(self, setting: DnssecSetting) -> None:
        """Note that a zone whose owner turned DNSSEC off is to be unsigned: no cache has a DS of it."""

        def store(change: Change) -> bool:
            current = settings.find_setting(change.connection, setting.zone)
            if current is None or current.state is not DnssecState.UNSIGNING:
                return False
            if _identify_choice(current) != _identify_choice(setting):
                return False  # turned on and off again meanwhile
            ended = replace(
                current,
                state=DnssecState.OFF,
                is_delegated=False,
                next_probe_at=None,
                ds_not_before=None,
                settles_at=None,
            )
            settings.store_setting(change.connection, ended, change.now)
            summary = "no DS is left at the parent or in caches; the zone is unsigned"
            _record(change, "dns.dnssec.unsign", setting.zone, {}, summary)
            return True

        if self.store.change(JOB, store):
            text = setting.zone.text
            logger.info("zone %s: no DS is left at the parent or in caches; it is unsigned now", text)
            self.on_delegation(text, None)

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

        def store(change: Change) -> tuple[bool, DelegationState | None]:
            return self._take_in(change, zone, answers, problem)

        is_changed, news = self.store.change(JOB, store)
        self.on_delegation(zone.text, news)
        if is_changed:
            self.on_change(zone.apex)

    def _take_in(
        self, change: Change, zone: ZonePlace, answers: Sequence[ServerAnswer], problem: str | None
    ) -> tuple[bool, DelegationState | None]:
        connection, now = change.connection, change.now
        setting = settings.find_setting(connection, zone)
        if setting is None or setting.state is DnssecState.OFF:
            return False, None  # turned off meanwhile
        keys = settings.list_ksks(connection, zone.text)
        answers = mark_answers(connection, zone.text, answers, now)
        view = setting.view.take_in(answers, now) if problem is None else setting.view.fail(problem)
        setting = replace(setting, view=view)
        state = setting.judge(keys)
        is_changed = setting.state is DnssecState.AWAITING and state.is_delegated
        if is_changed:
            setting = replace(setting, state=DnssecState.SIGNED)
            raise_data_version(change, zone.identity, "dns.dnssec.sign", "the DS is at the parent")
        if state.is_delegated != setting.is_delegated:
            tag = next((key.dnskey.key_tag for key in keys if key.state == ACTIVE), 0)
            details: dict[str, str | int] = {"delegated": str(state.is_delegated).lower(), "keyTag": tag}
            _record(change, "dns.dnssec.delegated", zone, details)
            setting = replace(setting, is_delegated=state.is_delegated)
        moments = (setting.ds_not_before, setting.settles_at)
        next_probe = self.plan.find_next(state, now, self.chance(), moments)
        settings.store_setting(connection, replace(setting, next_probe_at=next_probe), now)
        return is_changed, state

    def _rewrite(
        self, zone: ZonePlace, by: Attribution, edit: Callable[[DnssecSetting], DnssecSetting]
    ) -> None:
        def store(change: Change) -> None:
            setting = settings.find_setting(change.connection, zone)
            if setting is not None:
                settings.store_setting(change.connection, edit(setting), change.now)

        self.store.change(by, store)


def _identify_choice(setting: DnssecSetting) -> tuple[object, ...]:
    """Give what another choice of the owner, or another key, would change."""
    return setting.zone, setting.state, setting.kms_key, setting.enabled_at


def _find_version(keys: Sequence[ZoneKsk], kms_key: str) -> ZoneKsk | None:
    """Find the version of a KMS key whose DS was handed out, whatever rotation has done since."""
    versions = [known for known in reversed(keys) if known.kms_key == kms_key]
    for state in (ACTIVE, OUTGOING, INCOMING, RETIRED):
        for known in versions:
            if known.state == state:
                return known
    return None


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
