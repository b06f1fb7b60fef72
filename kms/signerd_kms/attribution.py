"""Who asks for an operation."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who asks, for the audit.

    Attributes:
        actor: The principal, `user:<subject>` or `serviceAccount:<identity>`; None for background jobs.
        via: The service that asks on the principal's behalf, such as `dns-dnssec`.
        request_id: The same in all audit events of one request.
        credential: Id of the token or access credential, never the secret itself.
        address: Of the client.
    """

    actor: str | None
    via: str | None = None
    request_id: str | None = None
    credential: str | None = None
    address: str | None = None


NOBODY: Final = Attribution(None)
"""Background jobs of the KMS itself."""
