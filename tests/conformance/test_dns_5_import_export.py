"""dns.md, section 5: import and export; test names quote it."""

import shutil
from pathlib import Path

import pytest
import trio

from api_server import read_response
from platform_api import Api, Json, read_object, text_of

ROOT = "/v1/dns/zones/example.com"
TEXT = """$TTL 300
@ SOA ns h 1 3600 600 86400 300
@ NS ns1.nl-01.test.
@ NS ns2.nl-01.test.
@ MX 10 Mail
www 60 A 192.0.2.2
www A 192.0.2.1
_sip._tcp SRV 1 2 5060 sip.example.net.
txt TXT "one " "two; \\"three\\" \\195\\169"
*.w CAA 0 issue "ca.test"
ptr PTR x.test.
child NS ns.child
child DS 1 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
www.example.org. A 192.0.2.9
"""


async def make_zone(admin: Api, name: str = "example.com") -> None:
    await admin.create("/v1/dns/zones", {"zoneName": name})


async def bring(admin: Api, text: str, **fields: object) -> Json:
    return read_object(await admin.send("POST", f"{ROOT}/import", {"zoneFile": text, **fields}), 200)


def count(result: Json) -> tuple[object, ...]:
    return tuple(result[key] for key in ("created", "updated", "deleted", "skipped"))


async def list_values(admin: Api) -> dict[str, object]:
    return {f"{one['name']} {one['type']}": one["values"] for one in await admin.list(f"{ROOT}/records")}


async def test_5_import_takes_the_types_of_section_4_and_counts_the_others(admin: Api) -> None:
    await make_zone(admin)
    result = await bring(admin, TEXT)
    assert count(result) == (6, 0, 0, 6)  # SOA, 2 own NS, PTR, DS, another zone's
    assert await list_values(admin) == {
        "@ MX": ["10 Mail.example.com"],
        "www A": ["192.0.2.2", "192.0.2.1"],
        "_sip._tcp SRV": ["1 2 5060 sip.example.net"],
        "txt TXT": ['one two; "three" é'],
        "*.w CAA": ['0 issue "ca.test"'],
        "child NS": ["ns.child.example.com"],
    }
    records = {text_of(one, "name"): one for one in await admin.list(f"{ROOT}/records")}
    assert records["www"]["ttl"] == 60
    assert count(await bring(admin, TEXT)) == (0, 0, 0, 6)


async def test_5_merge_keeps_others_and_replace_existing_deletes_them(admin: Api) -> None:
    await make_zone(admin)
    await bring(admin, "a A 192.0.2.1\nb A 192.0.2.2\n")
    result = await bring(admin, "b A 192.0.2.3\nc A 192.0.2.4\n")
    assert count(result) == (1, 1, 0, 0)
    result = await bring(admin, "c A 192.0.2.4\n", replaceExisting=True)
    assert count(result) == (0, 0, 2, 0)
    assert result["records"] == []
    assert await list_values(admin) == {"c A": ["192.0.2.4"]}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a A 192.0.2.1\nb A nonsense\n", 2),
        ("\n\n$INCLUDE /etc/passwd\n", 3),
        ("$GENERATE 1-3 a$ A 192.0.2.$\n", 1),
        ("a CH A 192.0.2.1\n", 1),
        ("a MX 10 mail_x\n", 1),
        ('a TXT "\\255"\n', 1),
        ("a\\032b A 192.0.2.1\n", 1),
        ("ok A 192.0.2.1\n@ CNAME x.test.\n", 2),
        ('a TXT "open\n', 1),
        ("a A 192.0.2.1\n" + "".join(f"n{n} A 192.0.2.1\n" for n in range(10_000)), 10_001),
    ],
)
async def test_5_any_error_is_400_with_the_line_and_changes_nothing(admin: Api, text: str, line: int) -> None:
    await make_zone(admin)
    message = await admin.refused(400, "POST", f"{ROOT}/import", {"zoneFile": text})
    assert message.startswith(f"line {line}:")
    assert await list_values(admin) == {}


