"""The admin API with its sockets, as the configuration wants it."""

import logging
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Final

import trio

from signerd.api.application import AdminParts, ApiOptions, list_endpoints, make_application
from signerd.api.client_address import ClientAddresses
from signerd.api.connection import Timeouts
from signerd.api.metrics import ApiMetrics
from signerd.api.openapi import make_document
from signerd.api.rate_limit import Rate, Rates
from signerd.api.reply import JsonValue
from signerd.api.route import AnyEndpoint
from signerd.api.server import ServerOptions, bind_admin, serve_admin
from signerd.api.server_metrics import ServerCollector, ServerFigures
from signerd.api.tls import ReloadableTls, TlsFiles, TlsRefused
from signerd.api_zones import make_offline_zones
from signerd.clock import SystemClock
from signerd.config.options import Admin, Config
from signerd.control.line_server import bind_unix
from signerd.control.listen_address import ListenAddress
from signerd.custody import CustodyHolder
from signerd.dnssec_desk import DnssecDesk
from signerd.platform.client_certificate import CertifiedIdentity
from signerd.platform_parts import make_admin_parts

logger = logging.getLogger(__name__)

SOCKET_MODE: Final = 0o600
_BURST: Final = 2.0  # seconds' worth of requests that may come at once


async def start_admin(
    nursery: trio.Nursery,
    parts: AdminParts,
    options: Admin,
    find_figures: Callable[[], ServerFigures] = ServerFigures,
) -> ListenAddress | None:
    """Start serving in a nursery.

    Args:
        nursery: Runs the server until it is cancelled.
        parts: What the API asks.
        options: From the configuration.
        find_figures: Gives what `/metrics` shows besides the requests.

    Returns:
        The address; None if it cannot be served on, which is logged: answering and signing go on without it.
    """
    try:
        tls = await trio.to_thread.run_sync(_open_tls, options)
    except TlsRefused as error:
        logger.error("no admin API: %s", error)
        return None
    metrics = ApiMetrics()
    metrics.registry.register(ServerCollector(find_figures))
    addresses = ClientAddresses(options.trusted_proxies)
    application = make_application(
        parts,
        options=ApiOptions(_make_rates(options), addresses, metrics, options.metrics_token),
    )
    server = ServerOptions(
        timeouts=Timeouts(options.idle_timeout, options.header_timeout, options.write_timeout),
        max_connections=options.max_connections,
        max_connections_per_address=options.max_connections_per_address,
        is_proxy=addresses.is_trusted,
        tls=tls,
        metrics=metrics,
    )
    try:
        sock = bind_admin(options.listen)
    except OSError as error:
        logger.error("no admin API: cannot bind %s: %s", options.listen, error.strerror)
        return None
    address: ListenAddress = await nursery.start(serve_admin, application, sock, server)
    if options.socket is not None:
        plain = ServerOptions(
            timeouts=server.timeouts, max_connections=options.max_connections, metrics=metrics
        )
        try:
            unix = bind_unix(options.socket, SOCKET_MODE)
        except OSError as error:
            logger.error("no admin API on %s: %s", options.socket, error.strerror)
        else:
            await nursery.start(serve_admin, application, unix, plain)
    return address


def list_certified(options: Admin) -> list[CertifiedIdentity]:
    """Say who is known by a certificate of the connection."""
    return [
        CertifiedIdentity(
            known.name, known.fingerprint, known.user, known.service_account, known.organisation
        )
        for known in options.client_identities
    ]


def _open_tls(options: Admin) -> ReloadableTls | None:
    if options.certificate is None or options.key is None:
        return None
    return ReloadableTls(TlsFiles(options.certificate, options.key, options.client_authorities))


def _make_rates(options: Admin) -> Rates:
    rates = options.rates
    return Rates(
        *(
            Rate(per_second, per_second * _BURST)
            for per_second in (rates.address, rates.credential, rates.organisation, rates.expensive)
        )
    )


def list_calls() -> Sequence[AnyEndpoint]:
    """Give all calls of the API; they cannot be made, for want of a database."""

    class Unready:
        def list_reasons(self) -> Sequence[str]:
            return ["there is no server"]

    config, clock = Config(), SystemClock()
    holder = CustodyHolder(config, clock)
    served = make_offline_zones(config, holder)
    dnssec = DnssecDesk(holder, config.dnssec, lambda _: None)
    return list_endpoints(make_admin_parts(holder, clock, config.kms, Unready(), served, dnssec))


def make_document_offline() -> dict[str, JsonValue]:
    """Make the OpenAPI document without a server."""
    return make_document(list_calls(), version("signerd"))
