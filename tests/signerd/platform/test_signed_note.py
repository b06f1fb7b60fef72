import pytest

from signerd.platform.checkpoint import Checkpoint, CheckpointMalformed
from signerd.platform.signed_note import NoteRefused, NoteSigner, NoteVerifier, open_note

# the example of the reference implementation of signed notes
KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNATURE = (
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZIn"
    "NIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
SIGNER = NoteSigner.from_seed("signerd/kmsi-1", bytes(range(32)))


def test_a_note_of_another_implementation_opens() -> None:
    verifier = NoteVerifier.parse(KEY)
    assert str(verifier) == KEY
    assert open_note(f"{TEXT}\n{SIGNATURE}", [SIGNER.verifier, verifier]) == TEXT


def test_a_note_opens_beside_signatures_of_others() -> None:
    note = SIGNER.sign("a\nb\n")
    assert open_note(note, [SIGNER.verifier]) == "a\nb\n"
    assert open_note(note + SIGNATURE, [SIGNER.verifier]) == "a\nb\n"
    assert open_note(note, [NoteVerifier.parse(str(SIGNER.verifier))]) == "a\nb\n"


@pytest.mark.parametrize(
    "note",
    [
        "",
        "a\n",
        SIGNER.sign("a\n").replace("a\n", "b\n", 1),
        SIGNER.sign("a\n")[:-1],
        SIGNER.sign("a\n").replace("\u2014 ", "- "),
        SIGNER.sign("a\n").replace("kmsi-1", "kmsi-2"),
        f"a\n\n{SIGNATURE}",
        f"a\n\n\u2014 {SIGNER.name} !\n",
    ],
)
def test_other_notes_are_refused(note: str) -> None:
    with pytest.raises(NoteRefused):
        open_note(note, [SIGNER.verifier])


@pytest.mark.parametrize(
    "text", ["", "a", "a+b", KEY.replace("c74f20a3", "c74f20a4"), KEY[:-4], KEY.replace("+AR", "+BR")]
)
def test_other_keys_are_refused(text: str) -> None:
    with pytest.raises(NoteRefused):
        NoteVerifier.parse(text)


def test_a_checkpoint_is_what_its_text_says() -> None:
    checkpoint = Checkpoint("kmsi-1", "o-one", 5, 12, bytes(32), b"\1" * 32)
    assert checkpoint.render() == (
        "signerd/kmsi-1/o-one\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
        "start 5\nchain AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"
    )
    assert Checkpoint.parse(checkpoint.render()) == checkpoint
    for wrong in (TEXT, checkpoint.render() + "x\n", checkpoint.render().replace("7", "07")):
        with pytest.raises(CheckpointMalformed):
            Checkpoint.parse(wrong)
