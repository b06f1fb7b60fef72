"""Access credentials: access key and secret of a service account, for Basic and the token endpoint."""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from signerd.platform.api_token import revoke_children, start_of_day
from signerd.platform.change import Change
from signerd.platform.errors import CredentialRefused, InvalidValue, ObjectUnknown
from signerd.platform.iam_tables import access_credentials
from signerd.platform.json_column import dump_list, load_list
from signerd.platform.scopes import check_scopes
from signerd.platform.secret_text import ID_LENGTH, SECRET_LENGTH, Pepper, append_crc, compute_mac, new_text
from signerd_kms.identity import new_identity

NOUN: Final = "access credential"
RESOURCE_TYPE: Final = "access_credential"
MAX_NAME_CHARACTERS: Final = 255
MAX_SECRET_CHARACTERS: Final = 512  # protects against hashing whatever somebody sends


@dataclass(frozen=True, slots=True)
class AccessCredential:
    """What is known of a credential; never its secret. Times are seconds since 1970, UTC."""

    organisation: str
    identity: str
    service_account: str
    name: str
    description: str
    access_key: str
    scopes: Sequence[str]
    created_at: int
    expires_at: int | None
    last_used_on: int | None


def list_access_credentials(
    connection: Connection, organisation: str, service_account: str
) -> list[AccessCredential]:
    """List the credentials of a service account."""
    rows = connection.execute(
        select(access_credentials)
        .where(
            access_credentials.c.organisation == organisation,
            access_credentials.c.service_account == service_account,
        )
        .order_by(access_credentials.c.created_at, access_credentials.c.identity)
    )
    return [_read(row) for row in rows.mappings()]


def create_access_credential(
    change: Change,
    pepper: Pepper,
    organisation: str,
    service_account: str,
    *,
    name: str,
    description: str = "",
    expires_at: int | None = None,
    scopes: Iterable[str] = (),
) -> tuple[AccessCredential, str]:
    """Make a credential.

    Returns:
        The credential, and its secret, which cannot be had again.

    Raises:
        InvalidValue: The name is empty or too long, the expiry is past, or a scope is unknown.
    """
    if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise InvalidValue("name", f"must have 1 to {MAX_NAME_CHARACTERS} printable characters")
    if expires_at is not None and expires_at <= change.now:
        raise InvalidValue("expiresAt", "is past")
    made = AccessCredential(
        organisation,
        new_identity("ac"),
        service_account,
        name,
        description,
        new_identity("ak"),
        check_scopes("scopes", scopes),
        change.now,
        expires_at,
        None,
    )
    secret = append_crc(f"sgd_svc_{new_text(ID_LENGTH)}_{new_text(SECRET_LENGTH)}")
    change.connection.execute(
        insert(access_credentials).values(
            organisation=organisation,
            identity=made.identity,
            service_account=service_account,
            name=name,
            description=description,
            access_key=made.access_key,
            mac=_compute_mac(pepper, made.access_key, secret),
            scopes=dump_list(made.scopes),
            created_at=change.now,
            expires_at=expires_at,
        )
    )
    details = {"serviceAccount": service_account, "accessKey": made.access_key}
    change.record("iam.access_credential.create", organisation, RESOURCE_TYPE, made.identity, details=details)
    return made, secret


def delete_access_credential(change: Change, organisation: str, service_account: str, identity: str) -> None:
    """Delete a credential; the tokens that were issued for it end at once.

    Raises:
        ObjectUnknown: The service account has none such.
    """
    found = [
        known
        for known in list_access_credentials(change.connection, organisation, service_account)
        if identity == known.identity
    ]
    if not found:
        raise ObjectUnknown(NOUN)
    revoke_children(change.connection, organisation, parent=identity, now=change.now)
    change.connection.execute(
        delete(access_credentials).where(
            access_credentials.c.organisation == organisation, access_credentials.c.identity == identity
        )
    )
    details = {"serviceAccount": service_account, "accessKey": found[0].access_key}
    change.record("iam.access_credential.delete", organisation, RESOURCE_TYPE, identity, details=details)


def find_access_key(connection: Connection, access_key: str) -> AccessCredential | None:
    """Find a credential by its access key, in any organisation; to attribute a failed attempt."""
    query = select(access_credentials).where(access_credentials.c.access_key == access_key)
    row = connection.execute(query).mappings().first()
    return None if row is None else _read(row)


def verify_access_credential(
    connection: Connection, pepper: Pepper, access_key: str, secret: str, now: int
) -> AccessCredential:
    """Check access key and secret. An unknown key costs the same as a wrong secret.

    Raises:
        CredentialRefused: They are not good, for whatever reason.
    """
    if len(access_key) + len(secret) > MAX_SECRET_CHARACTERS:
        raise CredentialRefused
    query = select(access_credentials).where(access_credentials.c.access_key == access_key)
    row = connection.execute(query).mappings().first()
    mac = _compute_mac(pepper, access_key, secret)
    matches = hmac.compare_digest(mac, bytes(row["mac"]) if row is not None else bytes(len(mac)))
    if row is None or not matches:
        raise CredentialRefused
    credential = _read(row)
    if credential.expires_at is not None and now >= credential.expires_at:
        raise CredentialRefused
    return credential


def mark_access_credential_used(connection: Connection, organisation: str, identity: str, now: int) -> None:
    """Note the day of the last use; the caller commits."""
    connection.execute(
        update(access_credentials)
        .where(access_credentials.c.organisation == organisation, access_credentials.c.identity == identity)
        .values(last_used_on=start_of_day(now))
    )


def _compute_mac(pepper: Pepper, access_key: str, secret: str) -> bytes:
    return compute_mac(pepper, f"{len(access_key)}:{access_key}:{secret}")


def _read(row: RowMapping) -> AccessCredential:
    return AccessCredential(
        row["organisation"],
        row["identity"],
        row["service_account"],
        row["name"],
        row["description"],
        row["access_key"],
        load_list(row["scopes"]),
        row["created_at"],
        row["expires_at"],
        row["last_used_on"],
    )
