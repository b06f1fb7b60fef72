import base64
import logging
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from signerd_kms.errors import InvalidRequest, RootKeyMissing, RootKeyRefused, SealNotReady, UnwrapFailed
from signerd_kms.seals.credential import CredentialSeal
from signerd_kms.seals.environment import EnvironmentSeal
from signerd_kms.seals.key_file import FileSeal
from signerd_kms.seals.passphrase import ArgonCost, PassphraseSeal
from signerd_kms.wrapping import LiveKey, WrappedKey, wrap

SECRET = b"r" * 32
PASSPHRASE = "correct horse battery"  # noqa: S105  # of the tests
CHEAP = ArgonCost(memory_kib=64, passes=1, lanes=1)


def write(path: Path, octets: bytes, mode: int = 0o600) -> Path:
    path.touch()
    path.chmod(0o600)
    path.write_bytes(octets)
    path.chmod(mode)
    return path


def flip_each_bit_position(wrapped: WrappedKey) -> list[WrappedKey]:
    flipped: list[WrappedKey] = []
    for position in range(len(wrapped.octets)):
        changed = bytearray(wrapped.octets)
        changed[position] ^= 1 << position % 8
        flipped.append(WrappedKey(bytes(changed), wrapped.key_check))
    return flipped


# Files


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_file_may_hold_base64(tmp_path: Path, end: bytes) -> None:
    key = os.urandom(32)
    raw = FileSeal(write(tmp_path / "raw", key))
    text = FileSeal(write(tmp_path / "text", base64.b64encode(key) + end))
    with text.unwrap(raw.wrap(SECRET, b"aad"), b"aad") as live:
        assert live.octets == SECRET


@pytest.mark.parametrize(
    "text", [b"A" * 43, b"!" * 44, base64.b64encode(bytes(31)), base64.b64encode(bytes(33))]
)
def test_a_file_with_other_text_is_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(RootKeyRefused, match="32"):
        FileSeal(write(tmp_path / "text", text)).wrap(SECRET, b"")


def test_a_root_key_wrapped_before_seal_keys_had_ids_opens(tmp_path: Path) -> None:
    key = os.urandom(32)
    seal = FileSeal(write(tmp_path / "root.key", key))
    with LiveKey(bytes(bytearray(key))) as live:
        old = wrap(live, SECRET, b"aad")
    with seal.unwrap(old, b"aad") as opened:
        assert opened.octets == SECRET


def test_the_previous_file_opens_and_the_current_one_wraps(tmp_path: Path) -> None:
    old, new = write(tmp_path / "old", os.urandom(32)), write(tmp_path / "new", os.urandom(32))
    wrapped = FileSeal(old).wrap(SECRET, b"aad")
    with pytest.raises(UnwrapFailed, match="wrapped under the seal key"):
        FileSeal(new).unwrap(wrapped, b"aad")
    both = FileSeal(new, previous=old)
    both.unwrap(wrapped, b"aad").close()
    again = both.wrap(SECRET, b"aad")
    old.unlink()
    both.unwrap(again, b"aad").close()
    with pytest.raises(UnwrapFailed):
        both.unwrap(wrapped, b"aad")


def test_a_changed_wrap_does_not_open(tmp_path: Path) -> None:
    seal = FileSeal(tmp_path / "root.key")
    seal.prepare()
    wrapped = seal.wrap(SECRET, b"aad")
    for changed in [
        *flip_each_bit_position(wrapped),
        WrappedKey(wrapped.octets, bytes(16)),
        WrappedKey(b"", b""),
    ]:
        with pytest.raises(UnwrapFailed):
            seal.unwrap(changed, b"aad")


# Credentials


