"""The API of a whole deployment over real HTTP, and the principals that tests call it as."""

import base64
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import cast

import httpx

from api_server import serve
from deployment import Deployment
from signerd.api.application import make_application
from signerd.platform.change import Change
from signerd.platform.described import Description
from signerd.platform.gate import Gate
from signerd.platform.membership import Role, add_membership
from signerd.platform.organisation import create_organisation
from signerd.platform.personal_token import create_personal_token
from signerd.platform.principal import Organisation
from signerd.platform.user import create_user
from signerd_kms.attribution import NOBODY

Json = dict[str, object]
YEAR_SECONDS = 365 * 86400


@dataclass(frozen=True)
class Api:
    """A caller: whom requests are sent as, and where to.

    Attributes:
        authorization: Value of the header; None sends none.
        organisation: Value of X-Organisation-Identity; None sends none.
        project: Value of X-Project-Identity; None sends none.
    """

    client: httpx.AsyncClient
    authorization: str | None
    organisation: str | None = "local-test"
    project: str | None = None

    def as_token(self, token: str, scheme: str = "Bearer") -> "Api":
        return replace(self, authorization=f"{scheme} {token}")

    def as_pair(self, access_key: str, secret: str) -> "Api":
        return replace(
            self,
            authorization="Basic " + base64.b64encode(f"{access_key}:{secret}".encode()).decode(),
        )

    def within(self, organisation: str | None) -> "Api":
        return replace(self, organisation=organisation)

    def inside(self, project: str | None) -> "Api":
        return replace(self, project=project)

    async def send(self, method: str, path: str, body: object | None = None) -> httpx.Response:
        headers: dict[str, str] = {}
        if self.authorization is not None:
            headers["Authorization"] = self.authorization
        if self.organisation is not None:
            headers["X-Organisation-Identity"] = self.organisation
        if self.project is not None:
            headers["X-Project-Identity"] = self.project
        response = await self.client.request(method, path, headers=headers, json=body)
        check_form(response)
        return response

    async def get(self, path: str) -> Json:
        return read_object(await self.send("GET", path), 200)

    async def list(self, path: str) -> "list[Json]":
        response = await self.send("GET", path)
        assert response.status_code == 200, response.text
        content: object = response.json()
        assert isinstance(content, list), "lists are bare arrays"
        return cast("list[Json]", content)

    async def create(self, path: str, body: object) -> Json:
        return read_object(await self.send("POST", path, body), 201)

    async def put(self, path: str, body: object) -> Json:
        return read_object(await self.send("PUT", path, body), 200)

    async def delete(self, path: str) -> None:
        response = await self.send("DELETE", path)
        assert response.status_code == 204, response.text
        assert response.content == b""

    async def refused(self, status: int, method: str, path: str, body: object | None = None) -> str:
        """Send what must be refused; give the message."""
        response = await self.send(method, path, body)
        assert response.status_code == status, response.text
        return str(read_object(response, status)["message"])


def check_form(response: httpx.Response) -> None:
    """Check what holds for every response (platform.md 1 and 6)."""
    assert not 300 <= response.status_code < 400
    if response.content:
        assert response.headers["Content-Type"] == "application/json"
        check_times(response.json())
    if response.status_code >= 400:
        body = response.json()
        assert body.keys() == {"message", "code", "requestId"}
        assert body["requestId"] == response.headers["X-Request-Id"]


def check_times(value: object) -> None:
    """Check that every member whose name ends in `At` is a time that a strict client can read."""
    if isinstance(value, list):
        for item in cast("list[object]", value):
            check_times(item)
    elif isinstance(value, dict):
        for name, item in cast("dict[str, object]", value).items():
            if name.endswith("At"):
                assert isinstance(item, str)
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", item)
            check_times(item)


def read_object(response: httpx.Response, status: int) -> Json:
    assert response.status_code == status, response.text
    content: object = response.json()
    assert isinstance(content, dict)
    return cast("Json", content)


def text_of(body: Json, name: str) -> str:
    value = body[name]
    assert isinstance(value, str)
    return value


def object_of(body: Json, name: str) -> Json:
    value = body[name]
    assert isinstance(value, dict)
    return cast("Json", value)


def items_of(body: Json, name: str) -> "list[Json]":
    value = body[name]
    assert isinstance(value, list)
    return cast("list[Json]", value)


def format_moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


@dataclass(frozen=True)
class Member:
    """A user with a token."""

    subject: str
    token: str


@dataclass(frozen=True)
class PlatformApi:
    """A deployment that is served, and its administrator."""

    deployment: Deployment
    admin: Api

    def add_member(
        self,
        name: str,
        organisation: str | None = None,
        *,
        role: Role = Role.MEMBER,
        scopes: tuple[str, ...] = (),
    ) -> Member:
        """Make a user who is a member of an organisation, with a token."""
        place = organisation or self.deployment.platform.organisation

        def make(change: Change) -> Member:
            user = create_user(change, name=name, email=f"{name}@example.com", is_operator=False)
            add_membership(change, place, user.subject, role)
            token = create_personal_token(
                change,
                self.deployment.pepper,
                user.subject,
                name=name,
                lifetime_seconds=YEAR_SECONDS,
                scopes=scopes,
            )[1]
            return Member(user.subject, token)

        return self.deployment.store.change(NOBODY, make)

    def add_organisation(self, name: str) -> Organisation:
        """Make another tenant."""
        return self.deployment.store.change(
            NOBODY, lambda change: create_organisation(change, Description(name), tuple(Gate))
        )

    async def grant(
        self,
        name: str,
        permissions: list[str],
        resources: list[str],
        identities: list[str] | None = None,
        **principal: str,
    ) -> Json:
        """Make a role with one rule and bind it; the principal as the member of a binding that names it."""
        role = await self.admin.create("/v1/iam/roles", {"name": name})
        path = f"/v1/iam/roles/{role['identity']}"
        await self.admin.create(
            f"{path}/rules",
            {"permissions": permissions, "resources": resources, "resourceIdentities": identities or []},
        )
        await self.admin.create(f"{path}/bindings", {"name": name, **principal})
        return role


@asynccontextmanager
async def serve_deployment(deployment: Deployment) -> AsyncGenerator[PlatformApi]:
    """Serve a deployment until the block ends."""
    async with (
        serve(make_application(deployment.admin_parts)) as address,
        httpx.AsyncClient(
            base_url=f"http://{address.host}:{address.port}",
            trust_env=False,
            follow_redirects=False,
            timeout=60,
        ) as client,
    ):
        yield PlatformApi(deployment, Api(client, f"Token {deployment.token}"))
