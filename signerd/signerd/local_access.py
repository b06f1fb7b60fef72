"""Access for who works on the machine itself, with database and root key at hand and no server running."""

from signerd.api.access import Identity, Presented
from signerd.api.platform_parts import PlatformParts
from signerd.platform.errors import ObjectUnknown, OrganisationRefused
from signerd.platform.organisation import get_organisation
from signerd.platform.principal import (
    Credential,
    CredentialKind,
    Organisation,
    Principal,
    PrincipalKind,
    Project,
    TokenScope,
)
from signerd.platform.project import get_project
from signerd.platform.rights import Rights

LOCAL = Identity(
    Principal(PrincipalKind.USER, "local", "operator on the machine", is_operator=True),
    Credential("local", CredentialKind.PERSONAL),
)


class LocalAccess(PlatformParts):
    """Lets everything through: who reads the root key can do it all anyway. The audit says `user:local`."""

    def authenticate(self, presented: Presented) -> Identity:
        """Take any credential."""
        del presented
        return LOCAL

    def find_organisation(self, identity: Identity, name: str) -> Organisation:
        """Give any organisation.

        Raises:
            OrganisationRefused: There is none such.
        """
        with self._store.read() as connection:
            try:
                return get_organisation(connection, name)
            except ObjectUnknown as error:
                raise OrganisationRefused from error

    def find_project(self, identity: Identity, organisation: Organisation, name: str) -> Project:
        """Give any project of the organisation."""
        with self._store.read() as connection:
            return get_project(connection, organisation.identity, name)

    def collect_rights(
        self, identity: Identity, organisation: Organisation, project: Project | None, needed: TokenScope
    ) -> Rights:
        """Give all rights."""
        return Rights.of_owner()