def test_a_credential_opens_what_it_wrapped(tmp_path: Path) -> None:
    write(tmp_path / "root", os.urandom(32), 0o440)  # systemd's ACL shows as permissions of the group
    seal = CredentialSeal("root", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    seal.prepare()
    with seal.unwrap(seal.wrap(SECRET, b"aad"), b"aad") as live:
        assert live.octets == SECRET


def test_a_credential_that_is_missing_or_open_to_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RootKeyMissing, match="LoadCredentialEncrypted=root"):
        CredentialSeal("root", {}).prepare()
    seal = CredentialSeal("root", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    with pytest.raises(RootKeyMissing, match="credential is missing"):
        seal.prepare()
    write(tmp_path / "root", os.urandom(32), 0o444)
    with pytest.raises(RootKeyRefused, match="0444"):
        seal.prepare()


# Environment


def test_a_variable_is_read_removed_and_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    text = base64.b64encode(os.urandom(32)).decode()
    environment = {"ROOT": text, "HOME": "/"}
    seal = EnvironmentSeal("ROOT", environment)
    assert environment == {"HOME": "/"}
    assert "ROOT" in caplog.text
    assert text not in caplog.text
    assert caplog.records[0].levelno == logging.WARNING
    wrapped = seal.wrap(SECRET, b"aad")
    for _ in range(2):
        with seal.unwrap(wrapped, b"aad") as live:
            assert live.octets == SECRET
    with EnvironmentSeal("ROOT", {"ROOT": text}).unwrap(wrapped, b"aad") as live:
        assert live.octets == SECRET


def test_sealing_wipes_the_key_of_a_variable() -> None:
    seal = EnvironmentSeal("ROOT", {"ROOT": base64.b64encode(os.urandom(32)).decode()})
    wrapped = seal.wrap(SECRET, b"")
    seal.forget()
    with pytest.raises(SealNotReady, match="restart"):
        seal.unwrap(wrapped, b"")
    with pytest.raises(SealNotReady, match="not set"):
        EnvironmentSeal("ROOT", {}).prepare()


def test_a_variable_that_is_no_key_is_refused_without_being_shown() -> None:
    with pytest.raises(RootKeyRefused, match="variable ROOT has 8 octets") as caught:
        EnvironmentSeal("ROOT", {"ROOT": "password"}).prepare()
    assert "password" not in str(caught.value)


# Passphrases


def give(seal: PassphraseSeal, passphrase: str = PASSPHRASE) -> PassphraseSeal:
    seal.give(passphrase)
    return seal


def test_a_passphrase_opens_what_it_wrapped_and_no_other_does() -> None:
    seal = give(PassphraseSeal(cost=CHEAP))
    wrapped = seal.wrap(SECRET, b"aad")
    with seal.unwrap(wrapped, b"aad") as live:
        assert live.octets == SECRET
    assert seal.wrap(SECRET, b"aad").octets[10:26] != wrapped.octets[10:26]
    with pytest.raises(UnwrapFailed, match="passphrase is wrong"):
        give(PassphraseSeal(cost=CHEAP), "correct horse batterz").unwrap(wrapped, b"aad")
    with pytest.raises(UnwrapFailed):
        seal.unwrap(wrapped, b"other")
    seal.forget()
    with pytest.raises(SealNotReady, match="signerd unseal"):
        seal.unwrap(wrapped, b"aad")


def test_a_passphrase_is_the_same_however_its_letters_are_composed() -> None:
    seal = give(PassphraseSeal(cost=CHEAP), "sch\u00f6ne gr\u00fc\u00dfe an alle")
    wrapped = seal.wrap(SECRET, b"")
    give(seal, "scho\u0308ne gru\u0308\u00dfe an alle").unwrap(wrapped, b"").close()


def test_a_changed_wrap_of_a_passphrase_does_not_open() -> None:
    seal = give(PassphraseSeal(cost=CHEAP))
    wrapped = seal.wrap(SECRET, b"")
    header = struct.Struct(">BIIB16s")
    rest = wrapped.octets[header.size :]
    salt = wrapped.octets[10:26]
    costs = [(65, 1, 1), (64, 2, 1), (128, 1, 2)]
    planted = [WrappedKey(header.pack(3, *cost, salt) + rest, wrapped.key_check) for cost in costs]
    flipped = [
        WrappedKey(wrapped.octets[:at] + bytes((wrapped.octets[at] ^ 1,)) + wrapped.octets[at + 1 :], b"")
        for at in (0, *range(10, len(wrapped.octets)))
    ]
    for changed in [*planted, *flipped]:
        with pytest.raises(UnwrapFailed):
            seal.unwrap(changed, b"")


@pytest.mark.parametrize(
    ("memory_kib", "passes", "lanes"),
    [
        (2**32 - 1, 1, 1),
        (2**20 + 1, 1, 1),
        (64, 2**32 - 1, 1),
        (64, 17, 1),
        (64, 0, 1),
        (0, 1, 1),
        (7, 1, 1),
        (4096, 1, 255),
        (4096, 1, 0),
    ],
)
def test_planted_absurd_costs_are_refused_before_any_derivation(
    memory_kib: int, passes: int, lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal = give(PassphraseSeal(cost=CHEAP))
    wrapped = seal.wrap(SECRET, b"")
    planted = struct.pack(">BIIB", 3, memory_kib, passes, lanes) + wrapped.octets[10:]
    derived: list[object] = []

    def derive(**arguments: object) -> bytes:
        derived.append(arguments)
        return b""

    monkeypatch.setattr("signerd_kms.seals.passphrase.hash_secret_raw", derive)
    with pytest.raises(UnwrapFailed, match="not believed"):
        seal.unwrap(WrappedKey(planted, wrapped.key_check), b"")
    assert derived == []


def test_the_default_cost_is_256_mib_and_three_passes() -> None:
    seal = give(PassphraseSeal())
    wrapped = seal.wrap(SECRET, b"")
    assert struct.unpack_from(">BIIB", wrapped.octets) == (3, 256 * 1024, 3, 1)
    seal.unwrap(wrapped, b"").close()


@pytest.mark.parametrize("passphrase", ["s", "short", "elevenchars", "e\u0301levenchars"])
def test_a_short_passphrase_is_not_set(passphrase: str) -> None:
    seal = give(PassphraseSeal(cost=CHEAP), passphrase)
    for call in (seal.prepare, lambda: seal.wrap(SECRET, b"")):
        with pytest.raises(InvalidRequest, match="12"):
            call()


def test_an_empty_or_endless_passphrase_is_refused() -> None:
    for passphrase in ("", "x" * 1025):
        with pytest.raises(InvalidRequest, match="1024"):
            PassphraseSeal().give(passphrase)


DERIVE_AT_ONCE = """
import threading
from argon2.low_level import Type, hash_secret_raw
from signerd_kms.seals.passphrase import ArgonCost, PassphraseSeal

def derive(lanes):
    for _ in range(20):
        hash_secret_raw(b"p" * 12, b"s" * 16, 1, 4096, lanes, 32, Type.ID)

def wrap():
    seal = PassphraseSeal(cost=ArgonCost(4096, 1, 4))
    seal.give("correct horse battery")
    for _ in range(20):
        seal.unwrap(seal.wrap(b"r" * 32, b""), b"").close()

threads = [threading.Thread(target=derive, args=(lanes,)) for lanes in (2, 2, 4, 4)]
threads += [threading.Thread(target=wrap) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("all derived")
"""


def test_threads_that_derive_at_once_do_not_wait_for_each_other_for_ever() -> None:
    # OpenSSL's Argon2, as cryptography 50.0 has it, deadlocks here with more than one lane
    result = subprocess.run(
        [sys.executable, "-P", "-c", DERIVE_AT_ONCE], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.stdout == "all derived\n", result.stderr
