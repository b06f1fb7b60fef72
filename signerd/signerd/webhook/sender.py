"""One attempt to deliver: a POST over HTTP, with little time and no detours."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

import httpx
import trio

from signerd.webhook.address import AddressRefused, Place, find_place
from signerd.webhook.webhook import Webhook

_PASSING: Final = frozenset({408, 425, 429})  # of the 4xx: about now, not about the event
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
_MOST_RETRY_AFTER: Final = 3600
_MOST_REASON: Final = 200  # characters


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of an attempt.

    Attributes:
        reason: Why it failed; None if the event was delivered.
        is_refused: Whether the receiver is there and does not want this event, or this sender.
        retry_after: Seconds in which the receiver wants no more; 0 if it did not say.
    """

    reason: str | None = None
    is_refused: bool = False
    retry_after: int = 0


DELIVERED: Final = Verdict()


class Send(Protocol):
    """Makes an attempt."""

    async def __call__(self, webhook: Webhook, headers: Mapping[str, str], body: bytes) -> Verdict:
        """Post a body to a receiver."""
        ...


async def send_over_http(webhook: Webhook, headers: Mapping[str, str], body: bytes) -> Verdict:
    """Post a body to a receiver.

    Its name is looked up once, and what it leads to is checked. Certificates are checked, redirects are not
    followed, proxies not used. What the receiver says besides its status is not read.
    """
    try:
        with trio.fail_after(webhook.timeout_seconds):  # for all of it: the library's own is for each step
            return await _post(webhook, headers, body)
    except trio.TooSlowError:
        return Verdict(f"no answer within {webhook.timeout_seconds:g} s")
    except AddressRefused as error:
        return Verdict(str(error)[:_MOST_REASON])
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
        return Verdict(_explain(error)[:_MOST_REASON])


def _explain(error: BaseException) -> str:
    """Give the name of an error, and the words of the first of its causes that has any."""
    name, link = type(error).__name__, error
    while not str(link) and (cause := link.__cause__ or link.__context__) is not None:
        link = cause
    return f"{name}: {link}".strip(": ")


async def _post(webhook: Webhook, headers: Mapping[str, str], body: bytes) -> Verdict:
    is_encrypted = urlsplit(webhook.url).scheme == "https"
    place = await find_place(webhook.url, allow_private=webhook.allow_private)
    # read each time, so that a new file counts without a restart
    verify = await trio.to_thread.run_sync(_open_tls, webhook) if is_encrypted else False
    seconds = webhook.timeout_seconds
    timeout = httpx.Timeout(seconds, connect=seconds / len(place.addresses))
    async with httpx.AsyncClient(
        verify=verify, timeout=timeout, follow_redirects=False, trust_env=False
    ) as client:
        for address in place.addresses[:-1]:
            try:
                return await _post_to(client, webhook.url, place, address, headers, body)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue  # nothing was sent: the next one may answer
        return await _post_to(client, webhook.url, place, place.addresses[-1], headers, body)


async def _post_to(
    client: httpx.AsyncClient,
    url: str,
    place: Place,
    address: str,
    headers: Mapping[str, str],
    body: bytes,
) -> Verdict:
    extensions = {} if place.is_literal else {"sni_hostname": place.host}  # the certificate is for the name
    async with client.stream(
        "POST",
        httpx.URL(url).copy_with(host=address),
        content=body,
        headers={"Host": place.authority, **headers},
        extensions=extensions,
    ) as response:
        return judge(response.status_code, response.headers.get("Retry-After"))


def _open_tls(webhook: Webhook) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=webhook.ca_file)


def judge(status: int, retry_after: str | None) -> Verdict:
    """Say what a status means for an event.

    Args:
        status: Of the response.
        retry_after: Its header, if there was one; only a number of seconds counts.
    """
    if 200 <= status < 300:
        return DELIVERED
    reason = f"status {status}"
    if 300 <= status < 400:
        return Verdict(f"{reason}: redirects are not followed", is_refused=True)
    wait = int(retry_after) if retry_after and _SECONDS.fullmatch(retry_after) else 0
    return Verdict(
        reason,
        is_refused=400 <= status < 500 and status not in _PASSING,
        retry_after=min(wait, _MOST_RETRY_AFTER),
    )
