"""Who a client is by the certificate of its own end of a TLS connection."""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

_PREFIXES: tuple[tuple[type[x509.GeneralName], str], ...] = (
    (x509.DNSName, "dns:"),
    (x509.UniformResourceIdentifier, "uri:"),
    (x509.RFC822Name, "email:"),
)


class CertificateMalformed(ValueError):
    """A certificate cannot be read; nobody is known by it."""

    code = "platform.certificate_malformed"


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What is read of a certificate that TLS has verified.

    Attributes:
        fingerprint: SHA-256 of the whole, in hexadecimal and lower case.
        names: Subject alternative names, such as `dns:host.example`, `uri:spiffe://x/y`, `email:a@b.example`.
            The subject itself counts for nothing: authorities check it less.
        not_after: When it ends, in seconds since 1970, UTC. A connection may outlive it.
    """

    fingerprint: str
    names: frozenset[str]
    not_after: int

    @classmethod
    def read(cls, octets: bytes) -> "ClientCertificate":
        """Read a certificate in DER.

        Raises:
            CertificateMalformed: It cannot be read.
        """
        try:
            certificate = x509.load_der_x509_certificate(octets)
            return cls(
                certificate.fingerprint(SHA256()).hex(),
                _read_names(certificate),
                int(certificate.not_valid_after_utc.timestamp()),
            )
        except ValueError as error:
            raise CertificateMalformed("the client's certificate cannot be read") from error


@dataclass(frozen=True, slots=True)
class CertifiedIdentity:
    """Whom a certificate speaks for: a user, or a service account of an organisation.

    Attributes:
        name: A subject alternative name as in `ClientCertificate`.
        fingerprint: Likewise; one of both is given.
        user: Subject.
        service_account: Identity or slug.
        organisation: Of the service account, identity or slug.
    """

    name: str | None = None
    fingerprint: str | None = None
    user: str | None = None
    service_account: str | None = None
    organisation: str | None = None

    def fits(self, certificate: ClientCertificate) -> bool:
        """Say if it is this certificate that is meant."""
        if self.fingerprint is not None:
            return self.fingerprint == certificate.fingerprint
        return self.name in certificate.names


def find_identity(
    identities: Sequence[CertifiedIdentity], certificate: ClientCertificate, now: int
) -> CertifiedIdentity | None:
    """Give the first that fits a certificate which is still good; None if nobody is known by it."""
    if certificate.not_after < now:
        return None
    return next((identity for identity in identities if identity.fits(certificate)), None)


def _read_names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    found: set[str] = set()
    for name in names:
        for kind, prefix in _PREFIXES:
            if isinstance(name, kind):
                text = str(name.value)
                found.add(prefix + (text.lower() if kind is x509.DNSName else text))
    return frozenset(found)
