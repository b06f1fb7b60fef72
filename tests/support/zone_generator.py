"""Zone files made up from a seed: wildcards, empty non-terminals, delegations, DNAME, CNAME chains."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GeneratedZone:
    """A zone file, and names worth asking for."""

    origin: str  # with trailing dot
    text: str
    owners: list[str] = field(default_factory=list[str])  # absolute; existing and near-existing names
    delegations: list[str] = field(default_factory=list[str])

    def make_questions(self, count: int, seed: int) -> Iterator[tuple[str, str]]:
        """Give (name, type) pairs: mostly existing names, many near misses, some below cuts and wildcards."""
        source = random.Random(seed)
        types = ["A", "AAAA", "NS", "MX", "TXT", "SOA", "CNAME", "DS", "SRV", "PTR", "DNAME", "CAA"]
        for _ in range(count):
            name = source.choice(self.owners)
            match source.randrange(8):
                case 0:
                    name = f"nx{source.randrange(1000)}.{name}"
                case 1:
                    name = f"a.b.{name}"
                case 2 if len(name) > len(self.origin):
                    name = name.split(".", 1)[1]
                case 3 if len(name) > len(self.origin):
                    name = f"x{source.randrange(100)}{name}"
                case _:
                    pass
            if len(name) < 250 and all(len(label) < 64 for label in name.split(".")):
                yield name, source.choice(types)


def generate_zone(origin: str, names: int, seed: int, *, serial: int = 1) -> GeneratedZone:
    """Make a zone with every construct that answering and denial of existence must get right.

    Args:
        origin: With trailing dot.
        names: About how many owner names.
        seed: The same seed gives the same zone.
        serial: SOA serial.
    """
    source = random.Random(seed)
    lines = [
        f"$ORIGIN {origin}",
        "$TTL 3600",
        f"@ IN SOA ns1 hostmaster {serial} 7200 900 604800 600",
        "@ IN NS ns1",
        "@ IN NS ns2.elsewhere.example.",
        "@ IN MX 10 mail",
        '@ IN TXT "v=spf1 -all"',
        '@ IN CAA 0 issue "ca.example.net"',
        "ns1 IN A 192.0.2.1",
        "ns1 IN AAAA 2001:db8::1",
        "mail IN A 192.0.2.2",
    ]
    owners = [origin, f"ns1.{origin}", f"mail.{origin}"]
    delegations: list[str] = []

    def add(relative: str, *records: str) -> None:
        owners.append(f"{relative}.{origin}")
        lines.extend(f"{relative} {record}" for record in records)

    number = len(owners)
    while number < names:
        number += 1
        label = f"n{number}"
        match source.randrange(24):
            case 0:
                add(f"*.wild{number}", "IN A 192.0.2.7", "IN MX 5 mail")
                owners.append(f"some.wild{number}.{origin}")
                owners.append(f"deeper.some.wild{number}.{origin}")
            case 1:  # empty non-terminals
                add(f"leaf.mid.ent{number}", 'IN TXT "below two empty non-terminals"')
                owners.extend((f"mid.ent{number}.{origin}", f"ent{number}.{origin}"))
            case 2:  # a delegation with DS and glue
                digest = source.randbytes(32).hex()
                add(f"sec{number}", f"IN NS ns.sec{number}", f"IN DS {source.randrange(65536)} 13 2 {digest}")
                lines.append(f"ns.sec{number} IN A 192.0.2.{source.randrange(1, 255)}")
                owners.extend((f"ns.sec{number}.{origin}", f"www.sec{number}.{origin}"))
                delegations.append(f"sec{number}.{origin}")
            case 3:  # one without DS
                add(f"ins{number}", f"IN NS ns1.ins{number}", f"IN NS ns{number}.elsewhere.example.")
                lines.append(f"ns1.ins{number} IN A 192.0.2.{source.randrange(1, 255)}")
                lines.append(f"ns1.ins{number} IN AAAA 2001:db8::{number >> 16:x}:{number & 65535:x}")
                owners.append(f"www.ins{number}.{origin}")
                delegations.append(f"ins{number}.{origin}")
            case 4:
                add(f"dn{number}", "IN DNAME " + source.choice([f"mid.{origin}", "target.example.", "ns1"]))
                owners.append(f"x.dn{number}.{origin}")
            case 5:  # a chain of aliases that ends in data, in nothing, or outside
                end = source.choice(["mail", f"missing{number}", "www.example.net.", "ns1"])
                add(f"c{number}", f"IN CNAME d{number}")
                add(f"d{number}", f"IN CNAME e{number}")
                add(f"e{number}", f"IN CNAME {end}")
            case 6:
                add(f"_sip._tcp.s{number}", f"IN SRV 1 2 5060 {label}", "IN SRV 2 2 5060 mail")
                owners.append(f"_tcp.s{number}.{origin}")
            case 7:
                add(label, f'IN TXT "{"x" * source.randrange(1, 200)}" "second \\"string\\""')
            case 8:
                add(label, *(f"IN A 198.51.100.{octet}" for octet in range(1, source.randrange(3, 40))))
            case 9:  # a wildcard that is an alias
                add(f"*.wc{number}", "IN CNAME mail")
                owners.append(f"any.wc{number}.{origin}")
            case _:
                add(label, f"IN A 203.0.113.{source.randrange(1, 255)}")
                if source.random() < 0.3:
                    add(label, f"IN AAAA 2001:db8:1::{number >> 16:x}:{number & 65535:x}")
    return GeneratedZone(origin, "\n".join(lines) + "\n", owners, delegations)


def generate_flat_zone(origin: str, names: int) -> str:
    """Make a zone of hosts alone, one address each: what signing speed is measured on."""
    hosts = (f"host{n} A 10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in range(names))
    head = f"$ORIGIN {origin}\n$TTL 3600\n@ SOA ns1 hostmaster 1 7200 900 604800 600\n"
    return head + "@ NS ns1\nns1 A 192.0.2.1\n" + "\n".join(hosts) + "\n"


def generate_bulk_zone(origin: str, names: int, seed: int = 1) -> str:
    """Make the zone of a large provider: what signing at scale is measured on.

    Hosts with one or two addresses, domains with mail and policies, aliases, services, delegations with and
    without DS and glue, some wildcards.

    Args:
        origin: With trailing dot.
        names: How many owner names, glue included.
        seed: The same seed gives the same zone.
    """
    source = random.Random(seed)
    lines = [
        f"$ORIGIN {origin}",
        "$TTL 3600",
        "@\tIN\tSOA\tns1 hostmaster ( 1 ; serial",
        "\t7200 900 1209600 600 )",
        "\tIN\tNS\tns1",
        "\tIN\tNS\tns2",
        "ns1\tIN\tA\t192.0.2.1",
        "ns2\tIN\tA\t192.0.2.2",
        "mail\tIN\tA\t192.0.2.3",
        "mail2\tIN\tA\t192.0.2.4",
    ]
    made = 5
    number = 0
    hosts = ["ns1", "mail"]
    while made < names:
        number += 1
        ipv4 = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        ipv6 = f"2001:db8:{number >> 16:x}:{number & 65535:x}::1"
        share = source.random()
        made += 1
        if share < 0.55:
            hosts.append(f"host{number}")
            lines.append(f"host{number}\tIN\tA\t{ipv4}")
            if share < 0.30:
                lines.append(f"\tIN\tAAAA\t{ipv6}")
        elif share < 0.75:
            lines += (
                f"shop{number}\t300\tIN\tA\t{ipv4}",
                f"\t300\tIN\tAAAA\t{ipv6}",
                "\tIN\tMX\t10 mail",
                "\tIN\tMX\t20 mail2",
                f'\tIN\tTXT\t"v=spf1 a mx ip4:{ipv4} -all"',
            )
            if share < 0.65 and made < names:
                lines.append(f'_dmarc.shop{number}\tIN\tTXT\t"v=DMARC1; p=reject; rua=mailto:d{number}@mail"')
                made += 1
        elif share < 0.85:
            lines.append(f"www.host{number}\tIN\tCNAME\t{source.choice(hosts)}")
        elif share < 0.88:
            lines.append(f"_sip._tcp.v{number}\t600\tIN\tSRV\t10 60 5060 {source.choice(hosts)}")
        elif share < 0.90:
            lines.append(f"*.wild{number}\tIN\tA\t{ipv4}")
        else:
            lines.append(f"cut{number}\t86400\tIN\tNS\tns1.provider{number % 50}.example.")
            if share < 0.94 and made < names:
                lines += (f"\t86400\tIN\tNS\tns.cut{number}", f"ns.cut{number}\t86400\tIN\tA\t{ipv4}")
                made += 1
            else:
                lines.append(f"\t86400\tIN\tNS\tns2.provider{number % 50}.example.")
            if share > 0.96:
                tag, digest = source.randrange(65536), source.randbytes(32).hex().upper()
                lines.append(f"cut{number}\t86400\tIN\tDS\t{tag} 13 2 {digest}")
    return "\n".join(lines) + "\n"
