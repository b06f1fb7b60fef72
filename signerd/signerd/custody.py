"""The database, the KMS and the platform: opened together, and lived without when they cannot be."""

import logging
import os
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from signerd.clock import Clock
from signerd.config.options import Config
from signerd.config.state_directory import StateDirectory
from signerd.platform.audit_jobs import AuditJobs
from signerd.platform.audit_log import AuditLog
from signerd.platform.audit_start import AuditStart
from signerd.platform.bootstrap import BootstrapRefused, FirstNames, Platform, bootstrap
from signerd.platform.change import PlatformStore
from signerd.platform.checkpoint_keeper import CheckpointKeeper, Due
from signerd.platform.denial_limit import DenialLimit
from signerd.platform.errors import PlatformError
from signerd.platform.outside_checkpoints import OutsideCheckpoints
from signerd.platform.request_log import RequestLog
from signerd.seal_factory import make_seals
from signerd.signer.zone_service_keys import ZoneServiceKeys
from signerd.store.engine import DatabaseRefused, open_database
from signerd.store.migration import DatabaseTooNew, upgrade
from signerd.zones.durable_file import FileOperations, replace_file
from signerd_kms.errors import KmsError
from signerd_kms.key import Scope
from signerd_kms.kms import Kms
from signerd_kms.root_key import Label
from signerd_kms.seal import Seal
from signerd_kms.seals.passphrase import PassphraseSeal
from signerd_kms.seals.token import TokenSeal
from signerd_kms.self_test import run_self_test
from signerd_kms.state import State
from signerd_kms.wrapped_rows import ServiceKeyRows
from signerd_kms.wrapping import LiveKey

logger = logging.getLogger(__name__)


class CustodyUnavailable(Exception):
    """The keys cannot be had now; the message says why.

    Attributes:
        is_new: Whether the database holds no KMS yet: the seals are about to be set.
    """

    code = "custody.unavailable"

    def __init__(self, reason: str, *, is_new: bool = False) -> None:
        super().__init__(reason)
        self.is_new = is_new


@dataclass(frozen=True, slots=True)
class Custody:
    """Everything that holds or guards keys."""

    engine: Engine
    kms: Kms
    platform: Platform
    requests: RequestLog
    store: PlatformStore
    audit_jobs: AuditJobs

    def derive_pepper(self) -> LiveKey:
        """Give the key of token MACs; the caller closes it."""
        return self.kms.derive_key(Label.TOKEN_PEPPER)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What the operator says about the audit log at this start.

    Attributes:
        broken: That it is broken: go on with an entry that says so.
        rolled_back: That the database is an older copy: likewise.
    """

    broken: bool = False
    rolled_back: bool = False


def open_custody(
    config: Config, clock: Clock, seals: Sequence[Seal], acknowledged: Acknowledged | None = None
) -> Custody:
    """Open the database, bring it up to date, unseal the KMS, and make what a first start makes.

    Args:
        config: All options.
        clock: The wall clock.
        seals: What opens the KMS, in order.
        acknowledged: Nothing if None.

    Raises:
        CustodyUnavailable: Something of it did not work; nothing was half made.
    """
    state = StateDirectory(config.state_directory)
    is_new = False
    engine: Engine | None = None
    try:
        engine = open_database(state.database)
        upgrade(engine)
        audit = AuditLog()
        outside = OutsideCheckpoints(config.checkpoint_file)
        lost = _check_audit(AuditStart(engine, audit, clock), outside, acknowledged or Acknowledged())
        is_new = Kms(engine, clock, audit).state is State.UNINITIALISED
        run_self_test()
        kms = Kms.open(engine, seals, clock, audit)
        if lost is not None:  # each use of a key is an entry, so no key encrypted more than are lost
            kms.skip_lost_messages(lost)
        store = PlatformStore(kms.custodian.store)  # all writers share commits
        platform = bootstrap(
            store,
            FirstNames(
                organisation=config.organisation.name,
                region=config.region.slug,
                region_name=config.region.name,
                administrator=config.administrator.name,
                email=config.administrator.email,
            ),
            pepper=lambda: kms.derive_key(Label.TOKEN_PEPPER),
            deliver_token=lambda token: deliver_token(state.admin_token, token),
        )
        scope = Scope(platform.organisation, platform.region)
        kms.add_wrapped_rows(ServiceKeyRows(ZoneServiceKeys(scope)))
        _tighten(state.admin_token)
        requests = RequestLog(kms.custodian.store, audit, clock, DenialLimit(config.audit.denials_per_minute))
        due = Due(config.audit.checkpoint_entries, config.audit.checkpoint_interval)
        keeper = CheckpointKeeper(
            engine, kms.custodian.store, audit, lambda: kms.derive_key(Label.AUDIT_SIGN), clock, due
        )
        jobs = AuditJobs(keeper, requests, outside, state.audit_public_keys, config.audit.retention)
    except (
        KmsError,
        PlatformError,
        DatabaseRefused,
        DatabaseTooNew,
        BootstrapRefused,
        SQLAlchemyError,
        OSError,
    ) as error:
        if engine is not None:
            engine.dispose()
        raise CustodyUnavailable(_explain(error), is_new=is_new) from error
    return Custody(engine, kms, platform, requests, store, jobs)


def _check_audit(start: AuditStart, outside: OutsideCheckpoints, acknowledged: Acknowledged) -> int | None:
    lost = start.check_rollback(outside.read(), accept_rollback=acknowledged.rolled_back)
    start.check_chains(acknowledge_break=acknowledged.broken)
    return lost


def _explain(error: Exception) -> str:
    if isinstance(error, SQLAlchemyError):
        return f"the database does not work: {getattr(error, 'orig', None) or type(error).__name__}"
    return str(error)


class _PrivateFiles(FileOperations):
    """Makes files that only their owner reads; they never exist with more permissions."""

    def open_new(self, path: Path) -> int:
        """Create a file and open it for writing; it must not exist."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def deliver_token(path: Path, token: str) -> None:
    """Put a token into a file that only its owner reads, durably."""
    replace_file(path, [f"{token}\n".encode()], _PrivateFiles())


