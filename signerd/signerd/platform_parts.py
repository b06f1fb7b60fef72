"""What the admin API asks, answered as soon as the KMS and its database are open."""

from signerd.api import platform_parts as parts
from signerd.api.authentication import Organisation, Principal
from signerd.api.errors import PartNotAvailable
from signerd.api.kms_summary import KmsSummary
from signerd.clock import Clock
from signerd.custody import CustodyHolder, CustodyUnavailable


class PlatformParts:
    """Hands each call on to the platform's parts; a 503 as long as there are none."""

    def __init__(self, holder: CustodyHolder, clock: Clock) -> None:
        self._holder = holder
        self._clock = clock

    def _open(self) -> parts.PlatformParts:
        try:
            custody = self._holder.custody
        except CustodyUnavailable as error:
            raise PartNotAvailable("the KMS is not available") from error
        return parts.PlatformParts(custody.engine, custody.kms, custody.derive_pepper, self._clock)

    def verify(self, token: str) -> Principal:
        """Say whose token it is."""
        return self._open().verify(token)

    def find_organisation(self, identity_or_slug: str, principal: Principal) -> Organisation | None:
        """Give an organisation of which the principal is a member."""
        return self._open().find_organisation(identity_or_slug, principal)

    def summarise(self, organisation: Organisation) -> KmsSummary:
        """Count the organisation's keys in each region."""
        return self._open().summarise(organisation)
