"""Key sets of identity providers: given, or fetched and kept for a while."""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from signerd.platform.https_fetch import FetchFailed
from signerd.platform.identity_provider import IdentityProvider
from signerd.platform.json_web_key import BadKeySet, JsonWebKey, parse_key_set

FRESH_SECONDS: Final = 600  # how long a fetched key set is used without another look
RETRY_SECONDS: Final = 60  # how soon an unknown key id, or a failure, makes it look again
MAX_SETS: Final = 256  # bounds the memory
DISCOVERY_PATH: Final = "/.well-known/openid-configuration"

Fetch = Callable[[str], bytes]
"""Gives a document; raises FetchFailed."""


@dataclass(frozen=True, slots=True)
class _Kept:
    fetched_at: int
    keys: Sequence[JsonWebKey]
    failure: str | None = None


class IssuerKeys:
    """Finds the keys of providers. Safe to use from several threads; blocks."""

    def __init__(self, fetch: Fetch, now: Callable[[], int]) -> None:
        """Do nothing yet.

        Args:
            fetch: Gets documents from the Internet.
            now: Gives seconds since 1970, UTC.
        """
        self._fetch = fetch
        self._now = now
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()

    def load(
        self, provider: IdentityProvider, *, is_enough: Callable[[Sequence[JsonWebKey]], bool]
    ) -> Sequence[JsonWebKey]:
        """Give the keys of a provider.

        Args:
            provider: Whose.
            is_enough: Says if a kept set has what is needed; if not, and it is not from just now, it is
                fetched again: the provider may have a new key.

        Raises:
            FetchFailed: They cannot be had.
        """
        if provider.local_jwks:
            return _parse(provider.local_jwks)
        name = (provider.issuer, provider.jwks_uri)
        now = self._now()
        with self._lock:
            kept = self._kept.get(name)
        if kept is not None:
            age = now - kept.fetched_at
            if 0 <= age < RETRY_SECONDS and kept.failure is not None:
                raise FetchFailed(kept.failure)
            if 0 <= age < RETRY_SECONDS or (0 <= age < FRESH_SECONDS and is_enough(kept.keys)):
                return kept.keys
        try:
            fetched = _Kept(now, self._fetch_keys(provider))
        except FetchFailed as error:
            self._keep(name, _Kept(now, (), str(error)))
            raise
        self._keep(name, fetched)
        return fetched.keys

    def _keep(self, name: tuple[str, str], kept: _Kept) -> None:
        with self._lock:
            self._kept[name] = kept
            self._kept.move_to_end(name)
            while len(self._kept) > MAX_SETS:
                self._kept.popitem(last=False)

    def _fetch_keys(self, provider: IdentityProvider) -> Sequence[JsonWebKey]:
        return _parse(self._fetch(provider.jwks_uri or self._discover(provider.issuer)))

    def _discover(self, issuer: str) -> str:
        """Find where an issuer publishes its keys (OpenID Connect Discovery 1.0, section 4)."""
        document = self._fetch(issuer.rstrip("/") + DISCOVERY_PATH)
        try:
            content: object = json.loads(document)
        except (ValueError, RecursionError) as error:
            raise FetchFailed("the configuration of the issuer is no JSON") from error
        found = cast("dict[str, object]", content) if isinstance(content, dict) else {}
        address = found.get("jwks_uri")
        if found.get("issuer") != issuer or not isinstance(address, str):  # section 4.3
            raise FetchFailed("the configuration of the issuer is not its own, or names no keys")
        return address


def _parse(document: str | bytes) -> Sequence[JsonWebKey]:
    try:
        return parse_key_set(document)
    except BadKeySet as error:
        raise FetchFailed(str(error)) from error
