import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pkcs11
import pytest

from signerd_kms.errors import (
    InvalidRequest,
    RootKeyMissing,
    RootKeyRefused,
    SealFailed,
    SealNotReady,
    UnwrapFailed,
)
from signerd_kms.seals.token import TokenSeal
from signerd_kms.wrapping import WrappedKey
from softhsm import MODULE, PIN, SoftHsm, make_token

SECRET = b"r" * 32


@pytest.fixture
def hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftHsm:
    made = make_token(tmp_path)
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.configuration))
    return made


@pytest.fixture
def seal(hsm: SoftHsm) -> TokenSeal:
    made = TokenSeal(hsm.place())
    made.prepare()
    return made


def test_what_the_token_wrapped_it_opens_for_the_same_associated_data_only(seal: TokenSeal) -> None:
    wrapped = seal.wrap(SECRET, b"aad")
    assert SECRET not in wrapped.octets
    with seal.unwrap(wrapped, b"aad") as live:
        assert live.octets == SECRET
    with pytest.raises(UnwrapFailed):
        seal.unwrap(wrapped, b"other")
    for position in (0, 1, 12, 13, 44, 45, 60):  # suite, nonce, ciphertext, tag: first and last octet
        changed = bytearray(wrapped.octets)
        changed[position] ^= 1
        with pytest.raises(UnwrapFailed):
            seal.unwrap(WrappedKey(bytes(changed), wrapped.key_check), b"aad")
    with pytest.raises(UnwrapFailed):
        seal.unwrap(WrappedKey(wrapped.octets[:20], wrapped.key_check), b"aad")
    with pytest.raises(UnwrapFailed, match="check value"):
        seal.unwrap(WrappedKey(wrapped.octets, bytes(16)), b"aad")


def test_preparing_again_keeps_the_key(seal: TokenSeal) -> None:
    wrapped = seal.wrap(SECRET, b"")
    seal.prepare()
    seal.unwrap(wrapped, b"").close()


def test_a_key_is_made_only_when_that_is_asked_for(hsm: SoftHsm) -> None:
    with pytest.raises(RootKeyMissing, match="'root'"):
        TokenSeal(hsm.place(may_make_key=False)).prepare()


INSPECT = """
import sys, pkcs11
from pkcs11 import Attribute
with pkcs11.lib(sys.argv[1]).get_token(token_label="signerd").open(user_pin=sys.argv[2]) as session:
    key = session.get_key(label="root")
    print(key[Attribute.EXTRACTABLE], key[Attribute.SENSITIVE], key[Attribute.WRAP], key[Attribute.DERIVE])
    try:
        key[Attribute.VALUE]
    except pkcs11.PKCS11Error as error:
        print(type(error).__name__)
"""


def test_the_key_cannot_leave_the_token(seal: TokenSeal) -> None:
    output = subprocess.run(
        [sys.executable, "-P", "-c", INSPECT, str(MODULE), PIN], capture_output=True, text=True, check=True
    ).stdout
    assert seal.kind == "pkcs11"
    assert output.split() == ["False", "True", "False", "False", "AttributeSensitive"]


MAKE_WEAK = """
import sys, pkcs11
from pkcs11 import Attribute, KeyType
with pkcs11.lib(sys.argv[1]).get_token(token_label="signerd").open(rw=True, user_pin=sys.argv[2]) as session:
    bits, extractable, count = int(sys.argv[3]), sys.argv[4] == "yes", int(sys.argv[5])
    for _ in range(count):
        session.generate_key(
            KeyType.AES, bits, label="weak", store=True,
            template={Attribute.EXTRACTABLE: extractable, Attribute.SENSITIVE: not extractable},
        )
"""


@pytest.mark.parametrize(
    ("bits", "extractable", "count", "reason"),
    [("128", "no", "1", "128 bits"), ("256", "yes", "1", "extracted"), ("256", "no", "2", "2 AES keys")],
)
def test_an_unsafe_key_is_refused(hsm: SoftHsm, bits: str, extractable: str, count: str, reason: str) -> None:
    subprocess.run(
        [sys.executable, "-P", "-c", MAKE_WEAK, str(MODULE), PIN, bits, extractable, count], check=True
    )
    with pytest.raises(RootKeyRefused, match=reason):
        TokenSeal(hsm.place("weak")).prepare()


