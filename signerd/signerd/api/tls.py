"""TLS of the admin API, with certificates that can be replaced while it runs."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# TLS 1.2 only with forward secrecy and AEAD; TLS 1.3 has nothing else
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"


class TlsRefused(Exception):
    """The certificate, its key or the client authorities cannot be used; the message says which."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where certificates are.

    Attributes:
        certificate: PEM, with the chain.
        key: PEM of its private key, not encrypted.
        client_authorities: PEM; if given, only clients with a certificate of one of them get a connection.
            Who calls is known by the credential of each request, or by the certificate if it is one of those
            that the configuration gives an identity.
    """

    certificate: Path
    key: Path
    client_authorities: Path | None = None

    def list_paths(self) -> list[Path]:
        """Give all files."""
        found = [self.certificate, self.key]
        return found if self.client_authorities is None else [*found, self.client_authorities]


class ReloadableTls:
    """A context that new connections use with the newest certificate."""

    def __init__(self, files: TlsFiles) -> None:
        """Load the files.

        Raises:
            TlsRefused: They cannot be used.
        """
        self._files = files
        self._seen = self._look()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_ciphers(CIPHERS)
        self.context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        self.context.set_alpn_protocols(["http/1.1"])
        if files.client_authorities is not None:
            try:
                self.context.load_verify_locations(str(files.client_authorities))
            except (OSError, ssl.SSLError) as error:
                raise TlsRefused(f"{files.client_authorities}: {_explain(error)}") from error
            self.context.verify_mode = ssl.CERT_REQUIRED
        self._load(self.context)

    def reload_if_changed(self) -> bool:
        """Load the certificate again if a file has changed; for a worker thread.

        Authorities of clients are added and never taken away before a restart.

        Returns:
            Whether it was.

        Raises:
            TlsRefused: The new files cannot be used; the old certificate stays.
        """
        seen = self._look()
        if seen == self._seen:
            return False
        self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # a context that fails half way keeps half
        self._load(self.context)
        if self._files.client_authorities is not None:
            try:
                self.context.load_verify_locations(str(self._files.client_authorities))
            except (OSError, ssl.SSLError) as error:
                raise TlsRefused(f"{self._files.client_authorities}: {_explain(error)}") from error
        self._seen = seen
        return True

    def _load(self, context: ssl.SSLContext) -> None:
        files = self._files
        try:
            context.load_cert_chain(str(files.certificate), str(files.key), password=_refuse_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise TlsRefused(f"{files.certificate} and {files.key}: {_explain(error)}") from error

    def _look(self) -> list[tuple[int, int, int]]:
        found: list[tuple[int, int, int]] = []
        for path in self._files.list_paths():
            try:
                status = path.stat()
            except OSError as error:
                raise TlsRefused(f"{path}: {_explain(error)}") from error
            found.append((status.st_ino, status.st_mtime_ns, status.st_size))
        return found


def _refuse_password() -> str:
    raise ValueError("the private key is encrypted, and nobody is there to ask for its password")


def _explain(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not usable").lower().replace("_", " ")
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
