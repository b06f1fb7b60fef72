"""A model zone: what is served of it, signed by the real schedule of expirations."""

from collections.abc import Mapping
from dataclasses import dataclass

from signerd.dns import rdatatype as rt
from signerd.dns.name import Name
from signerd.dnssec.expiration import ExpirationSchedule
from signerd.dnssec.policy import SigningPolicy
from signerd.simulation.history import History, ServedKey, ServedSet, Signature
from signerd.timetable.arrangement import Arrangement

APEX = Name(b"\x07example\x00")
_DATA = (("SOA", APEX, rt.SOA), ("www A", Name(b"\x03www\x07example\x00"), rt.A))


@dataclass(frozen=True, slots=True)
class _Signed:
    signatures: tuple[Signature, ...]

    @property
    def first_expiration(self) -> int:
        return min(signature.expiration for signature in self.signatures)


class ModelZone:
    """What a signer serves, and two name servers that show it: one at once, one late."""

    def __init__(self, policy: SigningPolicy, secondary_lag: int, history: History) -> None:
        self._policy = policy
        self._lags = {"first": 0, "last": secondary_lag}
        self._history = history
        self._keys = frozenset[ServedKey]()
        self._key_set: _Signed | None = None
        self._data: dict[str, _Signed] = {}
        self.denial: str | None = None
        self.dnskey_ttl = 0
        self.largest_ttl = 0

    @property
    def published(self) -> frozenset[str]:
        """Names of the keys in the DNSKEY RRset."""
        return frozenset(key.name for key in self._keys)

    @property
    def signing(self) -> frozenset[str]:
        """Names of the keys that have signatures over data."""
        return frozenset(each.key.name for signed in self._data.values() for each in signed.signatures)

    @property
    def covering(self) -> frozenset[int]:
        """Algorithms that have signatures over all data."""
        found = frozenset(each.key.algorithm for signed in self._data.values() for each in signed.signatures)
        for signed in self._data.values():
            found &= {each.key.algorithm for each in signed.signatures}
        return found

    @property
    def next_due(self) -> int | None:
        """When a signature is due, wall time."""
        signed = [*self._data.values(), *([self._key_set] if self._key_set else [])]
        first = min((each.first_expiration for each in signed), default=None)
        return None if first is None else first - self._policy.refresh_margin_seconds

    def publish(
        self,
        wanted: Arrangement,
        algorithms: Mapping[str, int],
        ksks: frozenset[str],
        *,
        now: int,
        wall: int,
        is_kms_open: bool,
    ) -> bool:
        """Sign and serve what is wanted, as far as keys can be used.

        Args:
            wanted: What shall be published.
            algorithms: Of each key.
            ksks: Names of the keys that sign keys.
            now: True time.
            wall: What the signer's clock says.
            is_kms_open: Whether the key set can be signed.

        Returns:
            Whether something new is served.
        """
        keys = frozenset(ServedKey(name, algorithms[name]) for name in wanted.published)
        signers = [key for key in sorted(keys) if key.name in ksks]
        schedule = ExpirationSchedule(APEX, self._policy, wall)
        key_set = self._sign(self._key_set, signers, [], schedule, APEX, rt.DNSKEY, wall)
        if keys != self._keys:
            key_set = self._make(signers, schedule, APEX, rt.DNSKEY, wall) if signers else None
        if (keys != self._keys or key_set != self._key_set) and keys and not is_kms_open:
            # The whole version fails if its key set cannot be signed; data that is due is signed on its own.
            if keys != self._keys:
                return False
            key_set = self._key_set
        data: dict[str, _Signed] = {}
        zsks = [ServedKey(name, algorithms[name]) for name in wanted.signing]
        former = [ServedKey(name, algorithms[name]) for name in wanted.former]
        if zsks:
            for name, owner, rdatatype in _DATA:
                signed = self._sign(self._data.get(name), zsks, former, schedule, owner, rdatatype, wall)
                if signed is not None:
                    data[name] = signed
        denial = wanted.denial if zsks else None
        is_new = (keys, key_set, data, denial) != (self._keys, self._key_set, self._data, self.denial)
        self._keys, self._key_set, self._data, self.denial = keys, key_set, data, denial
        if is_new:
            self.serve(now)
        return is_new

    def serve(self, now: int) -> None:
        """Show the present version on all name servers."""
        for server, lag in self._lags.items():
            at = now + lag
            if self._key_set is None:
                self._history.drop(server, "DNSKEY", at)
            else:
                self._history.serve(
                    ServedSet(server, "DNSKEY", at, at, self.dnskey_ttl, self._keys, self._key_set.signatures)
                )
            for name, _, _ in _DATA:
                signatures = self._data[name].signatures if name in self._data else ()
                self._history.serve(
                    ServedSet(server, name, at, at, self.largest_ttl, frozenset(), signatures)
                )

    def _sign(
        self,
        present: _Signed | None,
        keys: list[ServedKey],
        former: list[ServedKey],
        schedule: ExpirationSchedule,
        owner: Name,
        rdatatype: int,
        wall: int,
    ) -> _Signed | None:
        """Keep signatures that are neither due nor unwanted.

        One of a former key stands in for one of its algorithm until it is due.
        """
        if not keys:
            return None
        limit = wall + self._policy.refresh_margin_seconds
        fresh = {
            each.key: each
            for each in (present.signatures if present else ())
            if each.expiration > limit and each.inception <= wall
        }
        chosen: list[Signature] = []
        for key in keys:
            substitutes = [key, *(other for other in former if other.algorithm == key.algorithm)]
            kept = next((fresh[other] for other in substitutes if other in fresh), None)
            chosen.append(kept or self._sign_with(key, schedule, owner, rdatatype, wall))
        return _Signed(tuple(sorted(chosen)))

    def _make(
        self, keys: list[ServedKey], schedule: ExpirationSchedule, owner: Name, rdatatype: int, wall: int
    ) -> _Signed:
        return _Signed(tuple(sorted(self._sign_with(key, schedule, owner, rdatatype, wall) for key in keys)))

    def _sign_with(
        self, key: ServedKey, schedule: ExpirationSchedule, owner: Name, rdatatype: int, wall: int
    ) -> Signature:
        inception = wall - self._policy.inception_offset_seconds
        return Signature(key, inception, schedule.expire(owner, rdatatype))