async def test_5_a_body_may_have_8_mib_and_more_is_413_before_it_is_sent(admin: Api) -> None:
    await make_zone(admin)
    comment = ";" + "x" * 1023 + "\n"
    assert count(await bring(admin, comment * 7 * 1024 + "a A 192.0.2.1\n")) == (1, 0, 0, 0)
    head = f"POST {ROOT}/import HTTP/1.1\r\nHost: x\r\nContent-Length: {(8 << 20) + 1}\r\n\r\n"
    base = admin.client.base_url
    with trio.fail_after(60):
        async with await trio.open_tcp_stream(str(base.host), base.port or 0) as stream:
            await stream.send_all(head.encode())
            assert (await read_response(stream)).startswith(b"HTTP/1.1 413 ")


async def test_5_a_cname_beside_other_data_is_409_and_changes_nothing(admin: Api) -> None:
    await make_zone(admin)
    await bring(admin, "a A 192.0.2.1\n")
    for text in ("b A 192.0.2.1\na CNAME x.test.\n", "c CNAME x.test.\nc A 192.0.2.1\n"):
        await admin.refused(409, "POST", f"{ROOT}/import", {"zoneFile": text})
    assert await list_values(admin) == {"a A": ["192.0.2.1"]}


async def test_5_export_shows_soa_name_servers_and_sorted_records(admin: Api) -> None:
    await make_zone(admin)
    await bring(admin, "b TXT x\nb A 192.0.2.1\na MX 5 mail.test.\n")
    export = await admin.get(f"{ROOT}/export")
    assert export["zoneName"] == "example.com"
    assert text_of(export, "zoneFile").splitlines() == [
        "$ORIGIN example.com.",
        "$TTL 3600",
        "@ 3600 IN SOA ns1.nl-01.test. hostmaster.example.com. 0 7200 900 1209600 300",
        "@ 3600 IN NS ns1.nl-01.test.",
        "@ 3600 IN NS ns2.nl-01.test.",
        "a 3600 IN MX 5 mail.test.",
        "b 3600 IN A 192.0.2.1",
        'b 3600 IN TXT "x"',
    ]


async def test_5_export_import_export_is_identical_and_reproduces_all_records(admin: Api) -> None:
    await make_zone(admin)
    await bring(admin, TEXT)
    await admin.create(
        f"{ROOT}/records", {"name": "Q", "type": "TXT", "values": ['""quoted""', "x" * 600, ""]}
    )
    first, records = await admin.get(f"{ROOT}/export"), await list_values(admin)
    assert count(await bring(admin, text_of(first, "zoneFile")))[:3] == (0, 0, 0)
    assert await admin.get(f"{ROOT}/export") == first
    await admin.delete(ROOT)
    await make_zone(admin)
    assert count(await bring(admin, text_of(first, "zoneFile")))[:3] == (len(records), 0, 0)
    assert await admin.get(f"{ROOT}/export") == first


@pytest.mark.skipif(shutil.which("named-compilezone") is None, reason="needs named-compilezone")
async def test_5_what_named_compilezone_prints_is_imported_and_it_reads_the_export(
    admin: Api, tmp_path: Path
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.write_text(TEXT.replace("www.example.org. A 192.0.2.9\n", ""))
    command = ["named-compilezone", "-i", "none", "-k", "ignore", "-o", "out", "example.com", "in"]
    await trio.run_process(command, cwd=tmp_path, capture_stdout=True, capture_stderr=True)
    await make_zone(admin)
    assert count(await bring(admin, out.read_text())) == (6, 0, 0, 5)
    source.write_text(text_of(await admin.get(f"{ROOT}/export"), "zoneFile"))
    await trio.run_process(command, cwd=tmp_path, capture_stdout=True, capture_stderr=True)


async def test_deleting_most_of_a_zone_by_import_needs_to_be_allowed(admin: Api) -> None:
    await make_zone(admin)
    await bring(admin, "".join(f"n{n} A 192.0.2.1\n" for n in range(20)))
    body = {"zoneFile": "n1 A 192.0.2.1\n", "replaceExisting": True}
    message = await admin.refused(409, "POST", f"{ROOT}/import", body)
    assert "19 of 20 record sets (95 %)" in message
    assert len(await list_values(admin)) == 20
    assert (
        count(await bring(admin, "n1 A 192.0.2.1\n", replaceExisting=True, allowMassDeletion=True))[2] == 19
    )
