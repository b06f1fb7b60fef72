"""A zone that is read piece by piece is the same as one that is read whole."""

from collections.abc import Generator
from pathlib import Path

import pytest

from deployment import APEX, Deployment, make_deployment
from signerd.dns_zones.record import Record, make_data
from signerd.dns_zones.record_rows import list_records
from signerd.dns_zones.zone_editor import ZoneEditor
from signerd.dns_zones.zone_rows import DnsZone, ZoneScope, create_zone
from signerd.dns_zones.zone_source import ZoneSource, load_api_zone
from signerd.platform.change import Change
from signerd.platform.described import Description
from signerd_kms.attribution import NOBODY


@pytest.fixture
def deployment(tmp_path: Path) -> Generator[Deployment]:
    with make_deployment(tmp_path) as made:
        yield made


def test_what_changed_is_read_and_all_else_is_shared(deployment: Deployment) -> None:
    store = deployment.store
    scope = ZoneScope(deployment.platform.organisation, None)

    def create(change: Change) -> DnsZone:
        return create_zone(
            change, scope, "example.com", Description("example.com"), is_served=lambda apex: False
        )

    zone = store.change(NOBODY, create)
    source = ZoneSource(APEX)

    def edit(deleted: list[Record], *added: tuple[str, str, str]) -> None:
        def work(change: Change) -> int:
            editor = ZoneEditor(change, zone)
            for record in deleted:
                editor.delete(record)
            for name, type_text, value in added:
                editor.create(make_data(zone.apex, name, type_text, 60, [value]))
            return editor.finish("test")

        store.change(NOBODY, work)

    def load() -> None:
        with store.read() as connection:
            piecewise = source.load(connection, zone.identity)
            assert piecewise.zone.names == load_api_zone(connection, zone, APEX).names

    load()
    edit([], ("keep", "A", "192.0.2.1"), ("go", "A", "192.0.2.2"), ("@", "NS", "ns.test"))
    load()
    with store.read() as connection:
        before = source.load(connection, zone.identity).zone
        gone = [record for record in list_records(connection, zone) if record.data.name != "keep"]
    edit(gone)
    edit([], ("new", "TXT", "t"), ("go", "TXT", "other type"))
    load()
    with store.read() as connection:
        after = source.load(connection, zone.identity)
    kept = make_data(zone.apex, "keep", "A", 60, ["192.0.2.1"]).owner
    assert after.zone.names[kept] is before.names[kept]
    assert after.changed is not None
    assert kept not in after.changed
