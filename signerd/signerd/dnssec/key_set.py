"""The keys of a zone and what each of them does there."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from signerd.dnssec.key import DnsKey


class UnusableKeySet(ValueError):
    """The keys cannot sign a zone."""

    code = "dnssec.unusable_key_set"


@dataclass(frozen=True, slots=True)
class KeySet:
    """The DNSKEY RRset of a zone, and which of its keys sign.

    Attributes:
        published: All keys in the DNSKEY RRset.
        ksks: Keys that sign the DNSKEY, CDS and CDNSKEY RRsets.
        zsks: Keys that sign everything else.
        former_zsks: Published keys that sign no more, but whose signatures stay until they are due.
        announced: Keys that the parent shall have DS records of: they get CDS and CDNSKEY records.
        asks_removal: CDS and CDNSKEY ask the parent to remove all DS records (RFC 8078, section 4).
    """

    published: tuple[DnsKey, ...]
    ksks: tuple[DnsKey, ...]
    zsks: tuple[DnsKey, ...]
    former_zsks: tuple[DnsKey, ...] = ()
    announced: tuple[DnsKey, ...] = ()
    asks_removal: bool = False

    def __post_init__(self) -> None:
        if not self.ksks or not self.zsks:
            raise UnusableKeySet("a zone needs at least one key that signs keys and one that signs data")
        for key in (*self.ksks, *self.zsks, *self.former_zsks, *self.announced):
            if key not in self.published:
                raise UnusableKeySet(f"key {key.key_tag} signs or is announced, but is not published")
        if len({key.key_tag for key in self.published}) != len(set(self.published)):
            raise UnusableKeySet("two published keys have the same key tag")
        if {key.algorithm for key in self.ksks} != {key.algorithm for key in self.zsks}:
            # RFC 4035 section 2.2: each algorithm of the DNSKEY RRset must sign everything.
            raise UnusableKeySet("KSKs and ZSKs must have the same algorithms")
        if self.asks_removal and self.announced:
            raise UnusableKeySet("a zone that asks for the removal of its DS records announces no keys")

    @classmethod
    def from_keys(cls, keys: Iterable[DnsKey]) -> Self:
        """Give each key the work that its SEP flag says; a key set of one kind does all work (CSK)."""
        published = tuple(dict.fromkeys(keys))
        with_sep = tuple(key for key in published if key.is_ksk)
        without_sep = tuple(key for key in published if not key.is_ksk)
        return cls(
            published,
            ksks=with_sep or without_sep,
            zsks=without_sep or with_sep,
            announced=with_sep or published,
        )
