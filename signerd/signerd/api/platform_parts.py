"""The API's parts on top of the platform's tables and the KMS."""

from collections.abc import Mapping
from typing import Protocol

from sqlalchemy import Engine, or_, select

from signerd.api.access import Identity, Presented, TokenPresented
from signerd.api.kms_summary import KmsSummary, RegionSummary
from signerd.clock import Clock
from signerd.platform.api_token import Pepper, TokenRefused, verify_token
from signerd.platform.errors import CredentialRefused, OrganisationRefused, ProjectUnknown
from signerd.platform.gate import Gate
from signerd.platform.principal import (
    Credential,
    CredentialKind,
    Organisation,
    Principal,
    PrincipalKind,
    Project,
)
from signerd.platform.rights import Rights
from signerd.platform.tables import organisation_gates, organisations, regions
from signerd_kms.audited_store import READ_ONLY
from signerd_kms.key import KeyStatus


class KeyCounter(Protocol):
    """Counts keys; the KMS does."""

    def count_keys(
        self, organisation: str, project: str | None = None
    ) -> Mapping[str, Mapping[KeyStatus, int]]:
        """Count keys by identity of the region and by status."""
        ...


class PlatformParts:
    """Access and a SummarySource in one. Blocks: for worker threads.

    There are no users yet: the administrator token of the first start is a principal of its own.
    """

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

    def authenticate(self, presented: Presented) -> Identity:
        """Say whose token it is.

        Raises:
            CredentialRefused: Nobody's, or no longer good.
            Sealed: Tokens cannot be checked now.
        """
        if not isinstance(presented, TokenPresented):
            raise CredentialRefused
        with self._engine.connect() as connection:
            try:
                found = verify_token(connection, self._pepper, presented.token, self._clock.now())
            except TokenRefused as error:
                raise CredentialRefused from error
        return Identity(
            Principal(PrincipalKind.USER, found.token_id, found.name),
            Credential(found.token_id, CredentialKind.PERSONAL, organisation=found.organisation),
        )

    def find_organisation(self, identity: Identity, name: str) -> Organisation:
        """Give the organisation if the token belongs to it.

        Raises:
            OrganisationRefused: It does not, or there is none.
        """
        found = self.name_organisation(name)
        if found is None or found != identity.credential.organisation:
            raise OrganisationRefused
        query = select(organisations).where(organisations.c.identity == found)
        with self._engine.connect() as connection:
            row = connection.execute(query).one()
        return Organisation(row.identity, row.name, row.slug)

    def name_organisation(self, name: str) -> str | None:
        """Give the identity of an organisation, whoever asks."""
        query = select(organisations.c.identity).where(
            or_(organisations.c.identity == name, organisations.c.slug == name)
        )
        with self._engine.connect() as connection:
            return connection.execute(query).scalar()

    def find_project(self, identity: Identity, organisation: Organisation, name: str) -> Project:
        """Find no project: there are none yet."""
        raise ProjectUnknown

    def read_gates(self, organisation: Organisation) -> Mapping[Gate, bool]:
        """Say which features are on."""
        query = select(organisation_gates).where(organisation_gates.c.organisation == organisation.identity)
        with self._engine.connect() as connection:
            return {Gate(row.gate): bool(row.enabled) for row in connection.execute(query)}

    def collect_rights(
        self, identity: Identity, organisation: Organisation, project: Project | None
    ) -> Rights:
        """Give the administrator of the organisation, who is the only member, all rights."""
        return Rights.of_owner()

    def summarise(self, organisation: Organisation, project: Project | None) -> KmsSummary:
        """List the regions of the deployment with the organisation's or the project's keys in them."""
        with self._engine.connect() as connection:
            places = connection.execute(
                select(regions).order_by(regions.c.created_at, regions.c.identity)
            ).all()
        counts = self._kms.count_keys(organisation.identity, project.identity if project else None)
        return KmsSummary(
            self.read_gates(organisation).get(Gate.KMS, False),
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
