"""Security checklist: log and metrics carry no plaintext, token, associated data, key or path of a secret."""

import base64
import json
import re
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from daemon_process import DaemonProcess, run_daemon
from platform_api import items_of, read_object, text_of
from signerd.admin_server import list_calls
from signerd.api.route import Endpoint

MARK = "Zq7Leak"
METRICS_TOKEN = f"{MARK}-metrics-token"
PATH = f"/{MARK}-path/{MARK}-name"
KEYS = "/v1/kms/nl-01/keys"
SECRETS = "/v1/secrets/nl-01"
MEMBERS = ("name", "path", "plaintext", "input", "secretString", "description", "token")


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def find_bits(text: str) -> set[str]:
    """Give the spellings that a value may have in a log: itself, base64 at each offset, hexadecimal."""
    octets = text.encode()
    shifted = [base64.b64encode(bytes(offset) + octets).decode()[4:-4] for offset in range(3)]
    return {text, octets.hex(), *(part for part in shifted if len(part) >= 8)}


@pytest.fixture
def daemon(tmp_path: Path) -> Generator[DaemonProcess]:
    token_file = tmp_path / "metrics.token"
    token_file.write_text(METRICS_TOKEN + "\n")
    token_file.chmod(0o600)
    with run_daemon(
        tmp_path,
        {},
        "region: {slug: nl-01}\nresponders: {count: 1}\nlog: {level: info, format: json}\n",
        admin_options=f"  metrics_token: {json.dumps(str(token_file))}\n",
    ) as running:
        yield running


class Tour:
    """Goes through all calls, and remembers everything that must not be said elsewhere."""

    def __init__(self, client: httpx.Client, token: str) -> None:
        self._client = client
        self._headers = {"Authorization": f"Token {token}", "X-Organisation-Identity": "local"}
        self.secrets = {MARK, token, token.rpartition("_")[0]}
        self.actions: set[str] = set()

    def send(self, method: str, path: str, body: object | None = None, **headers: str) -> httpx.Response:
        response = self._client.request(method, path, json=body, headers={**self._headers, **headers})
        assert response.status_code != 500, response.text
        return response

    def use_keys(self) -> None:
        made = self.send("POST", KEYS, {"name": "tour", "exportAllowed": True})
        key = f"{KEYS}/{text_of(read_object(made, 201), 'identity')}"
        aad = encode(f"{MARK}-aad")
        body = {"plaintext": encode(f"{MARK}-plaintext"), "associatedData": aad}
        ciphertext = text_of(read_object(self.send("POST", f"{key}/encrypt", body), 200), "ciphertext")
        self.secrets.add(ciphertext.rpartition(":")[2])
        for given in (aad, encode(f"{MARK}-other"), f"{MARK}!"):
            self.send("POST", f"{key}/decrypt", {"ciphertext": ciphertext, "associatedData": given})
        data_key = read_object(self.send("POST", f"{key}/datakey", {}), 200)
        self.secrets |= {text_of(data_key, "plaintext"), text_of(data_key, "ciphertext").rpartition(":")[2]}
        exported = read_object(self.send("POST", f"{key}/export", {}), 200)
        self.secrets.add(text_of(exported, "keyMaterial"))
        self.send("POST", KEYS, {"name": "imported", "importKeyMaterial": encode(f"{MARK}-material")})

    def use_secrets(self) -> None:
        key = read_object(self.send("POST", KEYS, {"name": "secrets"}), 201)["identity"]
        body = {"path": PATH, "kmsKeyIdentity": key, "secretString": encode(f"{MARK}-value")}
        assert self.send("POST", f"{SECRETS}/secrets", body).status_code == 201
        one = f"{SECRETS}/secret{PATH}"
        assert self.send("POST", f"{one}/versions", {"secretKeyValues": {"a": MARK}}).status_code == 201
        assert self.send("POST", f"{one}/versions", {"generateSecret": {}}).status_code == 201
        revealed = read_object(self.send("POST", f"{one}/value"), 200)
        self.secrets.add(text_of(revealed, "secretString"))
        for method, path in (
            ("GET", one),
            ("GET", f"{one}-not-there"),
            ("DELETE", f"{one}/versions?version=1"),
        ):
            self.send(method, path)
        self.send("POST", f"{KEYS}/{key}/disable")
        assert self.send("POST", f"{one}/value").status_code == 400
        self.send("PUT", f"{one}/policy", {"accessPolicy": {"statements": [{"effect": "Deny"}]}})
        assert self.send("POST", f"{one}/value").status_code == 403

    def use_credentials(self) -> None:
        account = read_object(self.send("POST", "/v1/service-accounts", {"name": "tour"}), 201)["identity"]
        made = self.send("POST", f"/v1/service-accounts/{account}/access-credentials", {"name": "tour"})
        pair = read_object(made, 201)
        access_key, secret = text_of(pair, "accessKey"), text_of(pair, "accessSecret")
        form = {"grant_type": "client_credentials", "client_id": access_key, "client_secret": secret}
        token = text_of(read_object(self._client.post("/oidc/token", data=form), 200), "access_token")
        self._client.post("/oidc/token", data={**form, "client_secret": MARK})
        self._client.post("/oidc/token", data={"grant_type": MARK, "subject_token": MARK})
        personal = text_of(read_object(self.send("POST", "/v1/me/tokens", {"name": "tour"}), 201), "token")
        self.secrets |= {secret, token, personal}
        for scheme in ("Bearer", "Token", "Basic"):
            self.send("GET", "/v1/regions", Authorization=f"{scheme} {MARK}")
            self.send("GET", "/v1/regions", Authorization=f"{scheme} {encode(f'{MARK}:{MARK}')}")

    def try_every_call(self) -> None:
        """Make each call of the API once, with marks wherever a caller can put something."""
        for endpoint in list_calls():
            self.actions.add(endpoint.action)
            path = re.sub(r"\{\w+(\.\.\.)?\}", MARK, endpoint.pattern.replace("{region}", "nl-01"))
            body = dict.fromkeys(
                ("name", "path", "plaintext", "input", "secretString", "description", "token"), MARK
            )
            is_read = endpoint.method in ("GET", "DELETE")
            self.send(endpoint.method, f"{path}?cursor={MARK}&name={MARK}", None if is_read else body)
            if isinstance(endpoint, Endpoint) and not is_read:
                self.send(endpoint.method, path, [MARK])


def test_no_call_puts_a_secret_into_the_log_or_the_metrics(daemon: DaemonProcess) -> None:
    report = daemon.status()
    assert report is not None
    port = str(report["admin"]).rpartition("@")[2]
    token = (daemon.state / "admin.token").read_text().strip()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
        tour = Tour(client, token)
        tour.use_keys()
        tour.use_secrets()
        tour.use_credentials()
        tour.try_every_call()
        entries = items_of(read_object(tour.send("GET", "/v1/audit?limit=1000"), 200), "items")
        metrics = client.get("/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
        assert metrics.status_code == 200
        assert client.get("/metrics", headers={"Authorization": f"Bearer {MARK}"}).status_code == 401
    daemon.stop()

    assert len(entries) > 100, "the tour came far"
    labels = set(re.findall(r'action="([^"]*)"', metrics.text))
    assert labels <= tour.actions | {"none"}, "label values come from a closed set"
    assert "kms:Encrypt" in labels
    for secret in tour.secrets:
        for bit in find_bits(secret):
            assert bit not in daemon.log
            assert bit not in metrics.text
    said = json.dumps(entries)
    for secret in tour.secrets - {MARK}:
        assert secret not in said, "nor does the audit hold a value or credential"
