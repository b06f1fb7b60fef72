"""Export and import undo each other, whatever the records say."""

from hypothesis import given
from hypothesis import strategies as st

from signerd.dns.name import parse_name
from signerd.dns_zones.apex import ApexDefaults
from signerd.dns_zones.record import RecordData, make_data
from signerd.dns_zones.zone_text import export_zone, parse_zone_text

APEX = parse_name("example.com.")
DEFAULTS = ApexDefaults((parse_name("ns1.test."), parse_name("ns2.test.")))

names = st.sampled_from(["@", "www", "A.b", "*", "*.x", "_sip._tcp", "a-b", "0"])
ttls = st.integers(1, 2**31 - 1)
numbers = st.integers(0, 65_535)
hosts = st.sampled_from(["mail.test", "MAIL.example.com.", "x", "a-1.b.test"])
texts = st.text(st.characters(codec="utf-8"), max_size=700)
kinds = st.sampled_from(["A", "AAAA", "MX", "SRV", "NS", "TXT", "CAA"])


def make_value(kind: str, number: int, host: str, text: str) -> tuple[str, str]:
    return kind, {
        "A": f"192.0.2.{number % 256}",
        "AAAA": f"2001:db8::{number:x}",
        "MX": f"{number} {host}",
        "SRV": f"{number} 0 {number} {host}",
        "NS": host,
        "TXT": text,
        "CAA": f"{number % 256} issue ca{number}.test",
    }[kind]


records = st.builds(make_value, kinds, numbers, hosts, texts)


def make_record(name: str, ttl: int, said: tuple[str, str]) -> RecordData:
    return make_data(APEX, name, said[0], ttl, [said[1]])


def export(found: list[RecordData]) -> str:
    return export_zone(APEX, "example.com", 7, DEFAULTS, [data.make_rrset() for data in found])


@given(st.lists(st.builds(make_record, names, ttls, records), max_size=8))
def test_import_of_an_export_has_the_same_record_sets_and_exports_the_same(made: list[RecordData]) -> None:
    stored = list({data.key: data for data in made}.values())
    text = export(stored)
    parsed = parse_zone_text(text, APEX, DEFAULTS)
    assert {data.make_rrset() for data in parsed.records} == {data.make_rrset() for data in stored}
    assert export(list(parsed.records)) == text