def _tighten(path: Path) -> None:
    """Take the file of the token from others: a version of this program let them read it."""
    if path.exists() and path.stat().st_mode & 0o077:
        logger.warning("%s was readable by others; replace the token with `signerd token rotate`", path)
        path.chmod(0o600)


def is_asked(seal: Seal) -> TypeGuard[PassphraseSeal | TokenSeal]:
    """Say if people are asked for what opens a seal: a passphrase, or the PIN of a token."""
    return isinstance(seal, PassphraseSeal) or (isinstance(seal, TokenSeal) and seal.is_asked)


class CustodyHolder:
    """Opens the custody when it can, and says why it could not."""

    def __init__(self, config: Config, clock: Clock, acknowledged: Acknowledged | None = None) -> None:
        self._config = config
        self._acknowledged = acknowledged
        self._clock = clock
        self._lock = threading.Lock()  # one attempt at a time
        self._custody: Custody | None = None
        self._is_sealed_by_command = False
        self._is_new = False
        self.seals: Sequence[Seal] = make_seals(config, os.environ)
        self.reason: str | None = "the KMS is not open yet"

    @property
    def custody(self) -> Custody:
        """What was opened.

        Raises:
            CustodyUnavailable: It was not.
        """
        if self._custody is None:
            raise CustodyUnavailable(self.reason or "the KMS is not open")
        return self._custody

    def open(self) -> bool:
        """Try to open it, unless it is open or was sealed by command; for a worker thread.

        Returns:
            Whether it is open.
        """
        with self._lock:
            if self._custody is None and not self._is_sealed_by_command:
                try:
                    self._open()
                except CustodyUnavailable as error:
                    if self.reason != str(error):
                        logger.error("no keys, so nothing can be signed: %s", error)
                    self.reason = str(error)
            return self._custody is not None

    def close(self) -> None:
        """Close the database, which then is one whole file; what uses it after this opens it again."""
        with self._lock:
            if self._custody is not None:
                self._custody.engine.dispose()

    def _open(self) -> None:
        try:
            self._custody = open_custody(self._config, self._clock, self.seals, self._acknowledged)
        except CustodyUnavailable as error:
            self._is_new = error.is_new
            raise
        self.reason = None

    @property
    def state(self) -> State:
        """The state of the KMS; sealed as long as it could not be opened."""
        if self._custody is None:
            return State.UNINITIALISED if self._is_new else State.SEALED
        return self._custody.kms.state

    def seal(self) -> None:
        """Wipe all keys; only `unseal` or a restart brings them back."""
        with self._lock:
            self._is_sealed_by_command = True
            if self._custody is not None:
                self._custody.kms.seal()
            for seal in self.seals:
                seal.forget()
            self.reason = "sealed by command"
            logger.warning("the KMS is sealed by command")

    def unseal(self, passphrases: Mapping[str, str]) -> None:
        """Open the KMS, or initialise it at the first start, with what is given to the seals.

        Args:
            passphrases: By seal.

        Raises:
            CustodyUnavailable: It did not work; the message says why.
        """
        with self._lock, self.give(passphrases):
            if self._custody is None:
                self._open()
            else:
                try:
                    run_self_test()
                    self._custody.kms.unseal(*self.seals)
                except KmsError as error:
                    raise CustodyUnavailable(str(error)) from error
            self._is_sealed_by_command = False
            self.reason = None

    @contextmanager
    def give(self, passphrases: Mapping[str, str]) -> Generator[None]:
        """Let seals have their passphrases for as long as this lasts.

        Raises:
            CustodyUnavailable: There is no such seal, or it takes no passphrase like this.
        """
        takers = {seal.seal_id: seal for seal in self.seals if is_asked(seal)}
        try:
            for seal_id, passphrase in passphrases.items():
                if seal_id not in takers:
                    raise CustodyUnavailable(f"no seal {seal_id!r} that takes a passphrase is configured")
                try:
                    takers[seal_id].give(passphrase)
                except KmsError as error:
                    raise CustodyUnavailable(str(error)) from error
            yield
        finally:
            for seal in takers.values():
                seal.forget()
