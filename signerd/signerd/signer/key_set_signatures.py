"""Signatures of key sets made ahead, so that a zone does not depend on its KSK day by day.

A KSK is asked for a row of signatures at a time: over the same RRset, from the same moment on, each for
longer than the one before. The shortest that holds is published, and the next when that is due. Losing the
KMS, or the key, then costs nothing for as long as the row reaches.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sqlalchemy import Engine, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from signerd.dns.name import Name, format_name
from signerd.dns.rrset import RRset
from signerd.dnssec.canonical import encode_rrset
from signerd.dnssec.key import DnsKey, SigningKey
from signerd.dnssec.policy import SigningPolicy
from signerd.dnssec.rrsig import make_signer
from signerd.dnssec.signature_plan import SignatureJob
from signerd.store.engine import connect_to_read
from signerd.store.zone_tables import zone_key_signatures
from signerd_kms.errors import KmsError

logger = logging.getLogger(__name__)

MOST_AHEAD: Final = 64  # signatures of one row: bounds what a strange policy can ask of the KMS


class KeySetSignatures:
    """Makes, keeps and finds them. Safe to call from several threads."""

    def __init__(self, engine: Engine, runway_seconds: int) -> None:
        """Do nothing yet.

        Args:
            engine: Where they are kept.
            runway_seconds: How long a zone shall do without its KSK; 0 makes nothing ahead.
        """
        self._engine = engine
        self._runway = runway_seconds

    def sign(
        self,
        zone: Name,
        jobs: Sequence[SignatureJob],
        keys: Sequence[SigningKey],
        policy: SigningPolicy,
        now: int,
        on_due: Callable[[str], None] = lambda _: None,
    ) -> list[RRset]:
        """Give the RRsets of the jobs with their signatures.

        Args:
            zone: The apex.
            jobs: DNSKEY, CDS and CDNSKEY RRsets of one plan.
            keys: All keys that the jobs name.
            policy: Times.
            now: Epoch seconds.
            on_due: Told why a signature is given that is due itself: there is none better.

        Raises:
            KmsError: A key cannot be used, and nothing of it that holds was made ahead.
            SQLAlchemyError: The database does not work.
        """
        by_dnskey = {key.dnskey: key for key in keys}
        return [self._sign_one(zone, job, by_dnskey, policy, now, on_due) for job in jobs]

    def _sign_one(
        self,
        zone: Name,
        job: SignatureJob,
        keys: Mapping[DnsKey, SigningKey],
        policy: SigningPolicy,
        now: int,
        on_due: Callable[[str], None],
    ) -> RRset:
        made = [self._give(zone, job, keys[key], policy, now, on_due) for key in job.keys]
        rrset = job.rrset
        return RRset(rrset[0], rrset[1], rrset[2], rrset[3], tuple(sorted((*job.kept, *made))))

    def _give(
        self,
        zone: Name,
        job: SignatureJob,
        key: SigningKey,
        policy: SigningPolicy,
        now: int,
        on_due: Callable[[str], None],
    ) -> bytes:
        subject = _identify(job.rrset, key.dnskey)
        stored = self._read(zone, subject, now)  # by expiration
        good = [rrsig for expiration, rrsig in stored if expiration > now + policy.refresh_margin_seconds]
        last = stored[-1][0] if stored else 0
        try:
            made = self._extend(zone, job, key, policy, now, last if good else 0)
        except KmsError as error:
            if not stored:
                raise
            if not good:
                on_due(f"KSK {key.dnskey.key_tag} cannot sign, and nothing fresh is left of it: {error}")
                return stored[-1][1]
            logger.warning(
                "zone %s: KSK %d cannot sign (%s); one made ahead is used, the last holds until %d",
                format_name(zone),
                key.dnskey.key_tag,
                error,
                last,
            )
            return good[0]
        self._store(zone, subject, made, now)
        return good[0] if good else made[0][1]

    def _extend(
        self, zone: Name, job: SignatureJob, key: SigningKey, policy: SigningPolicy, now: int, last: int
    ) -> list[tuple[int, bytes]]:
        """Make what is missing of the row after one expiration; the first of all is that of the job."""
        step = policy.validity_seconds - policy.refresh_margin_seconds
        # A zone that nobody changes comes here once a step, so that much more than the runway is made.
        wanted = now + self._runway + policy.refresh_margin_seconds + step if self._runway else 0
        sign = make_signer(key, zone, now - policy.inception_offset_seconds)
        made: list[tuple[int, bytes]] = []
        expiration = last + step if last else job.expiration
        while (not last and not made) or (expiration - step < wanted and len(made) < MOST_AHEAD):
            made.append((expiration, sign(job.rrset, expiration)))
            expiration += step
        return made

    def _read(self, zone: Name, subject: bytes, now: int) -> list[tuple[int, bytes]]:
        table = zone_key_signatures
        with connect_to_read(self._engine) as connection:
            rows = connection.execute(
                select(table.c.expiration, table.c.rrsig)
                .where(
                    table.c.zone == format_name(zone),
                    table.c.subject == subject,
                    table.c.inception <= now,
                    table.c.expiration > now,
                )
                .order_by(table.c.expiration)
            )
            return [(int(row.expiration), bytes(row.rrsig)) for row in rows]

    def _store(self, zone: Name, subject: bytes, made: Sequence[tuple[int, bytes]], now: int) -> None:
        if not made:
            return
        table = zone_key_signatures
        try:
            with self._engine.begin() as connection:
                connection.execute(
                    delete(table).where(table.c.zone == format_name(zone), table.c.expiration <= now)
                )
                for expiration, rrsig in made:
                    same = (table.c.subject == subject) & (table.c.expiration == expiration)
                    connection.execute(delete(table).where(table.c.zone == format_name(zone), same))
                    connection.execute(
                        insert(table).values(
                            zone=format_name(zone),
                            subject=subject,
                            inception=int.from_bytes(rrsig[12:16]),
                            expiration=expiration,
                            rrsig=rrsig,
                        )
                    )
        except SQLAlchemyError as error:  # the signature at hand is good all the same
            logger.error("zone %s: signatures made ahead are not kept: %s", format_name(zone), error)


def _identify(rrset: RRset, key: DnsKey) -> bytes:
    """Give what stands for an RRset and the key that signs it: a change of either leaves the row behind."""
    return hashlib.sha256(key.rdata + encode_rrset(rrset)).digest()
