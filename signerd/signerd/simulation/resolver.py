"""A model resolver with any cache age: it finds the moments at which some resolver could not validate.

It shares nothing with the timetable. A resolver may have fetched the DS set, the DNSKEY set and an answer
at different moments and from different servers, and keeps each for its TTL. So each two versions whose times
in caches overlap can meet, and must fit.

The model is stricter than most: each algorithm of the DS set must lead to a DNSKEY, and each algorithm of the
DNSKEY set must have signed each answer (RFC 4035, section 2.2).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from signerd.simulation.history import History, ServedSet


@dataclass(frozen=True, slots=True)
class Failure:
    """Some resolver could not validate.

    Attributes:
        start: From when, true time.
        end: Until when.
        reason: Why.
        is_expiry: Signatures ran out; keys do not matter.
    """

    start: int
    end: int
    reason: str
    is_expiry: bool = False


def find_failures(history: History) -> Sequence[Failure]:
    """Find all moments of a finished history at which some resolver could not validate."""
    delegations = _merge(version for version in history.served if version.rrset == "DS" and version.keys)
    key_sets = _merge(version for version in history.served if version.rrset == "DNSKEY")
    answers = _merge(version for version in history.served if version.rrset not in ("DS", "DNSKEY"))
    secure = _unite((version.start, _leave_caches(version)) for version in delegations)
    failures = [
        Failure(start, end, f"DS of {_name(ds)} meets DNSKEY set {_name(keys)} signed by {_signers(keys)}")
        for ds, keys in _meet(delegations, key_sets)
        if not _leads_to(ds, keys)
        for start, end in [(max(ds.start, keys.start), min(_leave_caches(ds), _leave_caches(keys)))]
    ]
    for keys, answer in _meet(key_sets, answers):
        if _validates(keys, answer):
            continue
        start, end = max(keys.start, answer.start), min(_leave_caches(keys), _leave_caches(answer))
        failures += [
            Failure(
                max(start, begin),
                min(end, finish),
                f"DNSKEY set {_name(keys)} meets {answer.rrset} signed by {_signers(answer)}",
            )
            for begin, finish in secure
            if begin < end and start < finish
        ]
    failures += _find_unsigned(history, secure)
    failures += _find_expiries(history, secure)
    return failures


def _leave_caches(version: ServedSet) -> int:
    return version.end + version.ttl


def _name(version: ServedSet) -> str:
    return "{" + ", ".join(sorted(key.name for key in version.keys)) + "}"


def _signers(version: ServedSet) -> str:
    return "{" + ", ".join(sorted(signature.key.name for signature in version.signatures)) + "}"


def _leads_to(ds: ServedSet, keys: ServedSet) -> bool:
    anchors = {signature.key for signature in keys.signatures} & keys.keys & ds.keys
    return {key.algorithm for key in ds.keys} <= {key.algorithm for key in anchors}


def _validates(keys: ServedSet, answer: ServedSet) -> bool:
    good = {signature.key for signature in answer.signatures} & keys.keys
    return {key.algorithm for key in keys.keys} <= {key.algorithm for key in good}


def _merge(versions: Iterable[ServedSet]) -> list[ServedSet]:
    """Join versions that follow each other and differ in the times of their signatures only."""
    joined: list[ServedSet] = []
    latest: dict[tuple[str, str], int] = {}
    for version in sorted(versions, key=lambda each: each.start):
        place = version.server, version.rrset
        index = latest.get(place)
        if index is not None:
            former = joined[index]
            if (
                former.keys == version.keys
                and former.ttl == version.ttl
                and former.end >= version.start
                and {each.key for each in former.signatures} == {each.key for each in version.signatures}
            ):
                joined[index] = replace(former, end=max(former.end, version.end))
                continue
        latest[place] = len(joined)
        joined.append(version)
    return joined


def _meet(first: Sequence[ServedSet], second: Sequence[ServedSet]) -> Iterator[tuple[ServedSet, ServedSet]]:
    """Give each two versions that may be in caches at one moment; both lists are in order of their start."""
    begin = 0
    longest = max((_leave_caches(version) - version.start for version in second), default=0)
    for version in first:
        while begin < len(second) and second[begin].start + longest <= version.start:
            begin += 1
        end = _leave_caches(version)
        for other in second[begin:]:
            if other.start >= end:
                break
            if _leave_caches(other) > version.start:
                yield version, other


def _unite(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    united: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if united and start <= united[-1][1]:
            united[-1] = united[-1][0], max(end, united[-1][1])
        else:
            united.append((start, end))
    return united


def _find_unsigned(history: History, secure: Sequence[tuple[int, int]]) -> Iterator[Failure]:
    """Find when a server had no DNSKEY set although a cache could have a DS record."""
    servers = {version.server for version in history.served if version.rrset != "DS"}
    for server in servers:
        spans = _unite(
            (version.start, version.end)
            for version in history.served
            if version.server == server and version.rrset == "DNSKEY"
        )
        for begin, finish in secure:
            moment = begin
            for start, end in spans:
                if start > moment and start < finish:
                    yield Failure(moment, start, f"{server} has no DNSKEY set")
                moment = max(moment, end)
            if moment < min(finish, history.end):
                yield Failure(moment, finish, f"{server} has no DNSKEY set")


def _find_expiries(history: History, secure: Sequence[tuple[int, int]]) -> Iterator[Failure]:
    for version in history.served:
        for signature in version.signatures:
            for start, end in (
                (version.start, signature.inception),
                (signature.expiration, version.end),
            ):
                for begin, finish in secure:
                    first, last = max(start, begin, version.start), min(end, finish, version.end)
                    if first < last:
                        reason = f"{version.rrset} signed by {signature.key.name} is outside its validity"
                        yield Failure(first, last, reason, is_expiry=True)
