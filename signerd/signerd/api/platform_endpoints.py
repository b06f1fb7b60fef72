"""All calls of the platform: regions, projects, and who may do what."""

from signerd.api.federation_endpoints import list_federation_endpoints
from signerd.api.membership_endpoints import list_membership_endpoints
from signerd.api.operator_endpoints import list_operator_endpoints
from signerd.api.personal_token_endpoints import list_personal_token_endpoints
from signerd.api.platform_backend import OpenPlatform
from signerd.api.policy_endpoints import list_policy_endpoints, list_role_endpoints
from signerd.api.project_endpoints import list_project_endpoints
from signerd.api.region_endpoints import list_region_endpoints
from signerd.api.route import AnyEndpoint
from signerd.api.service_account_endpoints import list_service_account_endpoints
from signerd.api.team_endpoints import list_team_endpoints
from signerd.api.token_endpoint import list_token_endpoints


def list_platform_endpoints(open_platform: OpenPlatform) -> list[AnyEndpoint]:
    """Give the calls."""
    return [
        *list_region_endpoints(open_platform),
        *list_project_endpoints(open_platform),
        *list_policy_endpoints(open_platform),
        *list_role_endpoints(open_platform),
        *list_service_account_endpoints(open_platform),
        *list_team_endpoints(open_platform),
        *list_membership_endpoints(open_platform),
        *list_federation_endpoints(open_platform),
        *list_token_endpoints(open_platform),
        *list_operator_endpoints(open_platform),
        *list_personal_token_endpoints(open_platform),
    ]
