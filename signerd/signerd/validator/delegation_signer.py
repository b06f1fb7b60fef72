"""The way from the parent to the zone: DS and DNSKEY, CDS and CDNSKEY."""

from collections.abc import Collection, Sequence

from signerd.dns.name import Name
from signerd.dns.rdatatype import CDNSKEY, CDS, DNSKEY
from signerd.dns.rrset import RRset
from signerd.validator.key import matches_ds
from signerd.validator.report import FindingCollector

_DELETE_CDS = bytes.fromhex("0000000000")  # RFC 8078, section 4
_DELETE_CDNSKEY = bytes.fromhex("0000030000")  # RFC 8078, section 4, with the erratum: algorithm 0, key 0


def check_ds(apex: Name, ds: Sequence[bytes], signers: Collection[bytes], findings: FindingCollector) -> None:
    """Check that a validator that trusts the DS records accepts the DNSKEY RRset.

    While a KSK is replaced, a resolver may know the DS records of one key only: of any of them.

    Args:
        apex: The owner of the DNSKEY RRset.
        ds: DS RDATA; those of each key, by algorithm and key tag, must lead to a key that signs the DNSKEY
            RRset.
        signers: DNSKEY RDATA of the keys whose signature of the DNSKEY RRset verifies, revoked keys left out.
        findings: Takes what is wrong.
    """
    if not ds:
        findings.add(apex, DNSKEY, "no DS is given, so that nothing can be trusted")
    for algorithm, tag in sorted({(rdata[2], int.from_bytes(rdata[:2])) for rdata in ds if len(rdata) > 2}):
        head = (tag, algorithm)
        of_key = [rdata for rdata in ds if len(rdata) > 2 and (int.from_bytes(rdata[:2]), rdata[2]) == head]
        if not any(matches_ds(apex, signer, rdata) for rdata in of_key for signer in signers):
            reason = f"not signed by a key that matches the DS of key tag {tag}, algorithm {algorithm}"
            findings.add(apex, DNSKEY, reason)


def check_child_ds(
    apex: Name,
    cds: RRset | None,
    cdnskey: RRset | None,
    dnskeys: Collection[bytes],
    signers: Collection[bytes],
    findings: FindingCollector,
) -> None:
    """Check that CDS and CDNSKEY name keys of the zone, the same in both, or stand alone in the delete form.

    RFC 7344, section 4.1, and RFC 8078, section 4.

    Args:
        apex: Their owner.
        cds: Of the zone.
        cdnskey: Of the zone.
        dnskeys: DNSKEY RDATA of the zone's keys, revoked keys left out.
        signers: Those whose signature of the DNSKEY RRset verifies.
        findings: Takes what is wrong.
    """
    if cds is not None and _DELETE_CDS in cds.rdatas and len(cds.rdatas) > 1:
        findings.add(apex, CDS, "the delete form is not alone")
    if cdnskey is not None and _DELETE_CDNSKEY in cdnskey.rdatas and len(cdnskey.rdatas) > 1:
        findings.add(apex, CDNSKEY, "the delete form is not alone")
    by_cds: set[bytes] = set()
    for rdata in cds.rdatas if cds is not None else ():
        if rdata == _DELETE_CDS:
            by_cds.add(_DELETE_CDNSKEY)
            continue
        matches = [matches_ds(apex, dnskey, rdata) for dnskey in dnskeys]
        if True not in matches:
            wrong = "has an unsupported digest type" if None in matches else "matches no DNSKEY"
            findings.add(apex, CDS, f"mismatching CDS: {rdata.hex()} {wrong}")
        by_cds.update(dnskey for dnskey, good in zip(dnskeys, matches, strict=True) if good)
    for rdata in cdnskey.rdatas if cdnskey is not None else ():
        if rdata != _DELETE_CDNSKEY and rdata not in dnskeys:
            findings.add(apex, CDNSKEY, f"mismatching CDNSKEY: {rdata.hex()} is no DNSKEY of the zone")
    if cds is not None and cdnskey is not None and by_cds != set(cdnskey.rdatas):
        findings.add(apex, CDS, "CDS and CDNSKEY name different keys")
    named = by_cds | set(cdnskey.rdatas if cdnskey is not None else ())
    for algorithm in sorted({dnskey[3] for dnskey in named & set(dnskeys)}):
        if not any(dnskey[3] == algorithm for dnskey in named & set(signers)):
            # RFC 7344, section 4.1: what follows from them at the parent must not break the delegation.
            reason = f"no key of algorithm {algorithm} named by CDS or CDNSKEY signs the DNSKEY RRset"
            findings.add(apex, CDS if cds is not None else CDNSKEY, reason)
