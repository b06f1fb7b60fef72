"""The API in the process of a command, for when no server runs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import httpx
import trio
from starlette.types import ASGIApp

from signerd.api.application import make_application
from signerd.api_zones import make_offline_zones
from signerd.cli.command_errors import CommandFailed
from signerd.cli.platform_client import Sender
from signerd.clock import SystemClock
from signerd.config.options import Config
from signerd.custody import CustodyHolder
from signerd.dnssec_desk import DnssecDesk
from signerd.local_access import LocalAccess
from signerd.platform_parts import make_admin_parts


class _AlwaysReady:
    def list_reasons(self) -> Sequence[str]:
        return ()


def make_local_sender(config: Config) -> Sender:
    """Build the API in this process, with all rights for whoever runs it: same rules, same audit."""
    clock = SystemClock()
    holder = CustodyHolder(config, clock)
    if not holder.open():
        raise CommandFailed(str(holder.reason))
    custody = holder.custody
    access = LocalAccess(custody.store, custody.kms, custody.derive_pepper)
    parts = replace(
        make_admin_parts(
            holder,
            clock,
            config.kms,
            _AlwaysReady(),
            make_offline_zones(config, holder),
            DnssecDesk(holder, config.dnssec, lambda _: None),  # told at the next start by the rows
        ),
        access=access,
    )
    application = make_application(parts)

    def send(method: str, path: str, headers: Mapping[str, str], body: object | None) -> httpx.Response:
        try:
            return trio.run(_send_locally, application, method, path, headers, body)
        finally:
            holder.close()  # the next call opens it again

    return send


async def _send_locally(
    application: ASGIApp, method: str, path: str, headers: Mapping[str, str], body: object | None
) -> httpx.Response:
    transport = httpx.ASGITransport(application, client=("local", 0))
    authorised = {**headers, "Authorization": "Token local"}
    async with httpx.AsyncClient(transport=transport, base_url="http://local") as client:
        return await client.request(method, path, headers=authorised, json=body)
