"""`GET /v1/kms/summary`: where the KMS can be used, and how many keys there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from signerd.api.call import Call
from signerd.api.reply import Reply
from signerd.api.route import Endpoint
from signerd.api.wire import WireModel
from signerd.platform.principal import Organisation, Project


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

    def summarise(self, organisation: Organisation, project: Project | None) -> KmsSummary:
        """Give the summary for what is in an organisation and, if one is active, a project."""
        ...


class RegionSummaryBody(WireModel):
    """One region in the answer."""

    identity: str
    name: str
    slug: str
    kms_available: bool
    total_keys: int
    active_keys: int
    disabled_keys: int
    pending_deletion_keys: int


class KmsSummaryBody(WireModel):
    """The answer."""

    feature_enabled: bool
    regions: list[RegionSummaryBody]


def list_summary_endpoints(source: SummarySource) -> list[Endpoint]:
    """Give the call; it needs a member of the organisation but no right on any key."""

    def get_summary(call: Call) -> Reply:
        summary = source.summarise(call.organisation, call.project)
        # With the feature off the call still succeeds and lists nothing, unlike all other calls of the KMS.
        regions = summary.regions if summary.is_feature_enabled else ()
        return Reply(
            body={
                "featureEnabled": summary.is_feature_enabled,
                "regions": [_render_region(region) for region in regions],
            }
        )

    return [
        Endpoint(
            "GET",
            "/v1/kms/summary",
            get_summary,
            action="kms:Summary",
            summary="Where the KMS can be used, and how many keys there are",
            response=KmsSummaryBody,
        )
    ]


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
