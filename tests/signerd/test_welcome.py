"""The first words of a server."""

import base64
import io
from pathlib import Path

import pytest

from answering import read_zone
from signerd.config.state_directory import StateDirectory
from signerd.control.listen_address import ListenAddress
from signerd.dnssec.key import compute_key_tag
from signerd.welcome import format_url, print_welcome

OLD_KSK = bytes.fromhex("0101030d") + bytes(64)
NEW_KSK = bytes.fromhex("0101030d") + bytes([1]) * 64
UNSIGNED = "@ 300 SOA ns h 7 3600 600 86400 300\n@ 300 NS ns\nns 300 A 192.0.2.1\n"


@pytest.mark.parametrize(
    ("address", "is_tls", "url"),
    [
        (ListenAddress("127.0.0.1", 8053), False, "http://127.0.0.1:8053/"),
        (ListenAddress("::1", 443), True, "https://[::1]:443/"),
    ],
)
def test_the_url_can_be_given_to_curl(address: ListenAddress, is_tls: bool, url: str) -> None:
    assert format_url(address, is_tls=is_tls) == url


def test_a_zone_without_keys_is_said_to_be_unsigned_and_a_failed_one_to_have_failed(tmp_path: Path) -> None:
    output = io.StringIO()
    print_welcome(
        output,
        [ListenAddress("127.0.0.1", 5300)],
        "http://127.0.0.1:8053/",
        StateDirectory(tmp_path),
        [read_zone(UNSIGNED, "plain.test.")],
        ["bad.test"],
    )
    assert output.getvalue().splitlines() == [
        "",
        "signerd answers on 127.0.0.1@5300 (UDP and TCP)",
        f"admin API: http://127.0.0.1:8053/ (token in {tmp_path / 'admin.token'})",
        "",
        "zone plain.test, serial 7; not signed",
        "zone bad.test could not be published: see above",
        "",
        "try: dig @127.0.0.1 -p 5300 +dnssec plain.test SOA",
    ]


@pytest.mark.parametrize(
    ("cdnskey", "said", "tags"),
    [
        (NEW_KSK, "DS for the parent:", {compute_key_tag(NEW_KSK)}),
        (None, "DS for the parent:", {compute_key_tag(NEW_KSK), compute_key_tag(OLD_KSK)}),
        (bytes.fromhex("0000030000"), "goes insecure", set[int]()),
    ],
)
def test_the_ds_set_is_the_one_that_cdnskey_asks_the_parent_for(
    tmp_path: Path, cdnskey: bytes | None, said: str, tags: set[int]
) -> None:
    records = [f"@ 300 DNSKEY {_spell(key)}" for key in (OLD_KSK, NEW_KSK)]
    records += [] if cdnskey is None else [f"@ 300 CDNSKEY {_spell(cdnskey)}"]
    zone = read_zone(UNSIGNED + "\n".join(records) + "\n", "rolling.test.", signed=True)
    output = io.StringIO()
    print_welcome(output, [], None, StateDirectory(tmp_path), [zone], [])
    lines = output.getvalue().splitlines()
    assert f"zone rolling.test, serial 7; {said}" in lines
    assert {int(line.split()[4]) for line in lines if " IN DS " in line} == tags


def _spell(key: bytes) -> str:
    return f"{int.from_bytes(key[:2])} {key[2]} {key[3]} {base64.b64encode(key[4:]).decode()}"
