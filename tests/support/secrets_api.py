"""Secrets over HTTP: keys to bind to, and the calls in short."""

import base64
from dataclasses import dataclass

from platform_api import Api, Json, PlatformApi, items_of, read_object
from signerd.platform.region import get_region
from signerd_kms.attribution import Attribution
from signerd_kms.key import Key, KeyType, Scope

REGION = "nl-01"
BY = Attribution("user:tests")


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@dataclass(frozen=True)
class SecretsApi:
    """A caller of the secrets API, and what it can bind to."""

    platform: PlatformApi
    api: Api

    def make_key(
        self, name: str = "Secrets", key_type: KeyType = KeyType.AES256_GCM96, project: str | None = None
    ) -> Key:
        return self.platform.deployment.kms.create_key(self.scope(project), name, key_type, by=BY)

    def scope(self, project: str | None = None) -> Scope:
        deployment = self.platform.deployment
        with deployment.store.read() as connection:
            region = get_region(connection, REGION).record.identity
        return Scope(deployment.platform.organisation, region, project)

    async def create(self, path: str, key: Key, text: str = "value", **more: object) -> Json:
        body = {"path": path, "kmsKeyIdentity": key.identity, "secretString": encode(text), **more}
        return await self.api.create(f"/v1/secrets/{REGION}/secrets", body)

    async def get(self, path: str, query: str = "") -> Json:
        return await self.api.get(f"/v1/secrets/{REGION}/secret{path}{query}")

    async def put(self, path: str, text: str) -> Json:
        body = {"path": path, "secretString": encode(text)}
        return await self.api.create(f"/v1/secrets/{REGION}/secret{path}/versions", body)

    async def reveal(self, path: str, version: int | None = None) -> Json:
        body: Json = {"path": path} if version is None else {"path": path, "version": version}
        response = await self.api.send("POST", f"/v1/secrets/{REGION}/secret{path}/value", body)
        assert response.headers["Cache-Control"] == "no-store"
        return read_object(response, 200)

    async def read(self, path: str, version: int | None = None) -> str:
        revealed = await self.reveal(path, version)
        return base64.b64decode(str(revealed["secretString"])).decode()

    async def set_policy(self, path: str, policy: object) -> Json:
        return await self.api.put(f"/v1/secrets/{REGION}/secret{path}/policy", {"accessPolicy": policy})

    async def refused(self, status: int, method: str, rest: str, body: object | None = None) -> str:
        return await self.api.refused(status, method, f"/v1/secrets/{REGION}/{rest}", body)

    async def list_audit(self, **filters: str) -> list[Json]:
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        page = await self.platform.admin.get(f"/v1/audit?limit=1000&{query}")
        return items_of(page, "items")
