"""`GET /v1/kms/summary`: where the KMS can be used, and how many keys there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import trio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from signerd.api.authentication import (
    Caller,
    Organisation,
    OrganisationDirectory,
    TokenVerifier,
    identify_caller,
)


@dataclass(frozen=True, slots=True)
class RegionSummary:
    """One region of the deployment; the counts are of the organisation's keys in it."""

    identity: str
    name: str
    slug: str
    is_kms_available: bool
    total_keys: int
    active_keys: int
    disabled_keys: int
    pending_deletion_keys: int


@dataclass(frozen=True, slots=True)
class KmsSummary:
    """What an organisation can do with the KMS."""

    is_feature_enabled: bool
    regions: Sequence[RegionSummary]


class SummarySource(Protocol):
    """Counts keys. Called in a worker thread, so it may block."""

    def summarise(self, organisation: Organisation) -> KmsSummary:
        """Give the summary for an organisation."""
        ...


class KmsSummaryEndpoint:
    """Answers the call."""

    def __init__(
        self, source: SummarySource, tokens: TokenVerifier, organisations: OrganisationDirectory
    ) -> None:
        self._source = source
        self._tokens = tokens
        self._organisations = organisations

    async def get(self, request: Request) -> Response:
        """Answer; needs a member of the organisation but no right on any key."""
        caller: Caller = await identify_caller(request, self._tokens, self._organisations)
        summary = await trio.to_thread.run_sync(self._source.summarise, caller.organisation)
        # With the feature off the call still succeeds and lists nothing, unlike all other calls of the KMS.
        regions = summary.regions if summary.is_feature_enabled else ()
        return JSONResponse(
            {
                "featureEnabled": summary.is_feature_enabled,
                "regions": [_render_region(region) for region in regions],
            }
        )


def _render_region(region: RegionSummary) -> dict[str, str | bool | int]:
    return {
        "identity": region.identity,
        "name": region.name,
        "slug": region.slug,
        "kmsAvailable": region.is_kms_available,
        "totalKeys": region.total_keys,
        "activeKeys": region.active_keys,
        "disabledKeys": region.disabled_keys,
        "pendingDeletionKeys": region.pending_deletion_keys,
    }
