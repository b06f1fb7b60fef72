"""The DS set of a zone in the forms that parents, registrars and other name servers take."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final
from xml.etree import ElementTree as ET  # writes XML here, never reads any

from signerd.delegation.delegation_key import DelegationKey, DigestType, make_digest
from signerd.dns.name import ROOT, Name, format_name

SECDNS_NAMESPACE: Final = "urn:ietf:params:xml:ns:secDNS-1.1"  # RFC 5910, section 4
DIGEST_NAMES: Final[Mapping[DigestType, str]] = {DigestType.SHA_256: "SHA-256", DigestType.SHA_384: "SHA-384"}


class DsFormat(StrEnum):
    """The forms."""

    ZONE = "zone"  # DS records as in a zone file
    BIND = "bind"  # a dsset- file, as dnssec-dsfromkey prints it
    JSON = "json"  # the dsRecords of the HTTP API
    DNSKEY = "dnskey"  # the keys themselves, for parents that make the DS, and as trust anchors
    CDS = "cds"  # CDS and CDNSKEY records (RFC 7344)
    EPP = "epp"  # secDNS:create (RFC 5910, section 5.2.1)
    EPP_UPDATE = "epp-update"  # secDNS:update that replaces whatever the parent has (RFC 5910, section 5.2.5)


def export_ds(zone: Name, keys: Sequence[DelegationKey], form: DsFormat, ttl: int) -> str:
    """Print the DS set of a zone, SHA-256 and SHA-384 for each key.

    Args:
        zone: The apex.
        keys: The keys that the parent is to point to; at least one.
        form: What the reader takes.
        ttl: Seconds, where the form has a place for it. The parent decides on its own.

    Returns:
        Lines, each ended by a newline.
    """
    return _PRINTERS[form](zone, keys, ttl)


def _print_records(zone: Name, ttl: int, rdatatype: str, rdatas: Sequence[str]) -> str:
    return "".join(f"{format_name(zone)} {ttl} IN {rdatatype} {rdata}\n" for rdata in rdatas)


def _list_ds_rdatas(zone: Name, keys: Sequence[DelegationKey]) -> list[str]:
    return [
        f"{key.key_tag} {key.algorithm} {digest_type} {make_digest(zone, key, digest_type).hex().upper()}"
        for key in keys
        for digest_type in DigestType
    ]


def _list_dnskey_rdatas(keys: Sequence[DelegationKey]) -> list[str]:
    return [f"{key.flags} {key.protocol} {key.algorithm} {_encode_key(key)}" for key in keys]


def _encode_key(key: DelegationKey) -> str:
    return base64.b64encode(key.public_key).decode()


def _print_zone(zone: Name, keys: Sequence[DelegationKey], ttl: int) -> str:
    return _print_records(zone, ttl, "DS", _list_ds_rdatas(zone, keys))


def _print_bind(zone: Name, keys: Sequence[DelegationKey], ttl: int) -> str:
    del ttl  # a dsset file leaves it to the parent
    return "".join(f"{format_name(zone)} IN DS {rdata}\n" for rdata in _list_ds_rdatas(zone, keys))


def _print_json(zone: Name, keys: Sequence[DelegationKey], ttl: int) -> str:
    del ttl
    records = [
        {
            "record": rdata.lower(),
            "digestTypeName": DIGEST_NAMES[digest_type],
            "keyTag": key.key_tag,
            "algorithm": key.algorithm,
            "keyRole": "KSK",
            "publicKey": _encode_key(key),
        }
        for key in keys
        for digest_type, rdata in zip(DigestType, _list_ds_rdatas(zone, [key]), strict=True)
    ]
    name = "." if zone == ROOT else format_name(zone)[:-1]
    return json.dumps({"zone": name, "dsRecords": records}, indent=2) + "\n"


def _print_dnskey(zone: Name, keys: Sequence[DelegationKey], ttl: int) -> str:
    return _print_records(zone, ttl, "DNSKEY", _list_dnskey_rdatas(keys))


def _print_cds(zone: Name, keys: Sequence[DelegationKey], ttl: int) -> str:
    return _print_records(zone, ttl, "CDS", _list_ds_rdatas(zone, keys)) + _print_records(
        zone, ttl, "CDNSKEY", _list_dnskey_rdatas(keys)
    )


def _print_epp_create(zone: Name, keys: Sequence[DelegationKey], ttl: int) -> str:
    del ttl
    create = ET.Element("secDNS:create", {"xmlns:secDNS": SECDNS_NAMESPACE})
    _add_ds_data(create, zone, keys)
    return _print_xml(create)


def _print_epp_update(zone: Name, keys: Sequence[DelegationKey], ttl: int) -> str:
    del ttl
    update = ET.Element("secDNS:update", {"xmlns:secDNS": SECDNS_NAMESPACE})
    remove = ET.SubElement(update, "secDNS:rem")
    ET.SubElement(remove, "secDNS:all").text = "true"
    _add_ds_data(ET.SubElement(update, "secDNS:add"), zone, keys)
    return _print_xml(update)


def _add_ds_data(parent: ET.Element, zone: Name, keys: Sequence[DelegationKey]) -> None:
    """Add a dsData element, with its key inside, for each digest (RFC 5910, section 4.1)."""
    for key in keys:
        for digest_type in DigestType:
            ds_data = ET.SubElement(parent, "secDNS:dsData")
            for name, text in (
                ("keyTag", str(key.key_tag)),
                ("alg", str(key.algorithm)),
                ("digestType", str(digest_type.value)),
                ("digest", make_digest(zone, key, digest_type).hex().upper()),
            ):
                ET.SubElement(ds_data, f"secDNS:{name}").text = text
            key_data = ET.SubElement(ds_data, "secDNS:keyData")
            for name, text in (
                ("flags", str(key.flags)),
                ("protocol", str(key.protocol)),
                ("alg", str(key.algorithm)),
                ("pubKey", _encode_key(key)),
            ):
                ET.SubElement(key_data, f"secDNS:{name}").text = text


def _print_xml(element: ET.Element) -> str:
    ET.indent(element)
    return ET.tostring(element, encoding="unicode") + "\n"


_PRINTERS: Final[Mapping[DsFormat, Callable[[Name, Sequence[DelegationKey], int], str]]] = {
    DsFormat.ZONE: _print_zone,
    DsFormat.BIND: _print_bind,
    DsFormat.JSON: _print_json,
    DsFormat.DNSKEY: _print_dnskey,
    DsFormat.CDS: _print_cds,
    DsFormat.EPP: _print_epp_create,
    DsFormat.EPP_UPDATE: _print_epp_update,
}
