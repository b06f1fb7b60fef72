"""The API's parts on top of the platform's tables and the KMS."""

from collections.abc import Mapping
from typing import Protocol

from sqlalchemy import Engine, or_, select

from signerd.api.authentication import BadToken, Organisation, Principal
from signerd.api.kms_summary import KmsSummary, RegionSummary
from signerd.clock import Clock
from signerd.platform.api_token import Pepper, TokenRefused, verify_token
from signerd.platform.tables import organisation_gates, organisations, regions
from signerd_kms.audited_store import READ_ONLY
from signerd_kms.key import KeyStatus

KMS_GATE = "kms"


class KeyCounter(Protocol):
    """Counts keys; the KMS does."""

    def count_keys(
        self, organisation: str, project: str | None = None
    ) -> Mapping[str, Mapping[KeyStatus, int]]:
        """Count keys by identity of the region and by status."""
        ...


class PlatformParts:
    """A TokenVerifier, an OrganisationDirectory and a SummarySource in one. Blocks: for worker threads."""

    def __init__(self, engine: Engine, kms: KeyCounter, pepper: Pepper, clock: Clock) -> None:
        """Do nothing yet.

        Args:
            engine: The migrated database.
            kms: Counts the keys.
            pepper: Gives the key of token MACs; raises Sealed while there is none.
            clock: The wall clock.
        """
        self._engine = engine.execution_options(**{READ_ONLY: True})
        self._kms = kms
        self._pepper = pepper
        self._clock = clock

    def verify(self, token: str) -> Principal:
        """Say whose token it is.

        Raises:
            BadToken: Nobody's, or no longer good.
            Sealed: Tokens cannot be checked now.
        """
        with self._engine.connect() as connection:
            try:
                found = verify_token(connection, self._pepper, token, self._clock.now())
            except TokenRefused as error:
                raise BadToken(str(error)) from error
        return Principal(found.token_id, found.name, found.organisation)

    def find_organisation(self, identity_or_slug: str, principal: Principal) -> Organisation | None:
        """Give the organisation if the principal's token belongs to it."""
        query = select(organisations).where(
            organisations.c.identity == principal.organisation,
            or_(organisations.c.identity == identity_or_slug, organisations.c.slug == identity_or_slug),
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else Organisation(row.identity, row.name, row.slug)

    def summarise(self, organisation: Organisation) -> KmsSummary:
        """List the regions of the deployment with the organisation's own keys in them."""
        gate = select(organisation_gates.c.enabled).where(
            organisation_gates.c.organisation == organisation.identity, organisation_gates.c.gate == KMS_GATE
        )
        with self._engine.connect() as connection:
            is_enabled = bool(connection.execute(gate).scalar())
            places = connection.execute(
                select(regions).order_by(regions.c.created_at, regions.c.identity)
            ).all()
        counts = self._kms.count_keys(organisation.identity)
        return KmsSummary(
            is_enabled,
            [
                RegionSummary(
                    place.identity,
                    place.name,
                    place.slug,
                    bool(place.kms_available),
                    sum(counts.get(place.identity, {}).values()),
                    *(counts.get(place.identity, {}).get(status, 0) for status in KeyStatus),
                )
                for place in places
            ],
        )
