"""Keys, digests and signatures printed in RFCs."""

import base64
from dataclasses import dataclass

from answering import to_name
from signerd.dns import rdatatype as rt
from signerd.dns.name import Name
from signerd.dns.rrset import RRset
from signerd.dnssec.key import DnsKey


@dataclass(frozen=True, slots=True)
class SignedVector:
    """An RRset with the key that signed it.

    Attributes:
        key: The DNSKEY.
        key_tag: As the RFC prints it.
        ds: Digest type and digest, where the RFC has them.
        rrset: Without signature.
        inception: Epoch seconds.
        expiration: Epoch seconds.
        signature: The signature field alone.
    """

    key: DnsKey
    key_tag: int
    ds: tuple[int, bytes] | None
    rrset: RRset
    inception: int
    expiration: int
    signature: bytes

    @property
    def zone(self) -> Name:
        """The signer's name."""
        return to_name("example.net")


def _make_address(address: bytes) -> RRset:
    return RRset(to_name("www.example.net"), rt.A, 3600, (address,))


RFC_6605_SECTION_6_1 = SignedVector(
    DnsKey(
        257,
        13,
        base64.b64decode(
            "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA=="
        ),
    ),
    55648,
    (2, bytes.fromhex("b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17")),
    _make_address(bytes((192, 0, 2, 1))),
    1281607479,  # 2010-08-12 10:04:39
    1284026679,  # 2010-09-09 10:04:39
    base64.b64decode(
        "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw=="
    ),
)

RFC_6605_SECTION_6_2 = SignedVector(
    DnsKey(
        257,
        14,
        base64.b64decode(
            "xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8"
            "/uX45NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40"
        ),
    ),
    10771,
    (
        4,
        bytes.fromhex(
            "72d7b62976ce06438e9c0bf319013cf801f09ecc84b8d7e9495f27e305c6a9b0563a9b5f4d288405c3008a946df983d6"
        ),
    ),
    _make_address(bytes((192, 0, 2, 1))),
    1281608425,  # 2010-08-12 10:20:25
    1284027625,  # 2010-09-09 10:20:25
    base64.b64decode(
        "/L5hDKIvGDyI1fcARX3z65qrmPsVz73QD1Mr5CEqOiLP95hxQouuroGCeZOvzFaxsT8Glr74hbavRKayJNuydCuz"
        "WTSSPdz7wnqXL5bdcJzusdnI0RSMROxxwGipWcJm"
    ),
)

RFC_5702_SECTION_6_1 = SignedVector(
    DnsKey(
        256,
        8,
        base64.b64decode(
            "AwEAAcFcGsaxxdgiuuGmCkVImy4h99CqT7jwY3pexPGcnUFtR2Fh36BponcwtkZ4cAgtvd4Qs8PkxUdp6p/DlUmObdk="
        ),
    ),
    9033,
    None,
    _make_address(bytes((192, 0, 2, 91))),
    946684800,  # 2000-01-01
    1893456000,  # 2030-01-01
    base64.b64decode(
        "kRCOH6u7l0QGy9qpC9l1sLncJcOKFLJ7GhiUOibu4teYp5VE9RncriShZNz85mwlMgNEacFYK/lPtPiVYP4bwg=="
    ),
)

RFC_4034_SECTION_5_4 = DnsKey(
    256,
    5,
    base64.b64decode(
        "AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvx"
        "egXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw=="
    ),
)
"""The key of dskey.example.com, key tag 60485; RFC 4509, section 2.3, digests the same one."""
