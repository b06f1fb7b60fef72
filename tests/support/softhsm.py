"""A SoftHSM2 token in a directory of its own."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from signerd_kms.seals.token import TokenPlace

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "123456"


@dataclass(frozen=True)
class SoftHsm:
    """A token that can be taken away and brought back."""

    directory: Path
    token: str = "signerd"  # noqa: S105  # its label

    @property
    def configuration(self) -> Path:
        return self.directory / "softhsm2.conf"

    @property
    def tokens(self) -> Path:
        return self.directory / "tokens"

    @property
    def pin_file(self) -> Path:
        return self.directory / "pin"

    def place(self, key: str = "root", *, may_make_key: bool = True) -> TokenPlace:
        return TokenPlace(MODULE, self.token, key, self.pin_file, may_make_key)

    def take_away(self) -> None:
        self.tokens.rename(self.directory / "elsewhere")
        self.tokens.mkdir()

    def bring_back(self) -> None:
        shutil.rmtree(self.tokens)
        (self.directory / "elsewhere").rename(self.tokens)


def make_token(directory: Path) -> SoftHsm:
    """Make one; the environment of whoever uses it needs SOFTHSM2_CONF."""
    hsm = SoftHsm(directory)
    hsm.tokens.mkdir(parents=True)
    hsm.configuration.write_text(f"directories.tokendir = {hsm.tokens}\nlog.level = ERROR\n")
    hsm.pin_file.touch(0o600)
    hsm.pin_file.write_text(f"{PIN}\n")
    subprocess.run(
        [
            "softhsm2-util",
            "--init-token",
            "--free",
            "--label",
            hsm.token,
            "--pin",
            PIN,
            "--so-pin",
            "12345678",
        ],
        env=os.environ | {"SOFTHSM2_CONF": str(hsm.configuration)},
        check=True,
        capture_output=True,
    )
    return hsm
