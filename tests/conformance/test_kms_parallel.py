"""kms.md 6: every crypto call sees a state change at once, with 50 clients on connections of their own."""

import httpx
import trio

from kms_api import call, encode, make_key, path_of
from platform_api import Api, PlatformApi, items_of

CLIENTS = 50


async def test_6_fifty_clients_rotate_and_encrypt_and_nothing_is_lost(platform: PlatformApi) -> None:
    key = await make_key(platform.admin)
    rotated: list[object] = []
    sealed: list[tuple[str, object]] = []

    async def rotate(api: Api) -> None:
        response = await api.send("POST", path_of(key, "rotate"))
        assert response.status_code == 200, response.text
        rotated.append(response.json()["latestVersion"])

    async def encrypt(api: Api, number: int) -> None:
        plaintext = encode(b"client %d" % number)
        sealed.append((plaintext, (await call(api, key, "encrypt", plaintext=plaintext))["ciphertext"]))

    limits = httpx.Limits(max_connections=CLIENTS)
    base = str(platform.admin.client.base_url)
    async with (
        httpx.AsyncClient(base_url=base, trust_env=False, timeout=60, limits=limits) as client,
        trio.open_nursery() as nursery,
    ):
        api = Api(client, platform.admin.authorization)
        for number in range(CLIENTS):
            if number % 5:
                nursery.start_soon(encrypt, api, number)
            else:
                nursery.start_soon(rotate, api)
    assert sorted(map(str, rotated), key=int) == [str(number) for number in range(2, CLIENTS // 5 + 2)]
    stored = await platform.admin.get(path_of(key))
    assert stored["latestVersion"] == len(items_of(stored, "versions")) == CLIENTS // 5 + 1
    for plaintext, ciphertext in sealed:
        opened = await call(platform.admin, key, "decrypt", ciphertext=ciphertext)
        assert opened["plaintext"] == plaintext


async def test_6_no_client_is_served_after_the_answer_to_disable(platform: PlatformApi) -> None:
    key = await make_key(platform.admin)
    disabled = trio.Event()
    late: list[int] = []
    limits = httpx.Limits(max_connections=CLIENTS)
    base = str(platform.admin.client.base_url)

    async def use_until_refused(api: Api) -> None:
        while True:
            was_disabled = disabled.is_set()
            response = await api.send("POST", path_of(key, "encrypt"), {"plaintext": "eA=="})
            if response.status_code == 400:
                return
            assert response.status_code == 200, response.text
            if was_disabled:
                late.append(response.status_code)

    async with (
        httpx.AsyncClient(base_url=base, trust_env=False, timeout=60, limits=limits) as client,
        trio.open_nursery() as nursery,
    ):
        api = Api(client, platform.admin.authorization)
        for _ in range(20):
            nursery.start_soon(use_until_refused, api)
        await call(platform.admin, key, "encrypt", plaintext="eA==")
        response = await platform.admin.send("POST", path_of(key, "disable"))
        assert response.status_code == 200
        disabled.set()
    assert late == []
