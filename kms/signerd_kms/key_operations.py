"""The operations on keys as plain calls; batches go through `use_all`."""

import os
from collections.abc import Mapping

from sqlalchemy import Connection

from signerd_kms.attribution import Attribution
from signerd_kms.authentication_code import Mac, MacVerdict, VerifyMac
from signerd_kms.custodian import Custodian
from signerd_kms.encryption import DataKey, Decrypt, Decrypted, Encrypt, MakeDataKey, Rewrap
from signerd_kms.errors import InvalidRequest
from signerd_kms.export import Export, ExportedKey
from signerd_kms.export_approval import ExportApprovals, use_up_approval
from signerd_kms.hash_name import HashName
from signerd_kms.key import NO_TEXTS, KeyIdentity, Scope
from signerd_kms.key_use import KeyUse
from signerd_kms.signature import DEFAULT_FORM, SignatureForm
from signerd_kms.signing import Sign, Verify
from signerd_kms.state import Task
from signerd_kms.versioned_text import VersionedOctets

MAX_RANDOM = 4096  # octets in one call


class KeyOperations:
    """Calls that use one key once. `KeyUse.use` says what they raise in common."""

    def __init__(self, custodian: Custodian, use: KeyUse, approvals: ExportApprovals) -> None:
        self._custodian = custodian
        self._approvals = approvals
        self._use = use

    def encrypt(
        self,
        scope: Scope,
        identity: KeyIdentity,
        plaintext: bytes,
        *,
        by: Attribution,
        version: int | None = None,
        associated_data: bytes | None = None,
    ) -> VersionedOctets:
        """Encrypt; `Encrypt` says how.

        Raises:
            KeyVersionExhausted: The version has encrypted as many messages as it may.
        """
        return self._use.use(scope, identity, Encrypt(plaintext, version, associated_data), by=by)

    def decrypt(
        self,
        scope: Scope,
        identity: KeyIdentity,
        ciphertext: str,
        *,
        by: Attribution,
        associated_data: bytes | None = None,
    ) -> Decrypted:
        """Decrypt; `Decrypt` says how.

        Raises:
            DecryptFailed: For every reason that lies in the ciphertext or the associated data.
        """
        return self._use.use(scope, identity, Decrypt(ciphertext, associated_data), by=by)

    def rewrap(
        self,
        scope: Scope,
        identity: KeyIdentity,
        ciphertext: str,
        *,
        by: Attribution,
        associated_data: bytes | None = None,
    ) -> VersionedOctets:
        """Encrypt again under the newest version, without giving the plaintext out."""
        return self._use.use(scope, identity, Rewrap(ciphertext, associated_data), by=by)

    def make_data_key(
        self,
        scope: Scope,
        identity: KeyIdentity,
        *,
        by: Attribution,
        octets: int = 32,
        is_plaintext_wanted: bool = True,
        associated_data: bytes | None = None,
        version: int | None = None,
    ) -> DataKey:
        """Make a data key; `MakeDataKey` says how."""
        wish = MakeDataKey(octets, is_plaintext_wanted, associated_data, version)
        return self._use.use(scope, identity, wish, by=by)

    def sign(
        self,
        scope: Scope,
        identity: KeyIdentity,
        version: int | None,
        data: bytes,
        *,
        by: Attribution,
        form: SignatureForm = DEFAULT_FORM,
        context: Mapping[str, str] = NO_TEXTS,
    ) -> VersionedOctets:
        """Sign; `Sign` says how. No version is the newest.

        Raises:
            SchemeUnsupported: The form does not fit the type of the key.
            InvalidRequest: The message or the context breaks its rule.
        """
        return self._use.use(scope, identity, Sign(data, version, form, context), by=by)

    def verify(
        self,
        scope: Scope,
        identity: KeyIdentity,
        data: bytes,
        signature: str,
        *,
        by: Attribution,
        form: SignatureForm = DEFAULT_FORM,
    ) -> bool:
        """Say whether a signature was made over a message by any version of the key."""
        return self._use.use(scope, identity, Verify(data, signature, form), by=by)

    def mac(
        self,
        scope: Scope,
        identity: KeyIdentity,
        data: bytes,
        *,
        by: Attribution,
        version: int | None = None,
        hash_name: HashName | None = None,
    ) -> VersionedOctets:
        """Make a MAC; `Mac` says how."""
        return self._use.use(scope, identity, Mac(data, version, hash_name), by=by)

    def verify_mac(
        self,
        scope: Scope,
        identity: KeyIdentity,
        data: bytes,
        mac: str,
        *,
        by: Attribution,
        hash_name: HashName | None = None,
    ) -> MacVerdict:
        """Say whether a MAC was made of a message by any version of the key."""
        return self._use.use(scope, identity, VerifyMac(data, mac, hash_name), by=by)

    def export(
        self,
        scope: Scope,
        identity: KeyIdentity,
        *,
        by: Attribution,
        version: int | None = None,
        needs_approval: bool = False,
    ) -> ExportedKey:
        """Give key material out.

        Args:
            scope: Where the key lives.
            identity: The key.
            by: Who asks.
            version: The newest if None.
            needs_approval: Only if another person has approved; the approval is used up.

        Raises:
            ExportNotAllowed: The key was not made exportable.
            ExportNotApproved: There is no approval.
        """
        approval = self._approvals.find_approval(scope, identity, by) if needs_approval else None
        use = Export(version, needs_approval, approval)
        if approval is None:
            return self._use.use(scope, identity, use, by=by)
        found = approval

        def store(connection: Connection, made: ExportedKey) -> ExportedKey:
            use_up_approval(connection, scope, found)
            return made

        return self._use.use_and_store(scope, identity, use, store, by=by)

    def random(self, scope: Scope, octets: int, *, by: Attribution) -> bytes:
        """Give random octets; audited.

        Raises:
            InvalidRequest: Not 1 to 4096 octets.
        """
        if not 1 <= octets <= MAX_RANDOM:
            raise InvalidRequest(f"1 to {MAX_RANDOM} random octets are given at once, not {octets}")
        with self._custodian.unsealed(Task.USE):
            made = os.urandom(octets)
            store = self._custodian.store
            store.write(
                lambda connection: store.record_place_event(
                    connection, "kms.random", scope, by, details={"octets": octets}
                )
            )
            return made
