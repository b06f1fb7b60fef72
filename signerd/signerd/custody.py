"""The database, the KMS and the platform: opened together, and lived without when they cannot be."""

import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path

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
from signerd.store.engine import DatabaseRefused, open_database
from signerd.store.migration import DatabaseTooNew, upgrade
from signerd.zones.durable_file import replace_file
from signerd_kms.errors import KmsError
from signerd_kms.kms import Kms
from signerd_kms.root_key import Label
from signerd_kms.seals.key_file import FileSeal
from signerd_kms.wrapping import LiveKey

logger = logging.getLogger(__name__)


class CustodyUnavailable(Exception):
    """The keys cannot be had now; the message says why."""

    code = "custody.unavailable"


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


def open_custody(config: Config, clock: Clock, acknowledged: Acknowledged | None = None) -> Custody:
    """Open the database, bring it up to date, unseal the KMS, and make what a first start makes.

    Args:
        config: All options.
        clock: The wall clock.
        acknowledged: Nothing if None.

    Raises:
        CustodyUnavailable: Something of it did not work; nothing was half made.
    """
    state = StateDirectory(config.state_directory)
    try:
        engine = open_database(state.database)
        upgrade(engine)
        audit = AuditLog()
        outside = OutsideCheckpoints(config.checkpoint_file)
        _check_audit(AuditStart(engine, audit, clock), outside, acknowledged or Acknowledged())
        kms = Kms.open(engine, FileSeal(config.seal_file), clock, audit)
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
            deliver_token=lambda token: _deliver_token(state.admin_token, token),
        )
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
        raise CustodyUnavailable(_explain(error)) from error
    return Custody(engine, kms, platform, requests, store, jobs)


def _check_audit(start: AuditStart, outside: OutsideCheckpoints, acknowledged: Acknowledged) -> None:
    start.check_rollback(outside.read(), accept_rollback=acknowledged.rolled_back)
    start.check_chains(acknowledge_break=acknowledged.broken)


def _explain(error: Exception) -> str:
    if isinstance(error, SQLAlchemyError):
        return f"the database does not work: {getattr(error, 'orig', None) or type(error).__name__}"
    return str(error)


def _deliver_token(path: Path, token: str) -> None:
    umask = os.umask(0o177)  # the file must never exist with more permissions
    try:
        replace_file(path, [f"{token}\n".encode()])
    finally:
        os.umask(umask)


class CustodyHolder:
    """Opens the custody when it can, and says why it could not."""

    def __init__(self, config: Config, clock: Clock, acknowledged: Acknowledged | None = None) -> None:
        self._config = config
        self._acknowledged = acknowledged
        self._clock = clock
        self._lock = threading.Lock()  # one attempt at a time
        self._custody: Custody | None = None
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
        """Try to open it, unless it is open; for a worker thread.

        Returns:
            Whether it is open.
        """
        with self._lock:
            if self._custody is None:
                try:
                    self._custody = open_custody(self._config, self._clock, self._acknowledged)
                except CustodyUnavailable as error:
                    if self.reason != str(error):
                        logger.error("no keys, so nothing can be signed: %s", error)
                    self.reason = str(error)
                    return False
                self.reason = None
            return True
