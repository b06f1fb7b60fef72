"""The OpenAPI document matches reality: schemathesis asks every call, and looks at the answers."""

# The types of schemathesis are unknown in part.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false

import random
import threading
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
import trio
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api_server import serve
from deployment import Deployment, make_deployment
from platform_api import PlatformApi
from signerd.admin_server import list_calls, make_document_offline
from signerd.api.application import list_endpoints, make_application
from signerd.api.openapi import PATH, make_document
from signerd.api.route import Endpoint, RouteTable
from signerd.control.listen_address import ListenAddress
from signerd_kms.attribution import NOBODY
from signerd_kms.key import KeyType, Scope

SECONDS: Final = 40  # for all of it; every call is asked at least once
EXAMPLES: Final = 6  # of each call
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with make_deployment(tmp_path) as deployment:
        yield deployment


class ServerThread:
    """The API in a thread of its own, for a client that is not asynchronous."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._ready = threading.Event()
        self._address: ListenAddress | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._stop = trio.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._serve,))

    async def _serve(self) -> None:
        async with serve(make_application(self._deployment.admin_parts)) as self._address:
            self._token = trio.lowlevel.current_trio_token()
            self._ready.set()
            await self._stop.wait()

    def start(self) -> str:
        self._thread.start()
        assert self._ready.wait(10)
        assert self._address is not None
        return f"http://127.0.0.1:{self._address.port}"

    def stop(self) -> None:
        assert self._token is not None
        self._token.run_sync_soon(self._stop.set)
        self._thread.join(10)


def test_every_call_has_an_action_and_stands_in_the_document_once() -> None:
    document = make_document_offline()
    paths = document["paths"]
    assert isinstance(paths, dict)
    calls = list_calls()
    assert len(calls) > 60
    for call in calls:
        assert call.action.partition(":")[2], call.pattern
        assert call.summary
        described = paths[call.pattern.replace("...", "")]
        assert isinstance(described, dict)
        operation = described[call.method.lower()]
        assert isinstance(operation, dict)
        assert operation["x-action"] == call.action
    RouteTable(calls)


async def test_the_document_is_answered_twice_alike(platform: PlatformApi) -> None:
    document = make_document(list_endpoints(platform.deployment.admin_parts), version("signerd"))
    headers = {"Authorization": f"Token {platform.deployment.token}"}
    for _ in range(2):
        response = await platform.admin.client.get(PATH, headers=headers)
        assert response.json() == document


def test_calls_that_change_something_are_no_get_and_have_own_actions() -> None:
    kms = [
        call for call in list_calls() if isinstance(call, Endpoint) and call.pattern.startswith("/v1/kms/")
    ]
    actions = [call.action for call in kms]
    assert {"kms:Encrypt", "kms:Decrypt", "kms:Sign", "kms:Export", "kms:Rotate"} <= set(actions)
    assert len(actions) == len(set(actions))


@pytest.mark.long
def test_no_call_gives_a_500_or_what_the_document_does_not_know(deployment: Deployment) -> None:
    scope = Scope(deployment.platform.organisation, deployment.platform.region)
    keys = [
        deployment.kms.create_key(scope, f"key {kind}", KeyType(kind), by=NOBODY).identity
        for kind in ("aes256-gcm96", "ecdsa-p256", "hmac")
    ]
    schema = schemathesis.openapi.from_dict(make_document_offline())
    headers = {"Authorization": f"Token {deployment.token}", "X-Organisation-Identity": "local-test"}
    chooser = random.Random(1)
    asked: dict[str, list[int]] = {}
    deadline = time.monotonic() + SECONDS
    server = ServerThread(deployment)
    base_url = server.start()
    try:
        for found in schema.get_all_operations():
            assert isinstance(found, Ok), found
            operation = found.ok()
            statuses = asked.setdefault(operation.label, [])

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            )
            @given(case=operation.as_strategy())
            def ask(case: schemathesis.Case[Any]) -> None:
                if statuses and time.monotonic() > deadline:  # noqa: B023  # runs in the loop
                    return
                if "region" in case.path_parameters and chooser.random() < 0.9:
                    case.path_parameters["region"] = "nl-01"
                if "key" in case.path_parameters and chooser.random() < 0.8:
                    case.path_parameters["key"] = chooser.choice(keys)
                case.headers.pop("X-Project-Identity", None)
                response = case.call(base_url=base_url, headers=headers)
                statuses.append(response.status_code)  # noqa: B023
                case.validate_response(response, checks=CHECKS)

            ask()
    finally:
        server.stop()
    assert len(asked) == len(list_calls())
    assert all(asked.values())
    good = [label for label, statuses in asked.items() if any(status < 300 for status in statuses)]
    assert len(good) > len(asked) // 5  # the calls were reached, not only their checks
