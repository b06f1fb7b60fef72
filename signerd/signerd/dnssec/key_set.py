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
        zsks: Keys that sign everything else. One of an algorithm that comes or goes may sign without being
            published: signatures come before keys and go after them (RFC 6781, section 4.1.4).
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
        algorithms = {key.algorithm for key in self.published}
        for key in (*self.ksks, *self.former_zsks, *self.announced, *self.zsks):
            is_changing = key in self.zsks and key.algorithm not in algorithms
            if key not in self.published and not is_changing:
                raise UnusableKeySet(f"key {key.key_tag} signs or is announced, but is not published")
        keys = {*self.published, *self.zsks}
        if len({key.key_tag for key in keys}) != len(keys):
            raise UnusableKeySet("two keys have the same key tag")
        published_zsks = {key.algorithm for key in self.zsks if key in self.published}
        if {key.algorithm for key in self.ksks} != published_zsks:
            # RFC 4035 section 2.2: each algorithm of the DNSKEY RRset must sign everything.
            raise UnusableKeySet("KSKs and ZSKs must have the same algorithms")
        if self.asks_removal and self.announced:
            raise UnusableKeySet("a zone that asks for the removal of its DS records announces no keys")

    @property
    def unpublished(self) -> tuple[DnsKey, ...]:
        """Keys that sign and are not published."""
        return tuple(key for key in self.zsks if key not in self.published)

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
