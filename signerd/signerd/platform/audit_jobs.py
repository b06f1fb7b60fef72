"""What the audit log needs done from time to time."""

import logging
from pathlib import Path

from signerd.platform.audit_chain import AuditChainBroken
from signerd.platform.checkpoint_keeper import CheckpointKeeper
from signerd.platform.outside_checkpoints import OutsideCheckpoints
from signerd.platform.request_log import RequestLog
from signerd.zones.durable_file import replace_file
from signerd_kms.errors import KmsError

logger = logging.getLogger(__name__)


class AuditJobs:
    """One round does all that is due. For a worker thread; one at a time."""

    def __init__(
        self,
        keeper: CheckpointKeeper,
        requests: RequestLog,
        outside: OutsideCheckpoints,
        public_keys: Path,
        retention_seconds: int | None,
    ) -> None:
        """Do nothing yet.

        Args:
            keeper: Signs checkpoints and removes old entries.
            requests: Counts refused requests.
            outside: Where the newest checkpoints go.
            public_keys: File for the keys that verify them.
            retention_seconds: Age at which entries are removed; None keeps them.
        """
        self._keeper = keeper
        self._requests = requests
        self._outside = outside
        self._public_keys = public_keys
        self._retention_seconds = retention_seconds
        self._last_problem: str | None = None

    def run(self) -> None:
        """Do a round; what does not work is logged once and tried again in the next."""
        try:
            self._requests.flush()
            self._keeper.sign_due()
            self._write_keys()
            self._outside.write(self._keeper.list_newest())
            if self._retention_seconds is not None:
                self._keeper.drop_expired(self._retention_seconds)
        except (KmsError, AuditChainBroken, OSError) as error:
            if str(error) != self._last_problem:
                logger.error("audit log: %s", error)
            self._last_problem = str(error)
        else:
            self._last_problem = None

    def _write_keys(self) -> None:
        octets = "".join(f"{verifier}\n" for verifier in self._keeper.list_verifiers()).encode()
        if not self._public_keys.exists() or self._public_keys.read_bytes() != octets:
            replace_file(self._public_keys, [octets])
