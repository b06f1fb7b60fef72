"""What depends on a key is shown while the key is pending deletion, an extension of kms.md 5."""

from kms_api import make_key, path_of
from platform_api import PlatformApi, read_object, text_of
from signerd_kms.attribution import NOBODY
from signerd_kms.key import KeyIdentity, Scope


async def test_extension_what_depends_on_a_key_is_shown_while_it_is_pending_deletion(
    platform: PlatformApi,
) -> None:
    admin, kms = platform.admin, platform.deployment.kms
    key = await make_key(admin, "ksk", keyType="ecdsa-p256")
    scope = Scope(platform.deployment.platform.organisation, platform.deployment.platform.region)
    kms.bind_zone(scope, KeyIdentity(text_of(key, "identity")), b"\x07example\x03com\x00", by=NOBODY)
    assert "dependents" not in await admin.get(path_of(key))
    deleted = read_object(await admin.send("DELETE", path_of(key)), 200)
    assert deleted["dependents"] == [{"type": "dns_zone", "name": "example.com"}]
    assert await admin.get(path_of(key)) == deleted


async def test_extension_secrets_bound_to_a_key_are_dependents_as_far_as_the_caller_may_read_them(
    platform: PlatformApi,
) -> None:
    admin = platform.admin
    key, other = await make_key(admin, "bound"), await make_key(admin, "other")
    for path, bound_to in (("/b", key), ("/a/c", key), ("/d", other)):
        body = {"path": path, "kmsKeyIdentity": bound_to["identity"], "secretString": "eA=="}
        await admin.create("/v1/secrets/nl-01/secrets", body)
    deleted = read_object(await admin.send("DELETE", path_of(key)), 200)
    assert deleted["dependents"] == [{"type": "secret", "name": "/a/c"}, {"type": "secret", "name": "/b"}]
    assert await admin.get(path_of(key)) == deleted
    member = platform.add_member("reader")
    await platform.grant("keys", ["read"], ["kms_key"], userIdentity=member.subject)
    reader = admin.as_token(member.token)
    assert "dependents" not in await reader.get(path_of(key))
    await platform.grant("one", ["read"], ["secret"], ["/a/*"], userIdentity=member.subject)
    assert (await reader.get(path_of(key)))["dependents"] == [{"type": "secret", "name": "/a/c"}]
