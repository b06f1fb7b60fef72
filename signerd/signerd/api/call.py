"""What a handler is given: one request that passed the checks every call has in common."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel
from sqlalchemy import Connection
from starlette.datastructures import Headers

from signerd.api.json_body import read_model, require_json
from signerd.api.query import Query
from signerd.platform.principal import Credential, Organisation, Principal, Project
from signerd.platform.rights import Rights
from signerd_kms.attribution import Attribution

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class OpenCall:
    """One request of a call that needs no credential.

    Attributes:
        request_id: The same in the response, the log and the audit.
        address: Of the client.
        query: Parameters.
        headers: By name in any case.
        body: As it came.
    """

    request_id: str
    address: str
    query: Query
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """One request after authentication, organisation, gates and project, checked in this order.

    Attributes:
        request_id: The same in the response, the log and all audit entries.
        principal: Who calls.
        credential: What the principal was known by.
        owner: The organisation; None on personal calls.
        project: The active one; None for what belongs to the organisation as a whole.
        rights: What the principal may do in organisation and project.
        address: Of the client.
        path: Parameters of the path, not decoded.
        query: Parameters after the question mark.
        headers: By name in any case.
        body: As it came; `read` gives its meaning.
        record: Stores the audit entry of the request with a status of success in a transaction of the
            handler's own, so that one commit does for both. Once that is committed the reply says so; if it
            is not, whatever became of the request gets its entry as ever.
        charge: Counts further operations of the request, such as the items of a batch after the first,
            against the budgets of the credential and the organisation; raises TooManyRequests.
    """

    request_id: str
    principal: Principal
    credential: Credential
    owner: Organisation | None
    project: Project | None
    rights: Rights
    address: str
    path: Mapping[str, str]
    query: Query
    headers: Headers
    body: bytes
    record: Callable[[Connection, int], None]
    charge: Callable[[int], None]

    @property
    def organisation(self) -> Organisation:
        """The organisation that the call is for; personal calls have none and must not ask."""
        assert self.owner is not None, "a personal call has no organisation"  # noqa: S101  # a bug
        return self.owner

    @property
    def attribution(self) -> Attribution:
        """Who calls, for the audit."""
        return Attribution(
            actor=self.principal.actor,
            request_id=self.request_id,
            credential=self.credential.id,
            address=self.address,
        )

    def read(self, model: type[M]) -> M:
        """Parse the body now, that is after object and permission were checked.

        Raises:
            MediaTypeUnsupported: The body is not said to be JSON.
            InvalidBody: It does not fit the model; the message names the member and never its value.
        """
        if self.body:  # an empty body has no type, and fails for what it lacks
            require_json(self.headers.getlist("content-type"))
        return read_model(self.body or b"{}", model)

    def read_empty(self) -> None:
        """Take whatever body there is as none: clients send none, an empty one or `{}`."""
