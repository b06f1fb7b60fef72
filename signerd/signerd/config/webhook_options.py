"""Options of the webhooks: where events are sent."""

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from signerd.config.alarm_options import DAY, find_bad_codes
from signerd.config.section import Duration, Interval, Section, Text, impossible

StatedPath = Annotated[Path, Field(strict=False)]
MAX_URL: Final = 2000  # characters


class WebhookOptions(Section):
    """One receiver of events."""

    url: Annotated[str, Field(max_length=MAX_URL)]
    name: Text | None = None  # null: the host in the URL
    events: Annotated[tuple[str, ...], Field(strict=False, max_length=64)] = ()
    key: Text = "signerd webhooks"
    timeout: Annotated[Interval, Field(ge=0.1, le=60)] = 10.0
    max_attempts: Annotated[int, Field(ge=1, le=10_000)] = 100
    max_age: Annotated[Duration, Field(ge=60, le=30 * DAY)] = 3 * DAY
    max_waiting: Annotated[int, Field(ge=1, le=100_000)] = 1000
    allow_http: bool = False
    allow_private: bool = False
    ca_file: StatedPath | None = None

    @field_validator("events")
    @classmethod
    def _check_events(cls, prefixes: tuple[str, ...]) -> tuple[str, ...]:
        if problems := find_bad_codes(prefixes):
            raise impossible(problems)
        return prefixes

    @model_validator(mode="after")
    def _check_url(self) -> Self:
        if (reason := _explain_bad_url(self.url, allow_http=self.allow_http)) is not None:
            raise impossible([(("url",), reason)])
        if self.ca_file is not None and urlsplit(self.url).scheme != "https":
            raise impossible([(("ca_file",), "is for https only, and the URL begins with http")])
        return self

    @property
    def title(self) -> str:
        """Its name, stated or not."""
        return self.name or urlsplit(self.url).hostname or self.url


def find_repeated_webhooks(
    webhooks: Sequence[WebhookOptions],
) -> list[tuple[tuple[str | int, ...], str]]:
    """Find webhooks of the same name: path of each and what to do."""
    problems: list[tuple[tuple[str | int, ...], str]] = []
    seen: dict[str, int] = {}
    for index, webhook in enumerate(webhooks):
        first = seen.setdefault(webhook.title, index)
        if first != index:
            how = "state another" if webhook.name else "state a name"
            reason = f"has the name {webhook.title!r} of webhooks[{first}]; {how}"
            problems.append(((index, "name") if webhook.name else (index,), reason))
    return problems


def _explain_bad_url(url: str, *, allow_http: bool) -> str | None:
    if not url.isascii() or not url.isprintable() or " " in url:
        return "holds characters that no URL has; write them as %XX, and a host name in ASCII"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"{url!r} is no URL: {error}"
    if parts.scheme not in ("https", "http") or not host:
        return f"{url!r} is no https URL, such as https://alarms.example.net/signerd"
    if parts.username is not None or parts.password is not None:
        return "holds a user or a password, which would be in logs; the receiver knows us by the signature"
    if parts.fragment:
        return "holds a fragment (#), which is never sent"
    if parts.scheme == "http" and not (allow_http or _is_loopback(host)):
        return "is not https, so others could read and suppress events; `allow_http: true` accepts that"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
