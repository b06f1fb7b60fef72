"""What the operator does to the seals and keys of the KMS: behind the control socket, never behind HTTP."""

import hashlib
import logging
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict

from sqlalchemy.exc import SQLAlchemyError

from signerd.custody import CustodyHolder, CustodyUnavailable, is_asked
from signerd.dns.name import format_name
from signerd.platform.errors import PlatformError
from signerd.platform.organisation import get_organisation
from signerd.platform.region import get_region
from signerd_kms.attribution import Attribution
from signerd_kms.errors import KmsError
from signerd_kms.kek_rotation import RewrapProgress
from signerd_kms.kms import Kms
from signerd_kms.self_test import run_self_test
from signerd_kms.shredding import Shred
from signerd_kms.state import State

logger = logging.getLogger(__name__)

OPERATOR = Attribution(None, via="control-socket")
"""Whoever may use the socket: the user that runs the server."""


class KeyWorkRefused(Exception):
    """The work cannot be done; the message is for the operator."""

    code = "key_desk.refused"


class KeyDesk:
    """Carries out one piece of work after the other; every method is for a worker thread."""

    def __init__(self, holder: CustodyHolder, forget_keys: Callable[[], None]) -> None:
        """Take note.

        Args:
            holder: Opens and seals the KMS.
            forget_keys: Drops the keys that others hold in memory.
        """
        self._holder = holder
        self._forget_keys = forget_keys
        self._lock = threading.Lock()
        self._progress: RewrapProgress | None = None

    def describe(self) -> dict[str, object]:
        """Describe the state, the seals and work under way, for `status`."""
        state = self._holder.state
        held: dict[str, dict[str, object]] = {}
        needs_rewrap = False
        try:
            kms = self._holder.custody.kms
            held = {status.seal_id: asdict(status) for status in kms.list_seals()}
            needs_rewrap = kms.needs_rewrap()
        except (CustodyUnavailable, KmsError):
            pass  # the reason below says it
        seals: list[dict[str, object]] = [
            {"id": seal.seal_id, "kind": seal.kind, "configured": True, "is_asked": is_asked(seal)}
            | self._describe_hold(held.pop(seal.seal_id, None))
            for seal in self._holder.seals
        ]
        seals += [
            {"id": seal_id, "kind": None, "configured": False} | self._describe_hold(hold)
            for seal_id, hold in held.items()
        ]
        progress = self._progress
        return {
            "state": state.value,
            "reason": None if state is State.UNSEALED else self._holder.reason,
            "seals": seals,
            "needs_rewrap": needs_rewrap,
            "progress": None if progress is None else asdict(progress),
        }

    def _describe_hold(self, hold: Mapping[str, object] | None) -> dict[str, object]:
        if hold is None:
            return {"holds_root_key": None if self._holder.state is not State.UNSEALED else False}
        return {
            "holds_root_key": True,
            "root_generation": hold["root_generation"],
            "wrapped_at": hold["wrapped_at"],
        }

    def seal(self) -> str:
        """Wipe all keys in memory."""
        try:
            self._holder.seal()
        except (KmsError, SQLAlchemyError) as error:
            raise KeyWorkRefused(str(error)) from error
        finally:
            self._forget_keys()
        return "the KMS is sealed; zones are served as they are and not signed"

    def unseal(self, passphrases: Mapping[str, str]) -> str:
        """Open the KMS."""
        try:
            self._holder.unseal(passphrases)
        except CustodyUnavailable as error:
            raise KeyWorkRefused(str(error)) from error
        return "the KMS is unsealed"

    def rotate_root(self, passphrases: Mapping[str, str]) -> str:
        """Make a new root key."""
        with self._working(passphrases) as kms:
            generation = kms.rotate_root(self._holder.seals, OPERATOR)
        return f"generation {generation} of the root key is in use; back up the database now"

    def rotate_kek(self, organisation: str | None) -> str:
        """Make new key-encryption keys and wrap everything under them."""
        with self._working({}) as kms:
            made = kms.rotate_kek(OPERATOR, organisation=organisation)
            done = kms.rewrap_keys(self._note)
        return f"{len(made)} new key-encryption keys; {describe_rewrap(done)}"

    def rewrap(self) -> str:
        """Wrap everything under the newest key-encryption keys."""
        with self._working({}) as kms:
            done = kms.rewrap_keys(self._note)
        return describe_rewrap(done)

    def reseal(self, passphrases: Mapping[str, str], remove: str | None) -> str:
        """Wrap the root key anew under the configured seals, or take one away."""
        with self._working(passphrases) as kms:
            if remove is not None:
                kms.remove_seal(remove, self._holder.seals, OPERATOR)
                return f"seal {remove} does not hold the root key any more"
            run_self_test()
            added = kms.reseal(self._holder.seals, OPERATOR)
        count = len(self._holder.seals)
        news = f"; new: {', '.join(added)}" if added else ""
        return f"the root key is wrapped under {count} seals, and each has opened it{news}"

    def find_shred(self, organisation: str, region: str | None) -> dict[str, object]:
        """Say what `shred` would destroy, and what has to be said to have it done."""
        with self._working({}) as kms:
            found = kms.find_shred(*self._find_place(organisation, region))
        return _describe_shred(found)

    def shred(self, organisation: str, region: str | None, token: str) -> str:
        """Destroy all keys of an organisation or one of its regions.

        Args:
            organisation: Identity or slug.
            region: Identity or slug; None for all.
            token: From `find_shred`: a person has seen what that said.
        """
        with self._working({}) as kms:
            found = kms.find_shred(*self._find_place(organisation, region))
            if _describe_shred(found)["token"] != token:
                raise KeyWorkRefused("what there is to destroy has changed since it was shown; look again")
            kms.shred(found, by=OPERATOR)
        self._forget_keys()
        return (
            f"{len(found.keys)} keys and {found.keks} key-encryption keys of organisation "
            f"{found.organisation} are destroyed; copies of the database from before are still opened by the "
            "seals of that time: destroy those copies, too"
        )

    def _find_place(self, organisation: str, region: str | None) -> tuple[str, str | None]:
        """Give identities for slugs; what the platform does not know any more is taken for an identity."""
        with self._holder.custody.store.read() as connection:
            try:
                organisation = get_organisation(connection, organisation).identity
            except PlatformError:
                logger.info("organisation %s is none of the platform", organisation)
            if region is not None:
                try:
                    region = get_region(connection, region).record.identity
                except PlatformError:
                    logger.info("region %s is none of the platform", region)
        return organisation, region

    def tidy(self) -> str | None:
        """Go on with a rewrapping that was interrupted, and destroy what is not needed; called every hour."""
        try:
            kms = self._holder.custody.kms
            if kms.state is not State.UNSEALED or not kms.needs_rewrap():
                return None
            with self._working({}) as kms:
                done = kms.rewrap_keys(self._note)
        except (CustodyUnavailable, KmsError, KeyWorkRefused, SQLAlchemyError) as error:
            return f"rewrapping did not end: {error}"
        return describe_rewrap(done) if done.rewrapped or done.destroyed else None

    def _note(self, progress: RewrapProgress) -> None:
        self._progress = progress

    @contextmanager
    def _working(self, passphrases: Mapping[str, str]) -> Generator[Kms]:
        if not self._lock.acquire(blocking=False):
            raise KeyWorkRefused("other work on the keys is under way; see `signerd kms status`")
        try:
            with self._holder.give(passphrases):
                yield self._holder.custody.kms
        except (CustodyUnavailable, KmsError) as error:
            raise KeyWorkRefused(str(error)) from error
        finally:
            self._progress = None
            self._lock.release()


def _describe_shred(found: Shred) -> dict[str, object]:
    stated = repr((found.organisation, found.region, found.keks, found.keys, found.zones))
    return {
        "organisation": found.organisation,
        "region": found.region,
        "keks": found.keks,
        "keys": len(found.keys),
        "zones": [format_name(zone) for zone in found.zones],
        "token": hashlib.sha256(stated.encode()).hexdigest(),
    }


def describe_rewrap(done: RewrapProgress) -> str:
    """Say what a rewrapping has done."""
    parts = [f"{done.rewrapped} keys rewrapped"]
    if done.failed:
        parts.append(f"{done.failed} do not open and were left, see the log")
    if done.destroyed:
        parts.append(f"{done.destroyed} old key-encryption keys destroyed")
    if done.kept:
        parts.append(f"{done.kept} old key-encryption keys kept, for a day or until nothing needs them")
    return ", ".join(parts)
