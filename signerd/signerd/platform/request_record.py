"""One request of the API, as the audit keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass

from signerd.platform.principal import Credential, Principal


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request that concerned an organisation, with its outcome.

    Attributes:
        organisation: Identity.
        principal: None if nobody was known.
        credential: None if none was good.
        request_id: The same as in the entries of what the request did.
        method: As sent.
        path: As sent, without the query.
        query_names: Names of the query's parameters; their values are not kept.
        status: Of the response.
        duration_microseconds: Until the response was ready.
        address: Of the client.
        headers: Safe ones, by their usual names.
        action: Of the endpoint.
        description: Of the endpoint, for people.
        resource_type: Of the endpoint.
        resource: Last parameter of the path, if the endpoint has a resource type.
        project: Identity of the active project.
    """

    organisation: str
    principal: Principal | None
    credential: Credential | None
    request_id: str
    method: str
    path: str
    query_names: tuple[str, ...]
    status: int
    duration_microseconds: int
    address: str
    headers: Mapping[str, str]
    action: str
    description: str
    resource_type: str | None
    resource: str | None
    project: str | None
