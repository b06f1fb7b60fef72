"""A zone of rare constructs, for questions whose answers servers may see differently."""

CORNER_ZONE = """
$TTL 3600
@           SOA ns1 host 1 7200 900 604800 300
@           NS ns1
@           NS ns.sibling
@           MX 10 mail
ns1         A 192.0.2.1
ns1         AAAA 2001:db8::1
mail        A 192.0.2.2
UpperCase   TXT "spelled with capitals"

; empty non-terminals, also between and below wildcards
a.b.c       TXT "two empty non-terminals above"
x.*.odd     TXT "the wildcard itself is one"
*.wild      A 192.0.2.10
*.wild      TXT "made by a wildcard"
host.wild   A 192.0.2.11
deep.ent.wild A 192.0.2.12
*.sub.wild  AAAA 2001:db8::10

; aliases
one         CNAME two
two         CNAME three
three       CNAME mail
self        CNAME self
loop1       CNAME loop2
loop2       CNAME loop1
nothing     CNAME not-there
out         CNAME www.example.net.
towild      CNAME any.wild
tononterm   CNAME b.c
todname     CNAME below.old
tocut       CNAME www.cut
tocutitself CNAME cut
tochild     CNAME www.child
*.cw        CNAME any.wild
*.cl        CNAME x.cl

; redirection
old         DNAME new
old         TXT "data beside a DNAME"
www.new     A 192.0.2.20
new         A 192.0.2.21
older       DNAME old
toolong     DNAME {long}
dnout       DNAME example.net.
dncut       DNAME cut
dnself      DNAME below.dnself

; delegations
cut         NS ns.cut
cut         NS ns.sibling
cut         DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
ns.cut      A 192.0.2.30
deep.cut    A 192.0.2.98
insecure    NS ns1
insecure    NS ns.insecure
ns.insecure A 192.0.2.31
ns.insecure AAAA 2001:db8::31
sibling     NS ns.sibling
ns.sibling  A 192.0.2.32
lame        NS ns.elsewhere.example.
manyns      NS {many}
*.wildcut   MX 5 mail
in.wildcut  NS ns.in.wildcut
ns.in.wildcut A 192.0.2.33

; a zone of its own that the same server has
child       NS ns.child
ns.child    A 192.0.2.40
"""
CHILD_ZONE = """
$TTL 600
@   SOA ns host 1 7200 900 604800 60
@   NS ns
ns  A 192.0.2.40
www A 192.0.2.41
up  CNAME mail.{parent}
*   TXT "any name"
"""
_LONG = ".".join(letter * 50 for letter in "abcd")
_MANY = 12  # name servers with glue that does not fit into 512 octets


def make_corner_zones(origin: str) -> dict[str, str]:
    """Give the zone and a child of it: name without trailing dot to text.

    Args:
        origin: With trailing dot.
    """
    servers = "\n".join(f"manyns NS ns{number}.manyns" for number in range(2, _MANY))
    glue = "\n".join(
        f"ns{number}.manyns A 192.0.2.{100 + number}\nns{number}.manyns AAAA 2001:db8:0:1::{number}"
        for number in range(1, _MANY)
    )
    text = CORNER_ZONE.format(long=_LONG, many="ns1.manyns")
    name = origin.rstrip(".")
    return {name: f"{text}{servers}\n{glue}\n", f"child.{name}": CHILD_ZONE.format(parent=origin)}


def list_corner_names(origin: str) -> list[str]:
    """Give every owner of both zones, names beside, below and above them, and one outside."""
    relative = {line.split()[0] for line in CORNER_ZONE.splitlines() if line[:1].strip(";$@")}
    relative |= {f"{prefix}{name}" for name in relative for prefix in ("x.", "*.")}
    relative |= {name.partition(".")[2] for name in relative if "." in name}
    relative |= {f"{label}.child" for label in ("www", "up", "ns", "any", "a.b", "*", "x.www")}
    relative |= {f"{'y' * 60}.toolong", f"{'y' * 30}.toolong", "HOST.Wild", "uppercase", "ANY.wILD"}
    relative |= {f"ns{number}.manyns" for number in range(1, _MANY)}
    return [origin, "outside.example.", *(f"{name}.{origin}" for name in sorted(relative))]
