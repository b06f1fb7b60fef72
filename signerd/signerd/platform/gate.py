"""Features that an organisation has or has not."""

from enum import StrEnum


class Gate(StrEnum):
    """A feature; the value is what the contract, the configuration and the database call it."""

    KMS = "kms"
    SECRETS = "secrets"
    DNS = "dns"
    PROJECTS = "projects"
