"""What stands where in the state directory."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """Paths in one state directory."""

    path: Path

    @property
    def database(self) -> Path:
        """SQLite file with the KMS, the zones' keys and the audit log (mode 0600)."""
        return self.path / "signerd.db"

    @property
    def root_key(self) -> Path:
        """The root key, where the configuration names no other place (mode 0600)."""
        return self.path / "root.key"

    @property
    def admin_token(self) -> Path:
        """The token for the HTTP API, made at first start (mode 0600)."""
        return self.path / "admin.token"

    @property
    def audit_public_keys(self) -> Path:
        """Public keys that verify checkpoints of the audit log; a copy belongs with whoever verifies."""
        return self.path / "audit.pub"

    @property
    def published(self) -> Path:
        """Signed zones as the responders read them."""
        return self.path / "published"

    @property
    def rejected(self) -> Path:
        """Zone versions that the validator refused."""
        return self.path / "rejected"

    @property
    def run(self) -> Path:
        """Sockets of the running server."""
        return self.path / "run"

    @property
    def control_socket(self) -> Path:
        """Where the commands of the operator arrive."""
        return self.run / "control.sock"

    @property
    def responders_socket(self) -> Path:
        """Where the responders connect."""
        return self.run / "responders.sock"
