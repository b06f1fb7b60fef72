"""Changes of records inside one transaction."""

from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import event, select

from deployment import Deployment, make_deployment
from signerd.dns_zones import zone_editor
from signerd.dns_zones.errors import RecordTaken, ZoneTooLarge
from signerd.dns_zones.record import Record, RecordData, make_data
from signerd.dns_zones.record_rows import list_records
from signerd.dns_zones.tables import dns_change_sets
from signerd.dns_zones.zone_editor import ZoneEditor
from signerd.dns_zones.zone_rows import DnsZone, ZoneScope, create_zone
from signerd.platform.change import Change
from signerd.platform.described import Description
from signerd_kms.attribution import NOBODY

T = TypeVar("T")


@pytest.fixture
def deployment(tmp_path: Path) -> Generator[Deployment]:
    with make_deployment(tmp_path) as made:
        yield made


@pytest.fixture
def zone(deployment: Deployment) -> DnsZone:
    scope = ZoneScope(deployment.platform.organisation, None)
    description = Description("example.com")
    return deployment.store.change(
        NOBODY,
        lambda change: create_zone(change, scope, "example.com", description, is_served=lambda apex: False),
    )


def edit(deployment: Deployment, zone: DnsZone, work: Callable[[ZoneEditor], T]) -> T:
    def run(change: Change) -> T:
        editor = ZoneEditor(change, zone, is_bulk=True)
        made = work(editor)
        editor.finish("test")
        return made

    return deployment.store.change(NOBODY, run)


def make_addresses(zone: DnsZone, *names: str) -> list[RecordData]:
    return [make_data(zone.apex, name, "A", 60, ["192.0.2.1"]) for name in names]


def list_names(deployment: Deployment, zone: DnsZone) -> list[str]:
    with deployment.store.read() as connection:
        return sorted(record.data.name for record in list_records(connection, zone))


def test_records_made_together_are_all_there_and_take_few_statements(
    deployment: Deployment, zone: DnsZone
) -> None:
    names = [f"host{number}" for number in range(300)]
    statements: list[str] = []

    @event.listens_for(deployment.engine, "before_cursor_execute")
    def note(connection: object, cursor: object, statement: str, *details: object) -> None:
        statements.append(statement)

    made = edit(deployment, zone, lambda editor: editor.create_all(make_addresses(zone, *names)))
    assert [record.data.name for record in made] == names
    assert len({record.identity for record in made}) == len(names)
    assert len(statements) < 30
    assert list_names(deployment, zone) == sorted(names)


def test_of_records_made_together_none_is_made_if_one_is_there_already(
    deployment: Deployment, zone: DnsZone
) -> None:
    edit(deployment, zone, lambda editor: editor.create_all(make_addresses(zone, "there")))
    with pytest.raises(RecordTaken, match="there"):
        edit(deployment, zone, lambda editor: editor.create_all(make_addresses(zone, "new", "there")))
    assert list_names(deployment, zone) == ["there"]
    text = make_data(zone.apex, "there", "TXT", 60, ["other type"])
    edit(deployment, zone, lambda editor: editor.create_all([text]))
    assert list_names(deployment, zone) == ["there", "there"]


def test_making_no_records_is_no_change(deployment: Deployment, zone: DnsZone) -> None:
    assert edit(deployment, zone, lambda editor: editor.create_all([])) == []
    assert edit(deployment, zone, lambda editor: editor.zone.data_version) == zone.data_version


@pytest.fixture
def statements(deployment: Deployment) -> list[str]:
    """The SQL statements so far."""
    made: list[str] = []

    @event.listens_for(deployment.engine, "before_cursor_execute")
    def note(connection: object, cursor: object, statement: str, *details: object) -> None:
        made.append(statement)

    return made


def test_records_deleted_and_changed_together_take_few_statements(
    deployment: Deployment, zone: DnsZone, statements: list[str]
) -> None:
    names = [f"host{number}" for number in range(1200)]
    made = edit(deployment, zone, lambda editor: editor.create_all(make_addresses(zone, *names)))
    del statements[:]
    others = [make_data(zone.apex, record.data.name, "A", 90, ["192.0.2.9"]) for record in made[:600]]

    def work(editor: ZoneEditor) -> list[Record]:
        editor.delete_all([record.key for record in made[600:]])
        return editor.replace_all(list(zip(made, others, strict=False)))

    changed = edit(deployment, zone, work)
    assert len(statements) < 30
    assert [record.identity for record in changed] == [record.identity for record in made[:600]]
    with deployment.store.read() as connection:
        stored = {record.identity: record for record in list_records(connection, zone)}
        change_set = connection.execute(
            select(dns_change_sets).order_by(dns_change_sets.c.data_version.desc())
        )
        summary = change_set.mappings().fetchone()
    assert stored == {record.identity: record for record in changed}
    assert {(record.data.ttl, record.data.values) for record in changed} == {(90, ("192.0.2.9",))}
    assert summary is not None
    assert summary["summary"] == ("-host600 A, -host601 A, -host602 A, -host603 A, -host604 A and 1195 more")


def test_a_zone_that_grows_by_small_steps_is_counted_now_and_then(
    deployment: Deployment, zone: DnsZone, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zone_editor, "MAX_RECORDS", 20)
    monkeypatch.setattr(zone_editor, "_COUNTED_EACH", 8)
    many = make_addresses(zone, *(f"many{number}" for number in range(21)))
    with pytest.raises(ZoneTooLarge):
        edit(deployment, zone, lambda editor: editor.create_all(many))
    assert list_names(deployment, zone) == []
    del statements[:]

    def grow() -> None:
        for data in make_addresses(zone, *(f"one{number}" for number in range(40))):
            edit(deployment, zone, partial(ZoneEditor.create, data=data))

    with pytest.raises(ZoneTooLarge):
        grow()
    assert 20 <= len(list_names(deployment, zone)) <= 28
    assert sum("count(" in statement for statement in statements) <= 5
