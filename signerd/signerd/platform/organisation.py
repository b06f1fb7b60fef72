"""Organisations and which features they have."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sqlalchemy import Connection, RowMapping, delete, insert, or_, select, true, update

from signerd.platform.builtin_policies import provision_policies
from signerd.platform.change import Change
from signerd.platform.described import Described, Description, require_free_slug
from signerd.platform.errors import ObjectUnknown
from signerd.platform.gate import Gate
from signerd.platform.principal import Organisation
from signerd.platform.tables import organisation_gates, organisations

NOUN = "organisation"


def list_organisations(connection: Connection) -> list[Organisation]:
    """List every tenant of the deployment: for its operator."""
    query = select(organisations).order_by(organisations.c.created_at, organisations.c.identity)
    return [_read(row) for row in connection.execute(query).mappings()]


def get_organisation(connection: Connection, identity_or_slug: str) -> Organisation:
    """Find one by identity or slug.

    Raises:
        ObjectUnknown: There is none.
    """
    query = select(organisations).where(
        or_(organisations.c.identity == identity_or_slug, organisations.c.slug == identity_or_slug)
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        raise ObjectUnknown(NOUN)
    return _read(row)


def create_organisation(change: Change, description: Description, gates: Iterable[Gate]) -> Organisation:
    """Make an organisation with its built-in roles.

    Raises:
        InvalidValue: The description breaks a limit.
        NameTaken: The slug is taken.
    """
    made = Described.make("o", description, change.now)
    require_free_slug(change.connection, organisations, NOUN, true(), made)
    change.connection.execute(insert(organisations).values(made.columns()))
    wanted = frozenset(gates)
    change.connection.execute(
        insert(organisation_gates),
        [{"organisation": made.identity, "gate": gate.value, "enabled": gate in wanted} for gate in Gate],
    )
    provision_policies(change, made.identity, None)
    change.record("organisation.create", made.identity, NOUN, made.identity, details={"name": made.name})
    return _from_described(made)


def update_organisation(change: Change, identity: str, description: Description) -> Organisation:
    """Change what people say of it. The slug stays: the configuration and clients know it by that.

    Raises:
        ObjectUnknown: There is none.
        InvalidValue: The description breaks a limit.
    """
    current = get_organisation(change.connection, identity)
    old = Described(
        current.identity,
        current.name,
        current.slug,
        current.description,
        current.labels,
        current.annotations,
        current.created_at,
        current.updated_at,
        current.object_version,
    )
    if old.stated == description:
        return current
    new = replace(old.change(description, change.now), slug=current.slug)
    change.connection.execute(
        update(organisations).where(organisations.c.identity == identity).values(new.columns())
    )
    change.record("organisation.update", identity, NOUN, identity)
    return _from_described(new)


def list_gates(connection: Connection, organisation: str) -> Mapping[Gate, bool]:
    """Say of every feature whether the organisation has it."""
    query = select(organisation_gates.c.gate, organisation_gates.c.enabled).where(
        organisation_gates.c.organisation == organisation
    )
    stored = {str(row.gate): bool(row.enabled) for row in connection.execute(query)}
    return {gate: stored.get(gate.value, False) for gate in Gate}


def set_gate(change: Change, organisation: str, gate: Gate, is_on: bool) -> None:
    """Switch a feature on or off."""
    if list_gates(change.connection, organisation)[gate] is is_on:
        return
    key = (organisation_gates.c.organisation == organisation) & (organisation_gates.c.gate == gate.value)
    change.connection.execute(delete(organisation_gates).where(key))
    change.connection.execute(
        insert(organisation_gates).values(organisation=organisation, gate=gate.value, enabled=is_on)
    )
    details = {"gate": gate.value, "enabled": "on" if is_on else "off"}
    change.record("organisation.gate", organisation, NOUN, organisation, details=details)


def _read(row: RowMapping) -> Organisation:
    return _from_described(Described.read(row))


def _from_described(described: Described) -> Organisation:
    return Organisation(
        described.identity,
        described.name,
        described.slug,
        described.description,
        described.labels,
        described.annotations,
        described.created_at,
        described.updated_at,
        described.object_version,
    )
