"""Signatures by a key of the KMS, checked as WEBHOOKS.md tells receivers to."""

import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import cast

import pytest

from deployment import Deployment, make_deployment
from signerd.webhook.message import make_headers, make_signed_octets
from signerd.webhook.signing_key import WebhookKeyRefused, WebhookKeys
from signerd_kms.attribution import NOBODY
from signerd_kms.errors import ExportNotAllowed, KeyUnknown, Sealed
from signerd_kms.key import KeyIdentity, KeyType, Scope

PAGE = Path(__file__).parents[3] / "signerd" / "WEBHOOKS.md"
NOW = 1_800_000_000
BODY = b'{"id":"evt-1"}'
Secrets = dict[tuple[str, int], str]
IsGenuine = Callable[..., bool]


def read_example() -> IsGenuine:
    """Take the function for receivers out of the page."""
    [text] = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(text, names)  # noqa: S102  # an example of this project
    return cast("IsGenuine", names["is_genuine"])


is_genuine = read_example()


@pytest.fixture
def deployment(tmp_path: Path) -> Generator[Deployment]:
    with make_deployment(tmp_path) as made:
        yield made


@pytest.fixture
def scope(deployment: Deployment) -> Scope:
    return Scope(deployment.platform.organisation, deployment.platform.region)


@pytest.fixture
def keys(deployment: Deployment, scope: Scope) -> WebhookKeys:
    return WebhookKeys(lambda: (deployment.kms, scope))


def sign(keys: WebhookKeys, reference: str = "signerd webhooks") -> dict[str, str]:
    signature = keys.sign(reference, make_signed_octets(NOW, BODY))
    return dict(make_headers("evt-1", NOW, signature, "signerd/test"))


def give_secret(keys: WebhookKeys, version: int | None = None) -> Secrets:
    identity, exported = keys.export("signerd webhooks", version, NOBODY)
    return {(identity, exported.version): exported.text}


def test_the_key_is_made_once_and_its_secret_checks_the_signature(
    keys: WebhookKeys, deployment: Deployment, scope: Scope
) -> None:
    headers = sign(keys)
    again = sign(keys)
    assert again == headers
    [key] = deployment.kms.list_keys(scope)
    assert (key.name, key.key_type, key.export_allowed) == ("signerd webhooks", KeyType.HMAC_SHA256, True)
    assert headers["Signerd-Signature"].startswith(f"t={NOW},key={key.identity},version=1,v1=")
    assert is_genuine(headers, BODY, give_secret(keys), now=NOW + 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("v1=", "v1=0"),
        (f"t={NOW}", f"t={NOW + 1}"),
        ("version=1", "version=2"),
        ("key=", "key=x"),
        (",", ";"),
        (f"t={NOW}", "t=soon"),
    ],
)
def test_a_header_that_was_changed_does_not_pass(keys: WebhookKeys, old: str, new: str) -> None:
    headers = sign(keys)
    changed = {**headers, "Signerd-Signature": headers["Signerd-Signature"].replace(old, new, 1)}
    assert changed != headers
    assert not is_genuine(changed, BODY, give_secret(keys), now=NOW)


def test_a_body_that_was_changed_an_old_event_and_another_secret_do_not_pass(keys: WebhookKeys) -> None:
    headers, secrets = sign(keys), give_secret(keys)
    assert not is_genuine(headers, BODY + b" ", secrets, now=NOW)
    assert not is_genuine(headers, BODY, secrets, now=NOW + 301)
    assert not is_genuine(headers, BODY, dict.fromkeys(secrets, "AAAA"), now=NOW)
    assert not is_genuine({}, BODY, secrets, now=NOW)


def test_the_kms_itself_can_check(keys: WebhookKeys, deployment: Deployment, scope: Scope) -> None:
    signature = keys.sign("signerd webhooks", make_signed_octets(NOW, BODY))
    mac = deployment.kms.mac(scope, KeyIdentity(signature.key), make_signed_octets(NOW, BODY), by=NOBODY)
    assert mac.octets == signature.octets
    verdict = deployment.kms.verify_mac(
        scope, KeyIdentity(signature.key), make_signed_octets(NOW, BODY), mac.text, by=NOBODY
    )
    assert verdict.is_valid


def test_after_a_rotation_events_name_the_new_version(
    keys: WebhookKeys, deployment: Deployment, scope: Scope
) -> None:
    before = sign(keys)
    [key] = deployment.kms.list_keys(scope)
    deployment.kms.rotate(scope, key.identity, by=NOBODY)
    after = sign(keys)
    both = {**give_secret(keys, 1), **give_secret(keys)}
    assert ",version=2," in after["Signerd-Signature"]
    assert is_genuine(before, BODY, both, now=NOW)
    assert is_genuine(after, BODY, both, now=NOW)
    assert not is_genuine(after, BODY, give_secret(keys, 1), now=NOW)


def test_a_key_of_the_operator_may_be_one_that_is_never_given_out(
    keys: WebhookKeys, deployment: Deployment, scope: Scope
) -> None:
    key = deployment.kms.create_key(scope, "own", KeyType.HMAC, by=NOBODY)
    assert f"key={key.identity}," in sign(keys, key.identity)["Signerd-Signature"]
    assert f"key={key.identity}," in sign(keys, "own")["Signerd-Signature"]
    with pytest.raises(ExportNotAllowed):
        keys.export("own", None, NOBODY)


def test_keys_that_do_not_do_are_refused(keys: WebhookKeys, deployment: Deployment, scope: Scope) -> None:
    deployment.kms.create_key(scope, "rsa", KeyType.ECDSA_P256, by=NOBODY)
    with pytest.raises(WebhookKeyRefused, match="of type ecdsa-p256; hmac or hmac-sha256 is needed"):
        sign(keys, "rsa")
    key = deployment.kms.create_key(scope, "off", KeyType.HMAC, by=NOBODY)
    deployment.kms.disable(scope, key.identity, by=NOBODY)
    with pytest.raises(WebhookKeyRefused, match="disabled"):
        sign(keys, "off")
    with pytest.raises(WebhookKeyRefused, match="too much like"):
        sign(keys, "OFF")
    with pytest.raises(KeyUnknown):
        sign(keys, "kms-" + "0" * 20)


def test_a_sealed_kms_signs_nothing(keys: WebhookKeys, deployment: Deployment) -> None:
    sign(keys)
    deployment.kms.seal()
    with pytest.raises(Sealed):
        sign(keys)
