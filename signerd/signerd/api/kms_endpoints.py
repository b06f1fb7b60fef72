"""All calls of the KMS but the summary."""

from signerd.api.kms_backend import OpenKms
from signerd.api.kms_encryption import list_encryption_endpoints
from signerd.api.kms_export import list_export_endpoints
from signerd.api.kms_keys import list_key_endpoints
from signerd.api.kms_signing import list_signing_endpoints
from signerd.api.route import Endpoint


def list_kms_endpoints(open_kms: OpenKms) -> list[Endpoint]:
    """Give the calls."""
    return [
        *list_key_endpoints(open_kms),
        *list_encryption_endpoints(open_kms),
        *list_signing_endpoints(open_kms),
        *list_export_endpoints(open_kms),
    ]
