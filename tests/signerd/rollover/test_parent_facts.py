from signerd.delegation.parent_view import ParentView, ServerAnswer
from signerd.rollover.parent_facts import read_parent
from signerd.timetable.facts import ParentServer

OLD = (bytes.fromhex("00010d02aa"), bytes.fromhex("00010d04ab"))
NEW = (bytes.fromhex("00020d02ba"), bytes.fromhex("00020d04bb"))
SETS = {"ksk-1": OLD, "ksk-2": NEW}


def read(*answers: ServerAnswer) -> tuple[ParentServer, ...]:
    return read_parent(ParentView(answers), SETS)


def test_any_digest_of_a_key_stands_for_it() -> None:
    assert read(
        ServerAnswer("a", 0, frozenset({OLD[0]}), 60), ServerAnswer("b", 0, frozenset({*OLD, NEW[1]}))
    ) == (
        ParentServer("a", frozenset({"ksk-1"}), 60),
        ParentServer("b", frozenset({"ksk-1", "ksk-2"})),
    )


def test_a_server_that_gave_no_answer_says_nothing() -> None:
    assert read(ServerAnswer("a", 0, None, error="timed out")) == (ParentServer("a", None),)


def test_a_ds_of_no_key_is_a_strangers() -> None:
    stranger = bytes.fromhex("00030d02ca")
    assert read(ServerAnswer("a", 0, frozenset({stranger, OLD[0]}))) == (
        ParentServer("a", frozenset({"ksk-1"}), has_strangers=True),
    )


def test_a_digest_of_another_type_proves_nothing_and_is_no_strangers() -> None:
    sha1 = bytes.fromhex("00010d01ff")
    assert read(ServerAnswer("a", 0, frozenset({sha1}))) == (ParentServer("a", frozenset()),)


def test_nobody_waits_for_a_server_that_is_declared_dead() -> None:
    assert read(ServerAnswer("a", 0, None, error="timed out", is_ignored=True)) == ()