def test_a_token_that_went_away_works_when_it_is_back(seal: TokenSeal, hsm: SoftHsm) -> None:
    wrapped = seal.wrap(SECRET, b"")
    hsm.take_away()
    for _ in range(2):
        with pytest.raises(SealFailed, match="not there"):
            seal.unwrap(wrapped, b"")
    hsm.bring_back()
    seal.unwrap(wrapped, b"").close()


def test_a_refused_pin_is_not_tried_again_until_the_file_changes(seal: TokenSeal, hsm: SoftHsm) -> None:
    hsm.pin_file.write_text("654321")
    with pytest.raises(RootKeyRefused, match="PinIncorrect"):
        seal.prepare()
    with pytest.raises(RootKeyRefused, match="not tried again"):
        seal.prepare()
    hsm.pin_file.write_text(PIN)
    seal.prepare()


def test_the_pin_file_must_be_private_and_there(seal: TokenSeal, hsm: SoftHsm) -> None:
    hsm.pin_file.chmod(0o644)
    with pytest.raises(RootKeyRefused, match="PIN file has mode 0644"):
        seal.prepare()
    hsm.pin_file.unlink()
    with pytest.raises(RootKeyMissing, match="PIN file is missing"):
        seal.prepare()


def test_a_library_that_is_not_there_is_named(hsm: SoftHsm) -> None:
    place = hsm.place()
    missing = type(place)(Path("/nonexistent/lib.so"), place.token, place.key, place.pin_file)
    with pytest.raises(SealFailed, match=r"/nonexistent/lib\.so"):
        TokenSeal(missing).prepare()


CHILDREN = {
    "crashes": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "status -11"),
    "ends without a reply": ("pass", "status 0"),
    "hangs": ("import signal; signal.pause()", "did not answer within 1 s"),
    "sends rubbish": (
        "import socket, sys; socket.socket(fileno=int(sys.argv[1])).sendall(b'\\xff' * 64)",
        "its process ended",
    ),
    "sends a frame that ends early": (
        "import socket, sys; socket.socket(fileno=int(sys.argv[1])).sendall(b'\\0\\0\\0\\6\\2\\0\\0\\0\\1x')",
        "its process ended",
    ),
}


@pytest.mark.parametrize(("code", "reason"), CHILDREN.values(), ids=CHILDREN.keys())
def test_a_child_that_misbehaves_is_an_error_of_the_seal(hsm: SoftHsm, code: str, reason: str) -> None:
    # one that does answer has time to start, however busy the machine is
    timeout = 1.0 if "within 1 s" in reason else 60.0
    seal = TokenSeal(hsm.place(), timeout=timeout, child=("-P", "-c", code))
    with pytest.raises(SealFailed, match=reason):
        seal.wrap(SECRET, b"")


def test_no_child_is_left(seal: TokenSeal) -> None:
    seal.prepare()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_this_process_does_not_load_the_library(seal: TokenSeal) -> None:
    seal.prepare()
    assert pkcs11.__name__  # the Python package is harmless
    assert "softhsm" not in Path("/proc/self/maps").read_text()


def test_a_pin_that_people_give_opens_until_it_is_forgotten(hsm: SoftHsm) -> None:
    seal = TokenSeal(replace(hsm.place(), pin_file=None))
    assert seal.is_asked
    with pytest.raises(SealNotReady, match="signerd unseal"):
        seal.prepare()
    seal.give(PIN)
    seal.prepare()
    wrapped = seal.wrap(SECRET, b"aad")
    with seal.unwrap(wrapped, b"aad") as live:
        assert live.octets == SECRET
    seal.forget()
    with pytest.raises(SealNotReady):
        seal.unwrap(wrapped, b"aad")


def test_a_wrong_pin_that_was_given_is_not_tried_twice(hsm: SoftHsm) -> None:
    TokenSeal(hsm.place()).prepare()
    seal = TokenSeal(replace(hsm.place(), pin_file=None))
    for reason in ("PIN", "not tried again"):
        seal.give("654321")
        with pytest.raises(RootKeyRefused, match=reason):
            seal.prepare()
        seal.forget()
    seal.give(PIN)
    seal.prepare()


@pytest.mark.parametrize("pin", ["", "1" * 257])
def test_what_is_no_pin_is_refused(hsm: SoftHsm, pin: str) -> None:
    with pytest.raises(InvalidRequest):
        TokenSeal(replace(hsm.place(), pin_file=None)).give(pin)
