import os
from collections.abc import Iterator

import pytest

from signerd.cli.command_errors import CommandFailed
from signerd.cli.passphrase_input import PassphraseInput
from signerd.cli.status_report import SealStatus

SEALS = [
    SealStatus(id="file", kind="file"),
    SealStatus(id="one", kind="passphrase"),
    SealStatus(id="two", kind="passphrase"),
]


def send(octets: bytes) -> int:
    reading, writing = os.pipe()
    os.write(writing, octets)
    os.close(writing)
    return reading


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    given: list[str] = []
    source: Iterator[str] = iter(given)

    def ask(prompt: str) -> str:
        return next(source)

    monkeypatch.setattr("getpass.getpass", ask)
    return given


def test_a_descriptor_gives_one_line_for_each_seal_with_a_passphrase() -> None:
    assert PassphraseInput(send("first one\nzwölf\r\n".encode())).read(SEALS, is_new=True) == {
        "one": "first one",
        "two": "zwölf",
    }


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"first\n", "seal 'two'"),
        (b"", "seal 'one'"),
        (b"first\n\n", "seal 'two'"),
        (b"\xff\n", "not UTF-8"),
        (b"x" * 65536, "more than"),
    ],
)
def test_what_a_descriptor_lacks_is_named(octets: bytes, reason: str) -> None:
    reading, writing = os.pipe()
    if len(octets) < 65536:
        os.write(writing, octets)
        os.close(writing)
    else:
        os.close(reading)
        reading = os.memfd_create("passphrases")
        os.write(reading, octets + b"x")
        os.lseek(reading, 0, os.SEEK_SET)
        os.close(writing)
    with pytest.raises(CommandFailed, match=reason):
        PassphraseInput(reading).read(SEALS, is_new=False)


def test_a_descriptor_that_is_not_open_is_named() -> None:
    with pytest.raises(CommandFailed, match="descriptor 999"):
        PassphraseInput(999)


def test_a_new_passphrase_is_asked_for_twice(answers: list[str]) -> None:
    answers += ["first", "first", "second", "other"]
    assert PassphraseInput(None).read(SEALS[:2], is_new=True) == {"one": "first"}
    with pytest.raises(CommandFailed, match="differ"):
        PassphraseInput(None).read(SEALS[2:], is_new=True)


def test_a_known_passphrase_is_asked_for_once(answers: list[str]) -> None:
    answers += ["first", ""]
    assert PassphraseInput(None).read(SEALS[:2], is_new=False) == {"one": "first"}
    with pytest.raises(CommandFailed, match="no passphrase"):
        PassphraseInput(None).read(SEALS[:2], is_new=False)


def test_a_pin_that_people_give_is_asked_for_once_also_when_the_seal_is_new(answers: list[str]) -> None:
    seals = [
        SealStatus(id="token", kind="pkcs11", is_asked=True),
        SealStatus(id="other", kind="pkcs11"),  # with a file
    ]
    answers += ["123456", ""]
    assert PassphraseInput(None).read(seals, is_new=True) == {"token": "123456"}
    with pytest.raises(CommandFailed, match="no PIN"):
        PassphraseInput(None).read(seals, is_new=True)
