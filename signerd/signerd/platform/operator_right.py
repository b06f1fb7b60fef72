"""The right to run the deployment as a whole: organisations, regions, users."""

from signerd.platform.errors import Forbidden
from signerd.platform.principal import Credential, Principal


def require_operator(principal: Principal, credential: Credential) -> None:
    """Check that an operator asks, with a credential that is not limited to one tenant.

    Raises:
        Forbidden: Another asks.
    """
    if not principal.is_operator or credential.organisation is not None or credential.project is not None:
        raise Forbidden("deployment", "administer")
