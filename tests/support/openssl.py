"""The openssl command line, as another opinion on keys and signatures."""

import os
import subprocess
from pathlib import Path

EPHEMERAL_OCTETS = 32


def run_openssl(directory: Path, *arguments: str, **files: bytes) -> bytes:
    """Run a command in a directory, after the files named by keyword are written there."""
    for name, octets in files.items():
        (directory / name).write_bytes(octets)
    done = subprocess.run(
        ["openssl", *arguments], cwd=directory, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def wrap_for_import(directory: Path, public_pem: bytes, target: bytes, *, oaep_hash: str = "sha256") -> bytes:
    """Wrap a key as the documentation of imports says: RSA-OAEP of a one-time key, then AES-KWP under it."""
    ephemeral = os.urandom(EPHEMERAL_OCTETS)
    head = run_openssl(
        directory,
        *("pkeyutl", "-encrypt", "-pubin", "-inkey", "wrapping.pem", "-in", "ephemeral"),
        *("-pkeyopt", "rsa_padding_mode:oaep"),
        *("-pkeyopt", f"rsa_oaep_md:{oaep_hash}", "-pkeyopt", f"rsa_mgf1_md:{oaep_hash}"),
        ephemeral=ephemeral,
        **{"wrapping.pem": public_pem},
    )
    # the initial value of RFC 5649, section 3
    tail = run_openssl(
        directory,
        *("enc", "-id-aes256-wrap-pad", "-K", ephemeral.hex(), "-iv", "A65959A6", "-in", "target"),
        target=target,
    )
    return head + tail


def make_private_key(directory: Path, *options: str) -> bytes:
    """Make a private key; gives PKCS#8 in DER."""
    run_openssl(directory, "genpkey", *options, "-outform", "DER", "-out", "private.der")
    return run_openssl(
        directory, "pkcs8", "-topk8", "-nocrypt", "-inform", "DER", "-in", "private.der", "-outform", "DER"
    )
